"""Numbers and keys out of lines of text, compiled: the part of an import that sees every byte.

A line is split at a delimiter; a space as delimiter means any run of spaces and tabs. Empty lines and lines
that begin with ``#`` are skipped. Positions of wanted columns and what they hold are a ``Layout``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit, nth
from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.source import Block

#: What a column holds: a whole number (decimal, or hexadecimal with 0x), bare hexadecimal digits, a decimal
#: number kept to some digits of its fraction, or any text, of which a 64-bit hash is kept.
NUMBER, HEX, DECIMAL, KEY = 1, 2, 3, 4
#: Most columns a line is looked at.
MAX_COLUMNS: Final = 256

_TOO_FEW, _NO_NUMBER, _TOO_LARGE, _EMPTY = 1, 2, 3, 4
_SAYS: Final = {
    _TOO_FEW: "the line has too few columns",
    _NO_NUMBER: "is no number",
    _TOO_LARGE: "does not fit 64 bits",
    _EMPTY: "is empty",
}
_ALLOWED: Final = {
    NUMBER: "a whole number, decimal or 0x…",
    HEX: "hexadecimal digits",
    DECIMAL: "a decimal number, not negative",
    KEY: "any text",
}
_ROWS: Final = 1 << 16
_SHOWN: Final = 60

# Words of the state a scan carries from call to call.
_OFFSET, _LINES, _ERROR, _COLUMN, _LINE_START, _FIELD_START, _FIELD_END = range(7)

_SPACE, _TAB, _NEWLINE, _RETURN, _HASH = 32, 9, 10, 13, 35


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is wanted: where it is (from 0), what it holds, its name for messages."""

    index: int
    kind: int
    name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Lines of one format.

    Attributes:
        delimiter: one ASCII character; a space: any run of spaces and tabs.
        columns: those wanted, in the order of the results.
        digits: of the fraction of a ``DECIMAL`` that are kept: the result is the number times 10^digits.
        nr_skipped: lines at the start that are no data (a header).
    """

    delimiter: str
    columns: tuple[Column, ...]
    digits: int = 0
    nr_skipped: int = 0


@jit
def _digit(byte: int) -> int:
    """Return the value of a hexadecimal digit, 99 if it is none."""
    if 48 <= byte <= 57:
        return byte - 48
    lower = byte | 32
    if 97 <= lower <= 102:
        return lower - 87
    return 99


@jit
def _number(data: NDArray[np.uint8], start: int, end: int, base: int, state: NDArray[np.int64]) -> np.uint64:
    """Return the number between two places; sets the error of ``state``."""
    value = np.uint64(0)
    limit = np.uint64(0xFFFFFFFFFFFFFFFF) // np.uint64(base)
    if start == end:
        state[_ERROR] = _EMPTY
    for place in range(start, end):
        digit = _digit(int(data[nth(place)]))
        if digit >= base:
            state[_ERROR] = _NO_NUMBER
            break
        grown = value * np.uint64(base) + np.uint64(digit)
        if value > limit or grown < np.uint64(digit):
            state[_ERROR] = _TOO_LARGE
            break
        value = grown
    return value


@jit
def _decimal(
    data: NDArray[np.uint8], start: int, end: int, digits: int, state: NDArray[np.int64]
) -> np.uint64:
    """Return a decimal number times 10^digits, further digits cut off."""
    point = start
    while point < end and data[nth(point)] != 46:
        point += 1
    value = _number(data, start, point, 10, state)
    for place in range(point + 1, end):
        if not 48 <= data[nth(place)] <= 57:
            state[_ERROR] = _NO_NUMBER
    for index in range(digits):
        place = point + 1 + index
        digit = np.uint64(data[nth(place)] - 48) if place < end else np.uint64(0)
        if value > np.uint64(1844674407370955160):
            state[_ERROR] = _TOO_LARGE
            break
        value = value * np.uint64(10) + digit
    return value


@jit
def _hash(data: NDArray[np.uint8], start: int, end: int) -> np.uint64:
    """Return a 64-bit hash of some bytes. Source: FNV-1a, with the finish of SplitMix64."""
    value = np.uint64(0xCBF29CE484222325)
    for place in range(start, end):
        value = (value ^ np.uint64(data[nth(place)])) * np.uint64(0x100000001B3)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@jit
def _value(
    data: NDArray[np.uint8], start: int, end: int, kind: int, digits: int, state: NDArray[np.int64]
) -> np.uint64:
    """Return what a field holds; sets the error of ``state``."""
    while start < end and (data[nth(start)] == _SPACE or data[nth(start)] == _TAB):
        start += 1
    while start < end and (data[nth(end - 1)] == _SPACE or data[nth(end - 1)] == _RETURN):
        end -= 1
    if kind == KEY:
        if start == end:
            state[_ERROR] = _EMPTY
        return _hash(data, start, end)
    if kind == DECIMAL:
        return _decimal(data, start, end, digits, state)
    is_marked = end - start > 2 and data[nth(start)] == 48 and data[nth(start + 1)] | 32 == 120
    if is_marked:
        return _number(data, start + 2, end, 16, state)
    return _number(data, start, end, 16 if kind == HEX else 10, state)


@jit
def _line(
    data: NDArray[np.uint8],
    delimiter: int,
    kinds: NDArray[np.int64],
    slots: NDArray[np.int64],
    digits: int,
    row: NDArray[np.uint64],
    state: NDArray[np.int64],
) -> None:
    """Read one line, from the offset of ``state`` up to and with its end, into a row."""
    place = state[_OFFSET]
    column = 0
    nr_columns = len(kinds)
    while column < nr_columns:
        if delimiter == _SPACE:
            while data[nth(place)] == _SPACE or data[nth(place)] == _TAB:
                place += 1
        start = place
        if delimiter == _SPACE:
            while data[nth(place)] > _SPACE:
                place += 1
        else:
            while data[nth(place)] != delimiter and data[nth(place)] != _NEWLINE:
                place += 1
        if kinds[nth(column)] != 0 and state[_ERROR] == 0:
            row[nth(slots[nth(column)])] = _value(data, start, place, kinds[nth(column)], digits, state)
            if state[_ERROR] != 0:
                state[_COLUMN], state[_FIELD_START], state[_FIELD_END] = column, start, place
        column += 1
        if data[nth(place)] == _NEWLINE:
            break
        place += 1
    if column < nr_columns and state[_ERROR] == 0:
        state[_ERROR], state[_COLUMN] = _TOO_FEW, column
    while data[nth(place)] != _NEWLINE:
        place += 1
    state[_OFFSET] = place + 1


@jit
def _scan(
    data: NDArray[np.uint8],
    delimiter: int,
    kinds: NDArray[np.int64],
    slots: NDArray[np.int64],
    digits: int,
    rows: NDArray[np.uint64],
    lines: NDArray[np.int64],
    state: NDArray[np.int64],
) -> int:
    """Fill rows until they are full, the data ends, or a line is wrong; return how many were filled."""
    nr_rows = 0
    while state[_OFFSET] < len(data) and nr_rows < len(rows):
        state[_LINE_START] = state[_OFFSET]
        first = data[nth(state[_OFFSET])]
        state[_LINES] += 1
        if first in (_NEWLINE, _HASH, _RETURN):
            while data[nth(state[_OFFSET])] != _NEWLINE:
                state[_OFFSET] += 1
            state[_OFFSET] += 1
            continue
        _line(data, delimiter, kinds, slots, digits, rows[nth(nr_rows)], state)
        if state[_ERROR] != 0:
            break
        lines[nth(nr_rows)] = state[_LINES]
        nr_rows += 1
    return nr_rows


@dataclass(frozen=True, slots=True)
class Rows:
    """What some lines hold.

    Attributes:
        values: uint64 (rows, columns of the layout).
        lines: int64 (rows,): number of each one's line.
    """

    values: NDArray[np.uint64]
    lines: NDArray[np.int64]


def rows(name: str, blocks: Iterable[Block], layout: Layout) -> Iterator[Rows]:
    """Yield lines as arrays, at most 65,536 lines at a time; the arrays are used again.

    Args:
        name: of the source, for messages.
        blocks: whole lines.
        layout: what is wanted of them.

    Raises:
        TraceFormatError: a line is not of the layout; the text says which, what it holds, what is allowed.
    """
    nr_columns = 1 + max(column.index for column in layout.columns)
    kinds, slots = np.zeros(nr_columns, np.int64), np.zeros(nr_columns, np.int64)
    for slot, column in enumerate(layout.columns):
        kinds[column.index], slots[column.index] = column.kind, slot
    delimiter = ord(layout.delimiter)
    values = np.empty((_ROWS, len(layout.columns)), np.uint64)
    lines = np.empty(_ROWS, np.int64)
    for block in blocks:
        start = _after_header(block, layout.nr_skipped)
        data = np.frombuffer(block.data, np.uint8)
        nr_before = block.first_line - 1 + block.data.count(b"\n", 0, start)
        state = np.array([start, nr_before, 0, 0, 0, 0, 0], np.int64)
        while state[_OFFSET] < len(data):
            nr_rows = _scan(data, delimiter, kinds, slots, layout.digits, values, lines, state)
            if state[_ERROR]:
                raise TraceFormatError(_complaint(name, layout, block, state))
            yield Rows(values[:nr_rows], lines[:nr_rows])


def _after_header(block: Block, nr_skipped: int) -> int:
    """Return where the data begins in a block."""
    place = 0
    for _ in range(nr_skipped - block.first_line + 1):
        end = block.data.find(b"\n", place)
        if end < 0:
            return len(block.data)
        place = end + 1
    return place


def shown(line: bytes) -> str:
    """Return a line as it may stand in a message: short, printable."""
    text = line.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def _complaint(name: str, layout: Layout, block: Block, state: NDArray[np.int64]) -> str:
    start, index, error = int(state[_LINE_START]), int(state[_COLUMN]), int(state[_ERROR])
    line = block.data[start : block.data.index(b"\n", start)]
    where = f"{name}, line {int(state[_LINES])}"
    if error == _TOO_FEW:
        needed = max(layout.columns, key=lambda column: column.index)
        return f"{where}: {index} columns in {shown(line)}: column {needed.index + 1} is the {needed.name}"
    column = next(column for column in layout.columns if column.index == index)
    field = block.data[int(state[_FIELD_START]) : int(state[_FIELD_END])].strip()
    return (
        f"{where}: the {column.name} (column {index + 1}) {_SAYS[error]}: {shown(field)};"
        f" allowed: {_ALLOWED[column.kind]}"
    )
