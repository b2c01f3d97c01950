"""YAML with positions: every value knows its file, line, document and path, so that an error can say them.

What must not live here: what a Kubernetes object means (``manifest.py``).
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import yaml

from epcgroup.errors import ManifestError

_NULL = "tag:yaml.org,2002:null"
_STRING = "tag:yaml.org,2002:str"
_INTEGER = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_TRUTH = "tag:yaml.org,2002:bool"
_KINDS = {
    _INTEGER: "a number",
    _FLOAT: "a number",
    _TRUTH: "a truth value",
}
#: Longest value an error message repeats.
_SHOWN = 60
#: What neither a command line nor an environment can hold.
_UNSPEAKABLE = re.compile(r"[\0\ud800-\udfff]")
#: More digits than any whole number here has any use for.
_MAX_DIGITS = 12


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known word, or an empty text."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True, slots=True)
class Field:
    """One YAML value and where it stands.

    Attributes:
        file: name of the file as the user gave it.
        document: what the document is, for people: ``document 2 (Pod kv)``.
        path: path inside the document, ``spec.containers[0].name``; empty for the whole document.
        node: the YAML node itself.
        lines_before: lines of the file before the text the node was read from: 0 but for embedded YAML.
    """

    file: str
    document: str
    path: str
    node: yaml.Node
    lines_before: int = 0

    @property
    def line(self) -> int:
        """Line of the value in its file, from 1."""
        return self.lines_before + int(self.node.start_mark.line) + 1

    def titled(self, title: str) -> "Field":
        """Return the same field with a better name for its document."""
        return replace(self, document=title)

    def error(self, problem: str, *, show_value: bool = True) -> ManifestError:
        """Return the error that says file, line, document, field, value and the problem."""
        where = f"{self.file}:{self.line}: {self.document}"
        field = f": {self.path}" if self.path else ""
        value = f": {self._shown()}" if show_value and isinstance(self.node, yaml.ScalarNode) else ""
        return ManifestError(f"{where}{field}{value}: {problem}")

    def _shown(self) -> str:
        text = str(self.node.value)
        return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")

    @property
    def is_null(self) -> bool:
        """True for an empty value, ``~`` or ``null``: Kubernetes takes it as absent."""
        return bool(self.node.tag == _NULL)

    def _child(self, key: str, node: yaml.Node) -> "Field":
        plain = key.replace("_", "").replace("-", "").isalnum()
        dot = "." if self.path else ""
        path = f"{self.path}{dot}{key}" if plain else f'{self.path}["{key}"]'
        return replace(self, path=path, node=node)

    def mapping(self) -> dict[str, "Field"]:
        """Return the members of a mapping, nulls left out.

        Raises:
            ManifestError: not a mapping, a key is no text, or a key stands twice.
        """
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error("expected a mapping (name: value)")
        members: dict[str, Field] = {}
        for key, value in self._pairs(self.node):
            if key in members:
                raise members[key].error("the same key stands twice in this mapping", show_value=False)
            members[key] = self._child(key, value)
        return {key: field for key, field in members.items() if not field.is_null}

    def _pairs(self, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise replace(self, node=key).error("a key must be text")
            if key.tag == "tag:yaml.org,2002:merge":
                raise replace(self, node=key).error(
                    "merge keys (<<) are not in YAML 1.2: write the fields out"
                )
            yield str(key.value), value

    def items(self) -> list["Field"]:
        """Return the items of a list.

        Raises:
            ManifestError: not a list.
        """
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error("expected a list (- item)")
        return [replace(self, path=f"{self.path}[{i}]", node=node) for i, node in enumerate(self.node.value)]

    def get(self, key: str) -> "Field | None":
        """Return a member of a mapping, or None."""
        return self.mapping().get(key)

    def need(self, key: str, what: str) -> "Field":
        """Return a member of a mapping that must be there.

        Raises:
            ManifestError: it is not; the message says ``what`` is expected.
        """
        member = self.get(key)
        if member is None:
            missing = self._child(key, self.node)
            raise missing.error(f"is missing: expected {what}", show_value=False)
        return member

    def only(self, known: Iterable[str], what: str) -> dict[str, "Field"]:
        """Return the members of a mapping whose keys are all known.

        Raises:
            ManifestError: a key is not; the message names the nearest known one.
        """
        names = list(known)
        members = self.mapping()
        for key, field in members.items():
            if key not in names:
                hint = did_you_mean(key, names)
                raise field.error(f"is not a field of {what}{hint}", show_value=False)
        return members

    def text(self) -> str:
        """Return a text.

        Raises:
            ManifestError: a number, truth value, list or mapping (Kubernetes takes quoted text only), or a
                text that cannot be handed to a program.
        """
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.error("expected text")
        if self.node.tag != _STRING:
            kind = _KINDS.get(self.node.tag, "not text")
            raise self.error(f'is {kind}: expected text; quote it: "{self.node.value}"')
        text = str(self.node.value)
        if _UNSPEAKABLE.search(text):
            raise self.error(
                "holds a character that no program can be given (NUL or half of a surrogate pair)"
            )
        return text

    def number_or_text(self) -> str:
        """Return a text or the spelling of a number, as quantities may be either."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag not in (_STRING, _INTEGER, _FLOAT):
            raise self.error("expected a quantity")
        return str(self.node.value)

    def embedded(self) -> "Field":
        """Return the YAML that this text holds, as a field whose lines are those of the file.

        Raises:
            ManifestError: the text is not one YAML document.
        """
        text = self.text()
        # The content of a block scalar begins on the line after its mark.
        first = self.line - 1 + (getattr(self.node, "style", None) in ("|", ">"))
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = first + (error.problem_mark.line if error.problem_mark else 0) + 1
            where = f"{self.file}:{line}: {self.document}: {self.path}"
            raise ManifestError(f"{where}: not YAML: {error.problem or error.context}") from error
        except (yaml.YAMLError, RecursionError) as error:
            raise self.error("is not YAML that can be read") from error
        if node is None:
            raise self.error("is empty")
        return replace(self, node=node, lines_before=first)

    def truth(self) -> bool:
        """Return a truth value."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag != _TRUTH:
            raise self.error("expected true or false")
        return str(self.node.value).lower() in ("true", "yes", "on")

    def number(self, minimum: float = 0.0, maximum: float = 1e12) -> float:
        """Return a number from ``minimum`` to ``maximum``."""
        value = math.nan
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag in (_INTEGER, _FLOAT):
            with suppress(ValueError):
                value = float(self.node.value)
        if not minimum <= value <= maximum:
            raise self.error(f"expected a number from {minimum:g} to {maximum:g}")
        return value

    def integer(self, minimum: int = 0) -> int:
        """Return a whole number of at least ``minimum``."""
        value = str(self.node.value) if self.node.tag == _INTEGER else ""
        if not value.isdigit() or len(value) > _MAX_DIGITS or int(value) < minimum:
            raise self.error(f"expected a whole number of at least {minimum}")
        return int(value)


def read_documents(file: str, text: str) -> list[Field]:
    """Return the documents of a YAML text, empty ones left out.

    Raises:
        ManifestError: the text is not YAML; the message carries line and column.
    """
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise ManifestError(f"{where}: not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{file}: not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise ManifestError(f"{file}: not YAML that can be read: nested too deeply") from error
    documents = [
        Field(file, f"document {i}", "", node) for i, node in enumerate(nodes, 1) if node is not None
    ]
    return [document for document in documents if not document.is_null]
