"""Memory of the pager for plain pages."""

import ctypes
import mmap

from epcgroup.abi import memory
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
