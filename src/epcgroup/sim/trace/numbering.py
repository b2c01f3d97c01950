"""Dense numbers for sparse names: pages are numbered in the order in which they are touched first."""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled import native
from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.format import MAX_PAGES

_FIRST_SLOTS = 1 << 16
#: Names looked ahead: longer than memory takes to answer.
_AHEAD = 32
_ONE = np.uint64(1)


@inlined
def _first(slots: NDArray[np.uint64], name: np.uint64) -> np.uint64:
    """Return the slot at which the search for a name begins. Source: Fibonacci hashing, Knuth 6.4."""
    mixed = name ^ (name >> np.uint64(32))
    return ((mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & np.uint64((len(slots) >> 1) - 1)


@inlined
def _place(slots: NDArray[np.uint64], name: np.uint64) -> np.uint64:
    """Return where the name stands, or the empty place where it belongs; its number stands behind it."""
    mask = np.uint64((len(slots) >> 1) - 1)
    slot = _first(slots, name)
    while slots[(slot << _ONE) + _ONE] != 0 and slots[slot << _ONE] != name:
        slot = (slot + _ONE) & mask
    return slot << _ONE


@jit
def _assign(
    slots: NDArray[np.uint64], wanted: NDArray[np.uint64], out: NDArray[np.uint32], nr_used: int
) -> int:
    size = len(wanted)
    for index in range(size):
        if index + _AHEAD < size:
            native.prefetch(slots, _first(slots, wanted[nth(index + _AHEAD)]) << _ONE)
        name = wanted[nth(index)]
        place = _place(slots, name)
        if slots[place + _ONE] == 0:
            nr_used += 1
            slots[place] = name
            slots[place + _ONE] = np.uint64(nr_used)
        out[nth(index)] = np.uint32(slots[place + _ONE] - _ONE)
    return nr_used


@jit
def _rehash(slots: NDArray[np.uint64], old: NDArray[np.uint64]) -> None:
    size = len(old)
    for index in range(0, size, 2):
        if index + 2 * _AHEAD < size:
            native.prefetch(slots, _first(slots, old[nth(index + 2 * _AHEAD)]) << _ONE)
        if old[nth(index + 1)] != 0:
            place = _place(slots, old[nth(index)])
            slots[place] = old[nth(index)]
            slots[place + _ONE] = old[nth(index + 1)]


class Numbering:
    """Gives every 64-bit name its number: 0 for the first that is seen, and so on.

    Memory: 16 bytes a slot, at most two thirds of the slots are used.

    Attributes:
        nr_used: how many names have a number.
    """

    def __init__(self) -> None:
        self.nr_used = 0
        # Of each slot the name and one more than its number; 0: empty.
        self._slots = np.zeros(2 * _FIRST_SLOTS, np.uint64)

    def numbers(self, names: NDArray[np.uint64]) -> NDArray[np.uint32]:
        """Return the numbers of names, uint32; new ones get the next numbers in order.

        Raises:
            TraceFormatError: more names than a trace can have pages.
        """
        self._make_room(len(names))
        out = np.empty(len(names), np.uint32)
        self.nr_used = int(_assign(self._slots, names, out, self.nr_used))
        return out

    def _make_room(self, nr_more: int) -> None:
        if self.nr_used + nr_more > MAX_PAGES:
            raise TraceFormatError(f"more than {MAX_PAGES} different pages")
        nr_slots = len(self._slots) // 2
        while (self.nr_used + nr_more) * 3 > nr_slots * 2:
            nr_slots *= 2
        if 2 * nr_slots > len(self._slots):
            slots = np.zeros(2 * nr_slots, np.uint64)
            _rehash(slots, self._slots)
            self._slots = slots
