"""Numbers and keys out of any line of text, byte by byte, and what is wrong with it; see ``scan.py``."""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit, nth
from epcgroup.sim.trace import words

#: What a column holds: a whole number (decimal, or hexadecimal with 0x), bare hexadecimal digits, a decimal
#: number kept to some digits of its fraction, or any text, of which a 64-bit hash is kept.
NUMBER, HEX, DECIMAL, KEY = words.NUMBER, 2, 3, words.KEY
#: What may be wrong with a line.
TOO_FEW, NO_NUMBER, TOO_LARGE, EMPTY = 1, 2, 3, 4
#: Words of the state a scan carries from call to call.
OFFSET, LINES, ERROR, COLUMN, LINE_START, FIELD_START, FIELD_END = range(7)

SPACE, _TAB, _NEWLINE, _RETURN, _HASH = 32, 9, 10, 13, 35


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
        state[ERROR] = EMPTY
    for place in range(start, end):
        digit = _digit(int(data[nth(place)]))
        if digit >= base:
            state[ERROR] = NO_NUMBER
            break
        grown = value * np.uint64(base) + np.uint64(digit)
        if value > limit or grown < np.uint64(digit):
            state[ERROR] = TOO_LARGE
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
            state[ERROR] = NO_NUMBER
    for index in range(digits):
        place = point + 1 + index
        digit = np.uint64(data[nth(place)] - 48) if place < end else np.uint64(0)
        if value > np.uint64(1844674407370955160):
            state[ERROR] = TOO_LARGE
            break
        value = value * np.uint64(10) + digit
    return value


@jit
def _value(
    data: NDArray[np.uint8], start: int, end: int, kind: int, digits: int, state: NDArray[np.int64]
) -> np.uint64:
    """Return what a field holds; sets the error of ``state``."""
    while start < end and (data[nth(start)] == SPACE or data[nth(start)] == _TAB):
        start += 1
    while start < end and (data[nth(end - 1)] == SPACE or data[nth(end - 1)] == _RETURN):
        end -= 1
    if kind == KEY:
        if start == end:
            state[ERROR] = EMPTY
        return words.hash_of(data, start, end)
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
    columns: NDArray[np.uint64],
    row: int,
    state: NDArray[np.int64],
) -> None:
    """Read one line, from the offset of ``state`` up to and with its end, into a row of ``columns``."""
    place = state[OFFSET]
    column = 0
    nr_columns = len(kinds)
    while column < nr_columns:
        if delimiter == SPACE:
            while data[nth(place)] == SPACE or data[nth(place)] == _TAB:
                place += 1
        start = place
        if delimiter == SPACE:
            while data[nth(place)] > SPACE:
                place += 1
        else:
            while data[nth(place)] != delimiter and data[nth(place)] != _NEWLINE:
                place += 1
        if kinds[nth(column)] != 0 and state[ERROR] == 0:
            value = _value(data, start, place, kinds[nth(column)], digits, state)
            columns[nth(slots[nth(column)]), nth(row)] = value
            if state[ERROR] != 0:
                state[COLUMN], state[FIELD_START], state[FIELD_END] = column, start, place
        column += 1
        if data[nth(place)] == _NEWLINE:
            break
        place += 1
    if column < nr_columns and state[ERROR] == 0:
        state[ERROR], state[COLUMN] = TOO_FEW, column
    while data[nth(place)] != _NEWLINE:
        place += 1
    state[OFFSET] = place + 1


@jit
def read_lines(
    data: NDArray[np.uint8],
    delimiter: int,
    kinds: NDArray[np.int64],
    slots: NDArray[np.int64],
    digits: int,
    columns: NDArray[np.uint64],
    lines: NDArray[np.int64],
    state: NDArray[np.int64],
) -> int:
    """Fill rows until they are full, the data ends, or a line is wrong; return how many were filled."""
    nr_rows = 0
    while state[OFFSET] < len(data) and nr_rows < len(lines):
        state[LINE_START] = state[OFFSET]
        first = data[nth(state[OFFSET])]
        state[LINES] += 1
        if first in (_NEWLINE, _HASH, _RETURN):
            while data[nth(state[OFFSET])] != _NEWLINE:
                state[OFFSET] += 1
            state[OFFSET] += 1
            continue
        _line(data, delimiter, kinds, slots, digits, columns, nr_rows, state)
        if state[ERROR] != 0:
            break
        lines[nth(nr_rows)] = state[LINES]
        nr_rows += 1
    return nr_rows
