"""Dense numbers for sparse names: pages are numbered in the order in which they are touched first."""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit, nth
from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.format import MAX_PAGES

_FIRST_SLOTS = 1 << 16


@jit
def _place(names: NDArray[np.uint64], numbers: NDArray[np.uint32], name: np.uint64) -> np.uint64:
    """Return the slot of a name, or the empty one where it belongs. Source: Fibonacci hashing, Knuth 6.4."""
    mask = np.uint64(len(names) - 1)
    mixed = name ^ (name >> np.uint64(32))
    slot = ((mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
    while numbers[slot] != 0 and names[slot] != name:
        slot = (slot + np.uint64(1)) & mask
    return slot


@jit
def _assign(
    names: NDArray[np.uint64],
    numbers: NDArray[np.uint32],
    wanted: NDArray[np.uint64],
    out: NDArray[np.uint32],
    nr_used: int,
) -> int:
    for index in range(len(wanted)):
        name = wanted[nth(index)]
        slot = _place(names, numbers, name)
        if numbers[slot] == 0:
            nr_used += 1
            names[slot] = name
            numbers[slot] = nr_used
        out[nth(index)] = numbers[slot] - 1
    return nr_used


@jit
def _rehash(
    names: NDArray[np.uint64],
    numbers: NDArray[np.uint32],
    old_names: NDArray[np.uint64],
    old_numbers: NDArray[np.uint32],
) -> None:
    for index in range(len(old_names)):
        if old_numbers[nth(index)] != 0:
            slot = _place(names, numbers, old_names[nth(index)])
            names[slot] = old_names[nth(index)]
            numbers[slot] = old_numbers[nth(index)]


class Numbering:
    """Gives every 64-bit name its number: 0 for the first that is seen, and so on.

    Memory: 12 bytes a slot, at most two thirds of the slots are used.

    Attributes:
        nr_used: how many names have a number.
    """

    def __init__(self) -> None:
        self.nr_used = 0
        self._names = np.zeros(_FIRST_SLOTS, np.uint64)
        self._numbers = np.zeros(_FIRST_SLOTS, np.uint32)  # one more than the number; 0: empty

    def numbers(self, names: NDArray[np.uint64]) -> NDArray[np.uint32]:
        """Return the numbers of names, uint32; new ones get the next numbers in order.

        Raises:
            TraceFormatError: more names than a trace can have pages.
        """
        self._make_room(len(names))
        out = np.empty(len(names), np.uint32)
        self.nr_used = int(_assign(self._names, self._numbers, names, out, self.nr_used))
        return out

    def _make_room(self, nr_more: int) -> None:
        if self.nr_used + nr_more > MAX_PAGES:
            raise TraceFormatError(f"more than {MAX_PAGES} different pages")
        nr_slots = len(self._names)
        while (self.nr_used + nr_more) * 3 > nr_slots * 2:
            nr_slots *= 2
        if nr_slots > len(self._names):
            names, numbers = np.zeros(nr_slots, np.uint64), np.zeros(nr_slots, np.uint32)
            _rehash(names, numbers, self._names, self._numbers)
            self._names, self._numbers = names, numbers
