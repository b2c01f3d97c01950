"""Import of what valgrind's lackey sees: every access of a real program.

``valgrind --tool=lackey --trace-mem=yes PROGRAM`` writes a line an access: ``I  04016db0,3`` for an
instruction, `` L 1ffefff7e8,8``, `` S …`` and `` M …`` for loads, stores and both. Accesses to the page that
was touched last are left out: they can neither fault nor change the order of an LRU list.

Source: valgrind manual, 13 "Lackey", option ``--trace-mem``.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit, nth
from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.format import Header
from epcgroup.sim.trace.numbering import Numbering
from epcgroup.sim.trace.scan import shown
from epcgroup.sim.trace.source import Progress, open_lines
from epcgroup.sim.trace.writer import open_writer
from epcgroup.units import PAGE_SHIFT

_OUT_PAGES: Final = 1 << 17
#: Most bytes one access may touch.
_MAX_ACCESS: Final = 1 << 16
#: ... and pages.
_MAX_SPAN: Final = (_MAX_ACCESS >> PAGE_SHIFT) + 2
_SHIFT: Final = PAGE_SHIFT

# Words of the state: where the scan is, lines and accesses seen, where the last line begins, is it wrong.
_OFFSET, _LINES, _ACCESSES, _LINE_START, _BAD = range(5)
# Words of the place: the page touched last; the access of the last line: address, bytes.
_LAST, _ADDRESS, _BYTES = range(3)
_NEWLINE, _SPACE, _COMMA = 10, 32, 44
_I, _L, _M, _S, _EQUALS, _DASH = 73, 76, 77, 83, 61, 45


@jit
def _hex(byte: int) -> int:
    """Return the value of a hexadecimal digit, -1 if it is none."""
    if 48 <= byte <= 57:
        return byte - 48
    return byte - 87 if 97 <= byte <= 102 else -1


@jit
def _access(data: NDArray[np.uint8], at: int, place: NDArray[np.uint64]) -> int:
    """Read ``ADDRESS,SIZE`` and the end of the line; return where the next begins, 0 if it is not that."""
    address, nr_digits = np.uint64(0), 0
    digit = _hex(int(data[nth(at)]))
    while digit >= 0:
        address = (address << np.uint64(4)) | np.uint64(digit)
        nr_digits += 1
        at += 1
        digit = _hex(int(data[nth(at)]))
    nr_bytes = 0
    if data[nth(at)] == _COMMA:
        at += 1
        while 48 <= data[nth(at)] <= 57 and nr_bytes <= _MAX_ACCESS:
            nr_bytes = nr_bytes * 10 + int(data[nth(at)]) - 48
            at += 1
    if not 1 <= nr_digits <= 16 or not 1 <= nr_bytes <= _MAX_ACCESS or data[nth(at)] != _NEWLINE:
        return 0
    place[_ADDRESS], place[_BYTES] = address, np.uint64(nr_bytes)
    return at + 1


@jit
def _touch(place: NDArray[np.uint64], out: NDArray[np.uint64], nr_out: int) -> int:
    """Append the pages of the last access, but for the one touched before; return the new length."""
    page = place[_ADDRESS] >> np.uint64(_SHIFT)
    end = (place[_ADDRESS] + place[_BYTES] - np.uint64(1)) >> np.uint64(_SHIFT)
    while True:
        if page != place[_LAST]:
            out[nth(nr_out)] = page
            nr_out += 1
            place[_LAST] = page
        if page >= end:
            return nr_out
        page += np.uint64(1)


@jit
def _scan(
    data: NDArray[np.uint8],
    wants_code: bool,
    place: NDArray[np.uint64],
    out: NDArray[np.uint64],
    state: NDArray[np.int64],
) -> int:
    """Fill ``out`` with page transitions until it is full, the data ends or a line is wrong."""
    nr_out = 0
    at = state[_OFFSET]
    while at < len(data) and nr_out <= len(out) - _MAX_SPAN:
        state[_LINE_START] = at
        state[_LINES] += 1
        kind = data[nth(at)]
        if kind in (_EQUALS, _DASH, _NEWLINE):
            while data[nth(at)] != _NEWLINE:
                at += 1
            at += 1
            continue
        is_code = kind == _I
        if kind == _SPACE:
            at += 1
            kind = data[nth(at)]
        is_known = kind in (_I, _L, _M, _S) and data[nth(at + 1)] == _SPACE
        at += 2
        if is_code and is_known and data[nth(at)] == _SPACE:
            at += 1
        at = _access(data, at, place) if is_known else 0
        if at == 0:
            state[_BAD] = 1
            break
        state[_ACCESSES] += 1
        if wants_code or not is_code:
            nr_out = _touch(place, out, nr_out)
    state[_OFFSET] = at
    return nr_out


def import_lackey(
    path: Path, out: Path, *, wants_code: bool = True, progress: Progress | None = None
) -> Header:
    """Make a trace of lackey's output; pages are numbered in the order in which they are touched first.

    Args:
        path: lackey's output, plain or compressed, ``-``: standard input. Valgrind's own lines (``==…``) are
            skipped.
        out: the trace.
        wants_code: whether instruction fetches count.
        progress: see ``source.Progress``.

    Raises:
        TraceFormatError: a line is none of lackey's.
        OSError: a file cannot be read or written.
    """
    numbering, buffer = Numbering(), np.empty(_OUT_PAGES, np.uint64)
    place = np.array([2**64 - 1, 0, 0], np.uint64)
    nr_lines = nr_accesses = 0
    with open_lines(path, progress) as source:
        provenance = {"format": "lackey", "source": Path(source.name).name, "code": wants_code}
        with open_writer(out, provenance) as writer:
            for block in source.blocks():
                data = np.frombuffer(block.data, np.uint8)
                state = np.zeros(5, np.int64)
                while state[_OFFSET] < len(data):
                    nr_out = _scan(data, wants_code, place, buffer, state)
                    if state[_BAD]:
                        raise TraceFormatError(_complaint(source.name, block.data, block.first_line, state))
                    writer.append(numbering.numbers(buffer[:nr_out]))
                nr_lines += int(state[_LINES])
                nr_accesses += int(state[_ACCESSES])
            writer.provenance |= {"lines": nr_lines, "accesses": nr_accesses}
    return writer.header


def _complaint(name: str, data: bytes, first_line: int, state: NDArray[np.int64]) -> str:
    start = int(state[_LINE_START])
    line = data[start : data.index(b"\n", start)]
    return (
        f"{name}, line {first_line - 1 + int(state[_LINES])}: {shown(line)} is no line of lackey: expected"
        " 'I  ADDRESS,SIZE', ' L …', ' S …' or ' M …' (keep the program's own output out of it: --log-file)"
    )
