"""S3-FIFO: three FIFOs, small, main and ghosts; a page must be used twice in the small one to get on.

As its authors' simulator has it: until the first page leaves, pages beyond the share of the small queue go to
the main one. How many pages that are is not known before one must leave, so they are moved then.
"""

from typing import Final

from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim.policy import ghost, queue
from epcgroup.sim.policy.interface import Policy
from epcgroup.sim.policy.memory import FRAME_OWN, LIST_OWN, Memory
from epcgroup.state.layout import State

_SMALL: Final = 0
_MAIN: Final = 1
_USES: Final = FRAME_OWN
_MOST_USES: Final = 3  # two bits
_PROMOTED_FROM: Final = 2
_IS_SPLIT: Final = LIST_OWN


@inlined
def _size(m: Memory, group: int) -> int:
    return queue.length(m, group, _SMALL) + queue.length(m, group, _MAIN)


@inlined
def _split(m: Memory, group: int) -> None:
    """Move what came after the first tenth to the main queue, once a list is full."""
    share = _size(m, group) // 10
    passed = queue.length(m, group, _SMALL) - share
    for _ in range(share):
        queue.to_tail(m, group, _SMALL, queue.head(m, group, _SMALL))
    for _ in range(passed):
        queue.to_tail(m, group, _MAIN, queue.head(m, group, _SMALL))
    m.lists[nth(group), _IS_SPLIT] = 1


@inlined
def _from_main(m: Memory, group: int) -> int:
    """Return the first page not used; those passed over go round with one use less."""
    frame = queue.head(m, group, _MAIN)
    while frame and m.frames[nth(frame), _USES]:
        m.frames[nth(frame), _USES] -= 1
        queue.to_tail(m, group, _MAIN, frame)
        frame = queue.head(m, group, _MAIN)
    return frame


@inlined
def _from_small(m: Memory, group: int) -> int:
    """Return the first page used less than twice, 0 if there is none; the others move to the main queue."""
    frame = queue.head(m, group, _SMALL)
    while frame and m.frames[nth(frame), _USES] >= _PROMOTED_FROM:
        m.frames[nth(frame), _USES] = 0
        queue.to_tail(m, group, _MAIN, frame)
        frame = queue.head(m, group, _SMALL)
    return frame


class S3Fifo(Policy):
    """Small queue of 10 %, main queue with a two-bit clock, ghosts of 90 %."""

    name = "s3-fifo"
    sentence = "a small FIFO of 10 % lets what is used twice into a main one, and what comes back soon"
    source = "Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023"

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """To the main queue if it left the small one not long ago, else to the small one."""
        if _size(m, group) == 0:
            m.lists[nth(group), _IS_SPLIT] = 0
        m.frames[nth(frame), _USES] = 0
        queue.append(m, group, _MAIN if ghost.take(s, m, group, frame) else _SMALL, frame)
        ghost.trim(m, group, _size(m, group) * 9 // 10)

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """Count up to three uses."""
        m.frames[nth(frame), _USES] = min(m.frames[nth(frame), _USES] + 1, _MOST_USES)

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """From the small queue while it has its share, else from the main one."""
        if not m.lists[nth(group), _IS_SPLIT]:
            _split(m, group)
        share = _size(m, group) // 10
        small = queue.length(m, group, _SMALL)
        frame = _from_small(m, group) if small and small >= share else 0
        if not frame:
            frame = _from_main(m, group)
        return frame if frame else queue.head(m, group, _SMALL)

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """Remembered if it left from the small queue."""
        if evicted and queue.of(m, frame) == _SMALL:
            ghost.add(s, m, group, frame)
        queue.remove(m, group, frame)
