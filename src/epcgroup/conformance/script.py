"""The input language of traces: lines to operations, page lists, quoted texts. No state lives here."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\(n|t|r|\\|x[0-9A-Fa-f]{2})")
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of a script: its text as written, its first word, and the other words."""

    text: str
    name: str
    words: tuple[str, ...]

    @property
    def quoted(self) -> str:
        """The text between the first and the last quotation mark, escapes resolved; one character a byte."""
        first, last = self.text.find('"'), self.text.rfind('"')
        inner = self.text[first + 1 : last] if 0 <= first < last else ""
        return _ESCAPE.sub(_unescape, inner)


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    return _PLAIN[code] if code in _PLAIN else chr(int(code[1:], 16))


def parse(script: str) -> Iterator[Operation]:
    """Yield the operations of a script; empty lines and comments are skipped."""
    for line in script.split("\n"):
        text = line.lstrip(" \t")
        if text and not text.startswith("#"):
            words = text.split()
            yield Operation(text, words[0], tuple(words[1:]))


def parse_pages(text: str) -> Iterator[int]:
    """Yield the pages of a list such as ``0-3,7,9-12`` in order; a page may occur more than once."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def format_pages(pages: Iterable[int]) -> str:
    """Return pages in the given order as a list: runs of index + 1 are joined, ``-`` for none."""
    parts: list[str] = []
    first = last = -2
    for page in pages:
        if page != last + 1:
            parts.append(_run(first, last))
            first = page
        last = page
    parts.append(_run(first, last))
    return ",".join(parts[1:]) or "-"


def _run(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def escape(text: str) -> str:
    """Return a file text as the trace shows it between quotation marks."""
    return text.replace("\n", "\\n")
