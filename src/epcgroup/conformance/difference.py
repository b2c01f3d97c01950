"""Where two traces differ first, told by operation."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import zip_longest

# A word of a line; a quoted value may hold blanks (misc.max="sgx_epc max\n").
_WORD = re.compile(r'[^\s="]+="[^"]*"|\S+')


@dataclass(frozen=True, slots=True)
class Difference:
    """The first line that is not the same; ``line`` counts from 1, None: that trace has ended."""

    line: int
    operation: str
    expected: str | None
    got: str | None


def without_fields(line: str, ignore: Collection[str]) -> str:
    """Return a line without the ``key=value`` words of these keys; an operation's own line is kept."""
    if not ignore or line.startswith("#"):
        return line
    return " ".join(word for word in _WORD.findall(line) if word.partition("=")[0] not in ignore)


def first_difference(expected: str, got: str, ignore: Collection[str] = ()) -> Difference | None:
    """Return where two traces differ first, None if they agree."""
    if expected == got:
        return None
    operation = ""
    pairs = zip_longest(expected.splitlines(), got.splitlines())
    for number, (left, right) in enumerate(pairs, start=1):
        if left is None or right is None or without_fields(left, ignore) != without_fields(right, ignore):
            return Difference(number, operation, left, right)
        if left.startswith("#"):
            operation = left
    return None
