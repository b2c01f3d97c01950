"""Tables of one number a page that cost memory only where they were written; runs of page numbers."""

import mmap
from collections.abc import Sequence
from typing import Literal

_SIZES = {"B": 1, "I": 4, "Q": 8}


def table(typecode: Literal["B", "I", "Q"], nr_rows: int) -> "memoryview[int]":
    """Return ``nr_rows`` zeros of ``struct`` type B (u8), I (u32) or Q (u64); memory comes on demand."""
    region = mmap.mmap(-1, nr_rows * _SIZES[typecode], flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        region.madvise(mmap.MADV_NOHUGEPAGE)  # or 2 MiB may come with the first number
    return memoryview(region).cast(typecode)


def runs_of(pages: Sequence[int]) -> list[tuple[int, int]]:
    """Return (first, count) of every run of neighbours in an ascending sequence of page numbers."""
    runs = []
    first = following = -1
    for page in pages:
        if page != following:
            if first >= 0:
                runs.append((first, following - first))
            first = page
        following = page + 1
    if first >= 0:
        runs.append((first, following - first))
    return runs
