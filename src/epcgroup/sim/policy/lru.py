"""LRU: the page that was not used for longest leaves."""

from typing import Final

from epcgroup.compiled.jit import nth
from epcgroup.sim.policy import queue
from epcgroup.sim.policy.interface import Policy
from epcgroup.sim.policy.memory import FRAME_LIST, Memory
from epcgroup.state.layout import State

_ALL: Final = 0


class Lru(Policy):
    """One queue in order of last use."""

    name = "lru"
    sentence = "the page that was not used for longest leaves"
    source = "Mattson et al., Evaluation techniques for storage hierarchies, IBM Systems J. 9(2), 1970"

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """Last in the queue."""
        queue.append(m, group, _ALL, frame)

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """Last in the queue again."""
        queue.to_tail(m, m.frames[nth(frame), FRAME_LIST], _ALL, frame)

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """First of the queue."""
        return queue.head(m, group, _ALL)

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """Out of the queue."""
        queue.remove(m, group, frame)
