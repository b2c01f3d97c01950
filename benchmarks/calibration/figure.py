"""A figure with its unit and where it comes from, and a file of them in TOML.

Python reads TOML but does not write it; what is written here is read back by ``tomllib`` in the tests.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value: its unit, and what it is."""

    value: float
    unit: str
    what: str

    def having(self, value: float) -> "Figure":
        """Return the same figure with another value."""
        return replace(self, value=value)


def _number(value: float) -> str:
    return str(round(value)) if abs(value) >= 100 else f"{value:.3g}"


def _keys(values: Mapping[str, object]) -> list[str]:
    # JSON writes text, numbers and truth values as TOML does.
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]


def toml_of(
    top: Mapping[str, object],
    head: Mapping[str, object],
    tables: Mapping[str, Mapping[str, Figure]],
    comment: str,
) -> str:
    """Return the text of a TOML file.

    Args:
        top: keys before the first table.
        head: keys of the table ``measured``: command, date, machine.
        tables: name of a table → key → figure.
        comment: first lines of the file.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += _keys(top)
    lines += ["", "[measured]", *_keys(head)]
    for name, figures in tables.items():
        for key, figure in figures.items():
            lines += ["", f"[{name}.{key}]", f"value = {_number(figure.value)}"]
            lines += [
                f'unit = "{figure.unit}"',
                'certainty = "measured"',
                f"source = {json.dumps(figure.what)}",
            ]
    return "\n".join(lines) + "\n"
