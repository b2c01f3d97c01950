"""Numbers and keys out of lines of text, compiled: the part of an import that sees every byte.

A line is split at a delimiter; a space as delimiter means any run of spaces and tabs. Empty lines and lines
that begin with ``#`` are skipped. Positions of wanted columns and what they hold are a ``Layout``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace import bytewise, words
from epcgroup.sim.trace.bytewise import DECIMAL, HEX, KEY, NUMBER
from epcgroup.sim.trace.source import MAX_LINE_BYTES, Block

__all__ = ["DECIMAL", "HEX", "KEY", "NUMBER", "Column", "Layout", "Rows", "rows", "shown"]

#: Most columns a line is looked at.
MAX_COLUMNS: Final = 256

_SAYS: Final = {
    bytewise.TOO_FEW: "the line has too few columns",
    bytewise.NO_NUMBER: "is no number",
    bytewise.TOO_LARGE: "does not fit 64 bits",
    bytewise.EMPTY: "is empty",
}
_ALLOWED: Final = {
    NUMBER: "a whole number, decimal or 0x…",
    HEX: "hexadecimal digits",
    DECIMAL: "a decimal number, not negative",
    KEY: "any text",
}
_ROWS: Final = 1 << 16
_SHOWN: Final = 60


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


@dataclass(frozen=True, slots=True)
class Rows:
    """What some lines hold.

    Attributes:
        values: uint64 (rows, columns of the layout); each column is contiguous.
        lines: int64 (rows,): number of each one's line.
    """

    values: NDArray[np.uint64]
    lines: NDArray[np.int64]


class _Reader:
    """Reads the lines of a layout, block by block."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._delimiter = ord(layout.delimiter)
        nr_columns = 1 + max(column.index for column in layout.columns)
        self._kinds, self._slots = np.zeros(nr_columns, np.int64), np.zeros(nr_columns, np.int64)
        for slot, column in enumerate(layout.columns):
            self._kinds[column.index], self._slots[column.index] = column.kind, slot
        self._columns = np.empty((len(layout.columns), 2 * _ROWS), np.uint64)
        self._lines = np.empty(_ROWS, np.int64)
        kinds = {column.kind for column in layout.columns}
        self._is_simple = self._delimiter != bytewise.SPACE and kinds <= {NUMBER, KEY}

    def rows(self, block: Block, state: NDArray[np.int64]) -> Iterator[Rows]:
        """Yield the lines of a block from the offset of a state on, up to the first that is wrong."""
        if self._is_simple:
            yield from self._clean_rows(block, state)
        data = np.frombuffer(block.data, np.uint8)
        while state[bytewise.OFFSET] < len(data) and not state[bytewise.ERROR]:
            nr_rows = bytewise.read_lines(
                data,
                self._delimiter,
                self._kinds,
                self._slots,
                self._layout.digits,
                self._columns,
                self._lines,
                state,
            )
            yield Rows(self._columns[:, :nr_rows].T, self._lines[:nr_rows])

    def _clean_rows(self, block: Block, state: NDArray[np.int64]) -> Iterator[Rows]:
        """Yield lines as long as they are as they should be (``words.py``); move the state behind them."""
        data = block.data
        last = words.last_line(data)
        start = int(state[bytewise.OFFSET])
        middle = max(start, data.rfind(b"\n", start, (start + last) // 2) + 1)
        separator = data.find(bytes([self._delimiter]), start, start + MAX_LINE_BYTES)
        step = np.uint64(2 if separator >= 0 and data[separator + 1] == bytewise.SPACE else 1)
        runs = np.array([start, middle, 0, middle, last + 1, 0], np.uint64)
        words.clean_lines(
            np.frombuffer(data, np.uint8),
            words.POWERS,
            self._delimiter,
            step,
            self._kinds,
            self._slots,
            self._columns,
            runs,
        )
        for begin, first_row in ((0, 0), (words.RUN, _ROWS)):
            place, end, nr_rows = runs[begin : begin + words.RUN].tolist()
            first = int(state[bytewise.LINES]) + 1
            state[bytewise.OFFSET], state[bytewise.LINES] = place, first - 1 + nr_rows
            yield Rows(self._columns[:, first_row : first_row + nr_rows].T, np.arange(first, first + nr_rows))
            if place < end:
                return


def rows(name: str, blocks: Iterable[Block], layout: Layout) -> Iterator[Rows]:
    """Yield lines as arrays, at most 65,536 lines at a time; the arrays are used again.

    Args:
        name: of the source, for messages.
        blocks: whole lines.
        layout: what is wanted of them.

    Raises:
        TraceFormatError: a line is not of the layout; the text says which, what it holds, what is allowed.
    """
    reader = _Reader(layout)
    for block in blocks:
        start = _after_header(block, layout.nr_skipped)
        nr_before = block.first_line - 1 + block.data.count(b"\n", 0, start)
        state = np.array([start, nr_before, 0, 0, 0, 0, 0], np.int64)
        yield from reader.rows(block, state)
        if state[bytewise.ERROR]:
            raise TraceFormatError(_complaint(name, layout, block, state))
        block.nr_lines = int(state[bytewise.LINES]) + 1 - block.first_line


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
    start, index, error = state[[bytewise.LINE_START, bytewise.COLUMN, bytewise.ERROR]].tolist()
    line = block.data[start : block.data.index(b"\n", start)]
    where = f"{name}, line {int(state[bytewise.LINES])}"
    if error == bytewise.TOO_FEW:
        needed = max(layout.columns, key=lambda column: column.index)
        return f"{where}: {index} columns in {shown(line)}: column {needed.index + 1} is the {needed.name}"
    column = next(column for column in layout.columns if column.index == index)
    field = block.data[int(state[bytewise.FIELD_START]) : int(state[bytewise.FIELD_END])].strip()
    return (
        f"{where}: the {column.name} (column {index + 1}) {_SAYS[error]}: {shown(field)};"
        f" allowed: {_ALLOWED[column.kind]}"
    )
