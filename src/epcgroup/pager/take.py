"""Runs of neighbouring pages, and one buffer to take them into: shared by reclaim and ager."""

import ctypes
import mmap
from collections.abc import Iterator, Sequence

from epcgroup.abi import memory
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.evict import Evictor
from epcgroup.pager.table import runs_of
from epcgroup.units import PAGE_SHIFT


class Buffer:
    """Page-aligned memory of the pager for plain pages; locked where allowed, never in a core dump."""

    def __init__(self, nr_pages: int) -> None:
        self._map = mmap.mmap(-1, nr_pages << PAGE_SHIFT)
        self._map.madvise(mmap.MADV_DONTDUMP)
        first = ctypes.c_char.from_buffer(self._map)
        self.address = ctypes.addressof(first)
        del first
        memory.lock(self.address, nr_pages << PAGE_SHIFT)
        self.view = memoryview(self._map)
        #: One view a page, made once: the hot path makes none.
        self.pages = [self.view[i << PAGE_SHIFT : (i + 1) << PAGE_SHIFT] for i in range(nr_pages)]


class Taker:
    """An evictor and the buffer it takes into; ``pages[i]`` is the i-th page taken last."""

    def __init__(self, evictor: Evictor) -> None:
        self.evictor = evictor
        self.max_pages = evictor.max_pages
        self._buffer = Buffer(evictor.max_pages)
        self.pages = self._buffer.pages
        self._lengths = [self._buffer.view[: count << PAGE_SHIFT] for count in range(self.max_pages + 1)]
        self._runs: list[tuple[int, int]] = []

    def take(self, enclave: Enclave, pages: Sequence[int]) -> None:
        """Take pages (ascending, at most ``max_pages``) out of their file; raises as ``Evictor.take``."""
        self._runs = runs_of(pages)
        self.evictor.take(enclave, self._runs, self._lengths[len(pages)])

    def settle(self, enclave: Enclave) -> None:
        """The state of the pages taken last is right again."""
        self.evictor.settle(enclave, self._runs)


def by_enclave(rows: Sequence[tuple[int, int]], longest: int) -> Iterator[tuple[int, list[int]]]:
    """Yield (enclave, pages) of sorted (enclave, page), at most ``longest`` pages at a time."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or rows[end][0] != rows[start][0] or end - start == longest:
            yield rows[start][0], [page for _, page in rows[start:end]]
            start = end
