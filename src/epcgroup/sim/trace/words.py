"""Eight bytes at a time: numbers, keys and ends of fields out of words of text, for lines as they should be.

What is out of the ordinary in a line (no number, blanks, a column too few) is left to ``bytewise.py``,
which can say what is wrong. Source of the arithmetic:
S. E. Anderson, "Bit Twiddling Hacks" (a zero byte in a word); W. Muła, D. Lemire (eight digits by three
multiplications); A. Appleby, MurmurHash64A.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled import native
from epcgroup.compiled.jit import inlined, jit, nth

#: What a wanted column may hold here; ``bytewise.py`` knows more kinds.
NUMBER, KEY = 1, 4

_SPACE, _TAB, _NEWLINE, _RETURN, _HASH = 32, 9, 10, 13, 35
_ONE: Final = np.uint64(1)
_SEVEN: Final = np.uint64(7)
_EIGHT: Final = np.uint64(8)
_64: Final = np.uint64(64)
_LOWEST: Final = np.uint64(0x0101010101010101)
_HIGHEST: Final = np.uint64(0x8080808080808080)
#: Times 2^8n it has n in its three highest bits.
_PLACES: Final = np.uint64(0x0020406080A0C0E0)
_61: Final = np.uint64(61)
_ZEROS: Final = np.uint64(0x3030303030303030)
_BEYOND_NINE: Final = np.uint64(0x7676767676767676)
_NIBBLES: Final = np.uint64(0x0F0F0F0F0F0F0F0F)
_PAIRS: Final = np.uint64(0x000000FF000000FF)
_HUNDREDS: Final = np.uint64(0x000F424000000064)
_UNITS: Final = np.uint64(0x0000271000000001)
_16: Final = np.uint64(16)
_32: Final = np.uint64(32)
_TEN: Final = np.uint64(10)
_TEN_8: Final = np.uint64(10**8)
#: Sixteen digits that four more may follow, whatever they are.
_MOST: Final = np.uint64(1844674407370954)
_MIX: Final = np.uint64(0xC6A4A7935BD1E995)
_47: Final = np.uint64(47)
# Words of the state of a run of lines; that of the second begins at RUN.
PLACE, END, NR_LINES = range(3)
RUN: Final = 3
#: 10^n for the digits of a word.
POWERS: Final = np.array([10**n for n in range(9)], np.uint64)


def last_line(data: bytes) -> int:
    """Return the last byte of some lines that one may begin at to be read here; -1: there is none.

    A word is read at any byte of a line and at its end: the last lines are too near to the end of the data.
    """
    return data.rfind(b"\n", 0, max(len(data) - 7, 0))


@inlined
def _nr_before(flags: np.uint64) -> np.uint64:
    """Return how many bytes stand before the first whose highest bit is set; there must be one."""
    return (((flags & (~flags + _ONE)) >> _SEVEN) * _PLACES) >> _61


@inlined
def _zeros(word: np.uint64) -> np.uint64:
    """Return a flag in the first byte that is zero; bytes behind it may have one without reason."""
    return (word - _LOWEST) & ~word & _HIGHEST


@inlined
def _no_digits(word: np.uint64) -> np.uint64:
    """Return a flag in the first byte that is no digit; bytes behind it may have one without reason."""
    values = word ^ _ZEROS
    return ((values + _BEYOND_NINE) | values) & _HIGHEST


@inlined
def _eight_digits(word: np.uint64) -> np.uint64:
    """Return the number of eight digits, the first in the lowest byte; zero bytes are digits 0."""
    digits = word & _NIBBLES
    pairs = digits * _TEN + (digits >> _EIGHT)
    return ((pairs & _PAIRS) * _HUNDREDS + ((pairs >> _16) & _PAIRS) * _UNITS) >> _32


@inlined
def _end(data: NDArray[np.uint8], place: np.uint64, ends: np.uint64, newlines: np.uint64) -> np.uint64:
    """Return where the next delimiter or the end of the line is; both given eight times in a word."""
    flags = _zeros(native.word(data, place) ^ ends) | _zeros(native.word(data, place) ^ newlines)
    while flags == 0:
        place += _EIGHT
        flags = _zeros(native.word(data, place) ^ ends) | _zeros(native.word(data, place) ^ newlines)
    return place + _nr_before(flags)


@inlined
def _number(
    data: NDArray[np.uint8], powers: NDArray[np.uint64], place: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Return the decimal number at a place and its number of digits; 0: it has none, or may be too large."""
    value, nr_digits = np.uint64(0), np.uint64(0)
    word = native.word(data, place)
    flags = _no_digits(word)
    while flags == 0 and nr_digits < _16:
        value = value * _TEN_8 + _eight_digits(word)
        nr_digits += _EIGHT
        word = native.word(data, place + nr_digits)
        flags = _no_digits(word)
    if flags == 0:
        return value, np.uint64(0)
    rest = _nr_before(flags)
    if rest != 0:
        if nr_digits == _16 and (rest > 4 or (rest == 4 and value > _MOST)):
            return value, np.uint64(0)
        value = value * powers[rest] + _eight_digits(word << (_64 - _EIGHT * rest))
    return value, nr_digits + rest


