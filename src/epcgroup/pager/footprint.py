"""Keeps the pager small: what was needed only to start is given back.

Numba maps about 60 MB of LLVM, which loads cached code at start and is never used after. Its clean pages are
dropped from this process (they stay in the page cache, should anything need them again).
"""

import ctypes
import gc
import re
from pathlib import Path

from epcgroup.abi import memory

_RANGE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)")


def _clean_ranges() -> list[tuple[int, int]]:
    """(start, length) of private file mappings that are not writable and hold no page of our own."""
    ranges: list[tuple[int, int]] = []
    candidate: tuple[int, int] | None = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = _RANGE.match(line)
        if head:
            start, end, rights, inode = int(head[1], 16), int(head[2], 16), head[3], int(head[4])
            is_code = inode != 0 and "w" not in rights and rights.endswith("p")
            candidate = (start, end - start) if is_code else None
        elif candidate and line.startswith("Anonymous:") and int(line.split()[1]) == 0:
            ranges.append(candidate)
    return ranges


def shrink() -> None:
    """Collect garbage, give free heap and clean code pages back to the system, and keep the collector quiet.

    From here on nothing makes cycles, so that the collector, which would stop a fault for milliseconds, is
    off.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    for start, length in _clean_ranges():
        memory.advise(start, length, memory.MADV_DONTNEED)


def resident_bytes() -> int:
    """Return the resident memory of this process. Source: proc(5), VmRSS."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
