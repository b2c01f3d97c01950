"""Where the pages that left the EPC are kept: a slab an enclave, one budget for all.

A slot holds either a sealed page (a record) or, while the ager tries a page, its plain copy. Slots are given
out lowest first, so that a slab is as large as the most pages its enclave had out at one time; what is free
above that can be given back by ``trim``.
"""

import contextlib
import ctypes
import mmap
from array import array
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
    """How many sealed pages all slabs together may hold; ``nr_free`` is taken from by who seals.

    ``word``: one int64, where compiled code counts too.
    """

    __slots__ = ("_word", "nr_slots")

    def __init__(self, limit_bytes: int, word: "memoryview[int] | None" = None) -> None:
        self.nr_slots = limit_bytes // SLOT_BYTES
        self._word = memoryview(bytearray(8)).cast("q") if word is None else word
        self._word[0] = self.nr_slots

    @property
    def nr_free(self) -> int:
        """Sealed pages there is room for."""
        return self._word[0]

    @nr_free.setter
    def nr_free(self, value: int) -> None:
        self._word[0] = value

    @property
    def stored_bytes(self) -> int:
        """Bytes of sealed pages now in the store."""
        return (self.nr_slots - self.nr_free) * SLOT_BYTES


class Slab:
    """The slots of one enclave, in memory of the pager; ``address`` and ``view`` cover all slots.

    ``slots[page]`` is the slot a page has; ``free`` holds ``nr_free[0]`` slots that were used before.
    Compiled code gives slots up too.
    """

    __slots__ = (
        "_map",
        "_nr_touched",
        "_nr_trimmed",
        "address",
        "free",
        "is_locked",
        "nr_free",
        "slots",
        "view",
    )

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
        self.free = table("I", nr_pages)
        self.nr_free: memoryview[int] = memoryview(bytearray(8)).cast("Q")
        self._nr_touched = 0
        self._nr_trimmed = 0

    @property
    def nr_used(self) -> int:
        """Slots that hold something."""
        return self._nr_touched - self.nr_free[0]

    def take(self, pages: Sequence[int]) -> list[memoryview]:
        """Give pages a slot each and return the slots' bytes."""
        slots, view, nr, nr_free = self.slots, self.view, len(pages), self.nr_free[0]
        self.nr_free[0] = nr_kept = max(nr_free - nr, 0)
        given = self.free[nr_kept:nr_free].tolist()
        given.reverse()  # as if popped one by one
        if len(given) < nr:
            first, self._nr_touched = self._nr_touched, self._nr_touched + nr - len(given)
            given.extend(range(first, self._nr_touched))
        for page, slot in zip(pages, given, strict=True):
            slots[page] = slot
        return [view[offset : offset + SLOT_BYTES] for offset in map(SLOT_BYTES.__mul__, given)]

    def drop(self, page: int) -> None:
        """Give up the slot a page has."""
        self.free[self.nr_free[0]] = self.slots[page]
        self.nr_free[0] += 1

    def drop_all(self) -> None:
        """Give up all slots, and their memory."""
        self.nr_free[0] = 0
        self._nr_touched = self._nr_trimmed = 0
        self._release(0, len(self.view) // SLOT_BYTES)

    def record(self, page: int) -> memoryview:
        """Return the bytes of the slot a page has (writable: tests forge them)."""
        offset = self.slots[page] * SLOT_BYTES
        return self.view[offset : offset + SLOT_BYTES]

    def trim(self) -> bool:
        """Give memory of free slots back to the system, if it is worth it; True if something was done."""
        nr_free = self.nr_free[0]
        if nr_free < self._nr_trimmed + _TRIM_SLOTS:
            self._nr_trimmed = min(self._nr_trimmed, nr_free)
            return False
        # Lowest last: it is popped first, so that use moves down and the top becomes free.
        free = sorted(self.free[:nr_free].tolist(), reverse=True)
        top = 0
        while top < len(free) and free[top] == self._nr_touched - 1:
            top += 1
            self._nr_touched -= 1
        del free[:top]
        self.free[: len(free)] = array("I", free)
        self.nr_free[0] = len(free)
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