@inlined
def _mixed(value: np.uint64, word: np.uint64) -> np.uint64:
    word *= _MIX
    word = (word ^ (word >> _47)) * _MIX
    return (value ^ word) * _MIX


@inlined
def _finished(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> _47)) * _MIX
    return value ^ (value >> _47)


@jit
def hash_of(data: NDArray[np.uint8], start: int, end: int) -> np.uint64:
    """Return a 64-bit hash of some bytes, one by one."""
    value = np.uint64(end - start) * _MIX
    word, shift = np.uint64(0), np.uint64(0)
    for place in range(start, end):
        word |= np.uint64(data[nth(place)]) << shift
        shift += _EIGHT
        if shift == _64:
            value = _mixed(value, word)
            word, shift = np.uint64(0), np.uint64(0)
    if shift != 0:
        value = _mixed(value, word)
    return _finished(value)


@inlined
def _hash(data: NDArray[np.uint8], start: np.uint64, end: np.uint64) -> np.uint64:
    """Return what ``hash_of`` does."""
    value = (end - start) * _MIX
    while start + _EIGHT <= end:
        value = _mixed(value, native.word(data, start))
        start += _EIGHT
    if start != end:
        value = _mixed(value, native.word(data, start) & ((_ONE << (_EIGHT * (end - start))) - _ONE))
    return _finished(value)


@inlined
def _is_blank(byte: int) -> bool:
    return byte in (_SPACE, _TAB, _RETURN)


@inlined
def clean_line(
    data: NDArray[np.uint8],
    powers: NDArray[np.uint64],
    delimiter: int,
    step: np.uint64,
    kinds: NDArray[np.int64],
    slots: NDArray[np.int64],
    place: np.uint64,
    columns: NDArray[np.uint64],
    row: np.uint64,
) -> np.uint64:
    """Read a line into a row of ``columns``; return where the next begins, 0: it is not clean."""
    ends, newlines = np.uint64(delimiter) * _LOWEST, np.uint64(_NEWLINE) * _LOWEST
    last = len(kinds) - 1
    if data[place] == _NEWLINE or data[place] == _RETURN or data[place] == _HASH:
        return np.uint64(0)
    for column in range(len(kinds)):
        kind = kinds[nth(column)]
        if kind == NUMBER:
            value, nr_digits = _number(data, powers, place)
            if nr_digits == 0:
                return np.uint64(0)
            columns[nth(slots[nth(column)]), row] = value
            place += nr_digits
        else:
            start = place
            place = _end(data, place, ends, newlines)
            if kind == KEY:
                if start == place or _is_blank(data[start]) or _is_blank(data[place - _ONE]):
                    return np.uint64(0)
                columns[nth(slots[nth(column)]), row] = _hash(data, start, place)
        if data[place] != delimiter:
            if column != last or data[place] != _NEWLINE:
                return np.uint64(0)
            return place + _ONE
        if step != _ONE and data[place + _ONE] != _SPACE:
            return np.uint64(0)
        place += step
    return _end(data, place - step, newlines, newlines) + _ONE


@jit
def clean_lines(
    data: NDArray[np.uint8],
    powers: NDArray[np.uint64],
    delimiter: int,
    step: np.uint64,
    kinds: NDArray[np.int64],
    slots: NDArray[np.int64],
    columns: NDArray[np.uint64],
    state: NDArray[np.uint64],
) -> None:
    """Read two runs of lines by turns, up to their ends, a line that is not clean, or the end of the room.

    Where a line begins is known only at the end of the one before, and a processor waits for it meanwhile;
    two runs it follows at once. The second is in vain when the first does not reach its end.

    Args:
        data: the bytes.
        powers: ``POWERS``.
        delimiter: not a space.
        step: from a delimiter to the next field, 1 or 2: what blanks there are, are the same everywhere.
        kinds: of the columns; 0: not wanted.
        slots: row of ``columns`` of each.
        columns: uint64 (wanted, rows): the first run fills the first half, the second the other.
        state: of each run where it stands, where it ends, and how many lines it has read; uint64 (6,).
    """
    one = np.uint64(1)
    half = np.uint64(columns.shape[1] >> 1)
    first, second = state[PLACE], state[RUN + PLACE]
    end, second_end = state[END], state[RUN + END]
    nr_first, nr_second = np.uint64(0), np.uint64(0)
    while first < end and nr_first < half:
        after = clean_line(data, powers, delimiter, step, kinds, slots, first, columns, nr_first)
        if after == 0:
            break
        first = after
        nr_first += one
        if second < second_end and nr_second < half:
            row = half + nr_second
            after = clean_line(data, powers, delimiter, step, kinds, slots, second, columns, row)
            if after == 0:
                second_end = second
            else:
                second = after
                nr_second += one
    while first >= end and second < second_end and nr_second < half:
        row = half + nr_second
        after = clean_line(data, powers, delimiter, step, kinds, slots, second, columns, row)
        if after == 0:
            break
        second = after
        nr_second += one
    state[PLACE], state[NR_LINES] = first, nr_first
    state[RUN + PLACE], state[RUN + NR_LINES] = second, nr_second
