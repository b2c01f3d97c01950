"""The optimum (Belady's MIN): the page whose next use is farthest away leaves. A bound, not one to build.

It must be told the future: each program's references as a trace. A page notes which reference of its stream
is its next one, so streams may interleave in any way. On a list of one program of which one page leaves at a
time, no policy misses less. Where several programs share a list, distances are in references of their own: a
good guess, not a bound. Nor does it bound what the engine decides: which list gives up pages, and how many at
once.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.errors import UsageError
from epcgroup.sim.policy import heap
from epcgroup.sim.policy.interface import Policy
from epcgroup.sim.policy.memory import FRAME_ELEMENT, FRAME_LIST, OWN_WORDS, PAGE_OWN, Memory
from epcgroup.state.layout import State

_NEVER: Final = 2**62
_PAGE_MASK: Final = (1 << 31) - 1
_NR_KNOWN: Final = OWN_WORDS  # words of ``future`` in use
_TURN: Final = PAGE_OWN  # number of the page's next reference in its stream
_FIRST: Final = PAGE_OWN + 1  # where the stream begins in ``future``
_LENGTH: Final = PAGE_OWN + 2  # of the stream, 0 = unknown


@inlined
def _next_use(m: Memory, frame: int) -> int:
    """Take note of one reference to the page in a frame; returns the number of the next one."""
    row = nth(m.frames[nth(frame), FRAME_ELEMENT] - 1)
    turn = m.pages[row, _TURN]
    length = m.pages[row, _LENGTH]
    if not length or turn == _NEVER:
        return _NEVER
    place = turn % length
    following = m.future[nth(m.pages[row, _FIRST] + place)]
    if following != _NEVER:
        following += turn - place
    m.pages[row, _TURN] = following
    return int(following)


@jit
def _link(references: NDArray[np.uint32], upcoming: NDArray[np.int64], future: NDArray[np.int64]) -> None:
    """Write the number of the next reference to the same page beside each; ``upcoming``: after the end."""
    for back in range(len(references)):
        place = len(references) - 1 - back
        page = references[place] & np.uint32(_PAGE_MASK)
        future[place] = upcoming[page]
        upcoming[page] = place


class Optimum(Policy):
    """A heap by next use for each list."""

    name = "optimum"
    sentence = "the page whose next use is farthest away leaves: the least misses there can be (needs traces)"
    source = (
        "Belady, A study of replacement algorithms for a virtual-storage computer, IBM Systems J. 5(2), 1966"
    )
    needs_future = True

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """Into the heap."""
        heap.add(m, group, frame, _next_use(m, frame))

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """Its next use is later now."""
        heap.raise_key(m, m.frames[nth(frame), FRAME_LIST], frame, _next_use(m, frame))

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """Top of the heap."""
        return heap.top(m, group)

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """Out of the heap."""
        heap.remove(m, group, frame)

    @classmethod
    def foresee(cls, m: Memory, first_element: int, references: NDArray[np.uint32], repeats: bool) -> None:
        """Note the next use of each reference; see ``Policy.foresee``.

        Raises:
            UsageError: more references than the memory was made for.
        """
        known, length = int(m.words[_NR_KNOWN]), len(references)
        if known + length > len(m.future):
            raise UsageError(f"{known + length} references to come: room was made for {len(m.future)}")
        future = m.future[known : known + length]
        nr_pages = int((references & np.uint32(_PAGE_MASK)).max(initial=0)) + 1
        upcoming = np.full(nr_pages, _NEVER, np.int64)
        _link(references, upcoming, future)
        if repeats:
            upcoming[upcoming != _NEVER] += length
            _link(references, upcoming, future)
        rows = m.pages[first_element : first_element + nr_pages]
        rows[:, _TURN], rows[:, _FIRST], rows[:, _LENGTH] = upcoming, known, length
        m.words[_NR_KNOWN] += length
