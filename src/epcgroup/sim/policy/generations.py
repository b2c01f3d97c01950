"""Generations, after Linux' multi-generational LRU: a page is as old as the period it was last used in.

Periods are numbered for each list; a page belongs to the generation of the period of its last use, and the
oldest generation leaves in order of arrival. A new period begins when the kernel's rule says so: fewer than
three generations left, or, of three, more than half of the pages in the youngest or less than a quarter in
the oldest. Four exist at most.

The kernel learns of uses by walking page tables when a period ends, and puts what it finds into the
generation of that period; here the number is noted at once and the page moves when it comes up for eviction.
Left out: tiers, which count uses through file descriptors (EPC pages have none), the refault feedback that
goes with them, and the Bloom filters that make the walks cheaper.
"""

from typing import Final

from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim.policy import queue
from epcgroup.sim.policy.interface import Policy
from epcgroup.sim.policy.memory import FRAME_LIST, FRAME_OWN, LIST_OWN, Memory
from epcgroup.state.layout import State

_MOST: Final = 4
_LEAST: Final = 2
_PERIOD: Final = FRAME_OWN  # of the last use
_YOUNGEST: Final = LIST_OWN
_OLDEST: Final = LIST_OWN + 1
_PAGES: Final = LIST_OWN + 2  # pages of each generation, by number modulo _MOST


@inlined
def _join(m: Memory, group: int, frame: int) -> None:
    """Note that a page belongs to the youngest generation."""
    period = m.lists[nth(group), _YOUNGEST]
    m.frames[nth(frame), _PERIOD] = period
    m.lists[nth(group), nth(_PAGES + period % _MOST)] += 1


@inlined
def _leave(m: Memory, group: int, frame: int) -> None:
    m.lists[nth(group), nth(_PAGES + m.frames[nth(frame), _PERIOD] % _MOST)] -= 1


@inlined
def _is_new_due(m: Memory, group: int) -> bool:
    """Return whether a new period is to begin. Source: Linux 6.6, mm/vmscan.c, should_run_aging."""
    youngest = m.lists[nth(group), _YOUNGEST]
    oldest = m.lists[nth(group), _OLDEST]
    if oldest + _LEAST != youngest:
        return bool(oldest + _LEAST > youngest)
    nr_pages = 0
    for each in range(_MOST):
        nr_pages += m.lists[nth(group), nth(_PAGES + each)]
    return bool(
        m.lists[nth(group), nth(_PAGES + youngest % _MOST)] * _LEAST > nr_pages
        or m.lists[nth(group), nth(_PAGES + oldest % _MOST)] * (_LEAST + 2) < nr_pages
    )


@inlined
def _advance(m: Memory, group: int) -> None:
    """Begin a period if one is due, and pass over generations that are empty."""
    if _is_new_due(m, group):
        m.lists[nth(group), _YOUNGEST] += 1
    while m.lists[nth(group), _OLDEST] < m.lists[nth(group), _YOUNGEST] and not queue.length(
        m, group, m.lists[nth(group), _OLDEST] % _MOST
    ):
        m.lists[nth(group), _OLDEST] += 1


class Generations(Policy):
    """Up to four queues by period of last use."""

    name = "generations"
    sentence = (
        "pages last used in the oldest of up to four periods leave, in order of arrival there (as MGLRU)"
    )
    source = "Linux 6.6, mm/vmscan.c and Documentation/mm/multigen_lru.rst"

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """Into the youngest generation."""
        _join(m, group, frame)
        queue.append(m, group, m.lists[nth(group), _YOUNGEST] % _MOST, frame)

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """Of the youngest generation now; moved when it comes up."""
        group = m.frames[nth(frame), FRAME_LIST]
        if m.frames[nth(frame), _PERIOD] != m.lists[nth(group), _YOUNGEST]:
            _leave(m, group, frame)
            _join(m, group, frame)

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """First page of the oldest generation that was not used since."""
        _advance(m, group)
        oldest = m.lists[nth(group), _OLDEST]
        frame = queue.head(m, group, oldest % _MOST)
        while frame and m.frames[nth(frame), _PERIOD] != oldest:
            queue.to_tail(m, group, m.frames[nth(frame), _PERIOD] % _MOST, frame)
            _advance(m, group)
            oldest = m.lists[nth(group), _OLDEST]
            frame = queue.head(m, group, oldest % _MOST)
        return frame

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """Out of its generation."""
        _leave(m, group, frame)
        queue.remove(m, group, frame)
