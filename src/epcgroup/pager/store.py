"""Where the pages that left the EPC are kept: a slab an enclave, one budget for all.

A slot holds either a sealed page (a record) or, while the ager tries a page, its plain copy. Slots are given
out lowest first, so that a slab is as large as the most pages its enclave had out at one time; what is free
above that can be given back by ``trim``.
"""

import contextlib
import ctypes
import mmap
from collections.abc import Sequence
from typing import Final

from epcgroup.abi import memory
from epcgroup.pager.seal import RECORD_BYTES
from epcgroup.pager.table import runs_of, table
from epcgroup.units import PAGE_SIZE

SLOT_BYTES: Final = RECORD_BYTES
_FLAGS: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | memory.MAP_NORESERVE
#: Freed slots that make a ``trim`` worth its system calls.
_TRIM_SLOTS: Final = 256


class Budget:
    """How many sealed pages all slabs together may hold; ``nr_free`` is taken from by who seals."""

    __slots__ = ("nr_free", "nr_slots")

    def __init__(self, limit_bytes: int) -> None:
        self.nr_slots = limit_bytes // SLOT_BYTES
        self.nr_free = self.nr_slots

    @property
    def stored_bytes(self) -> int:
        """Bytes of sealed pages now in the store."""
        return (self.nr_slots - self.nr_free) * SLOT_BYTES


class Slab:
    """The slots of one enclave, in memory of the pager; ``address`` and ``view`` cover all slots.

    ``slots[page]`` is the slot a page has. ``free`` holds slots that were used before and are free: appending
    a slot to it is how one is given up.
    """

    __slots__ = ("_map", "_nr_touched", "_nr_trimmed", "address", "free", "is_locked", "slots", "view")

    def __init__(self, nr_pages: int) -> None:
        length = nr_pages * SLOT_BYTES
        self._map = mmap.mmap(-1, length, flags=_FLAGS)
        first = ctypes.c_char.from_buffer(self._map)
        self.address = ctypes.addressof(first)
        del first
        self._map.madvise(mmap.MADV_DONTDUMP)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            self._map.madvise(mmap.MADV_NOHUGEPAGE)
        # Plain copies of parked pages must not be swapped out.
        self.is_locked = memory.lock_on_fault(self.address, length)
        self.view = memoryview(self._map)
        self.slots = table("I", nr_pages)
        self.free: list[int] = []
        self._nr_touched = 0
        self._nr_trimmed = 0

    @property
    def nr_used(self) -> int:
        """Slots that hold something."""
        return self._nr_touched - len(self.free)

    def take(self, pages: Sequence[int]) -> list[memoryview]:
        """Give pages a slot each and return the slots' bytes."""
        free, slots, view = self.free, self.slots, self.view
        records = []
        for page in pages:
            if free:
                slot = free.pop()
            else:
                slot = self._nr_touched
                self._nr_touched += 1
            slots[page] = slot
            offset = slot * SLOT_BYTES
            records.append(view[offset : offset + SLOT_BYTES])
        return records

    def record(self, page: int) -> memoryview:
        """Return the bytes of the slot a page has (writable: tests forge them)."""
        offset = self.slots[page] * SLOT_BYTES
        return self.view[offset : offset + SLOT_BYTES]

    def trim(self) -> bool:
        """Give memory of free slots back to the system, if it is worth it; True if something was done."""
        if len(self.free) < self._nr_trimmed + _TRIM_SLOTS:
            self._nr_trimmed = min(self._nr_trimmed, len(self.free))
            return False
        free = self.free
        # Lowest last: it is popped first, so that use moves down and the top becomes free.
        free.sort(reverse=True)
        top = 0
        while top < len(free) and free[top] == self._nr_touched - 1:
            top += 1
            self._nr_touched -= 1
        del free[:top]
        self._release(self._nr_touched, len(self.view) // SLOT_BYTES)
        for first, count in runs_of(free[::-1]):
            self._release(first, first + count)
        self._nr_trimmed = len(free)
        return True

    def _release(self, first_slot: int, end_slot: int) -> None:
        """Give back the memory pages that lie wholly in these slots."""
        start = -(-first_slot * SLOT_BYTES // PAGE_SIZE) * PAGE_SIZE
        length = end_slot * SLOT_BYTES // PAGE_SIZE * PAGE_SIZE - start
        if length > 0:
            advice = memory.MADV_DONTNEED_LOCKED if self.is_locked else memory.MADV_DONTNEED
            # Before Linux 5.18 locked memory cannot be given back: it stays, to be used again.
            with contextlib.suppress(OSError):
                self._map.madvise(advice, start, length)

    def close(self) -> None:
        """Give the memory back; its content is gone."""
        self.view.release()
        self._map.close()
