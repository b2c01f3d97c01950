"""FIFO: the page that came first leaves first, used or not."""

from typing import Final

from epcgroup.sim.policy import queue
from epcgroup.sim.policy.interface import Policy
from epcgroup.sim.policy.memory import Memory
from epcgroup.state.layout import State

_ALL: Final = 0


class Fifo(Policy):
    """One queue in order of arrival."""

    name = "fifo"
    sentence = "the page that came first leaves first"
    source = (
        "Belady, A study of replacement algorithms for a virtual-storage computer, IBM Systems J. 5(2), 1966"
    )

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """Last in the queue."""
        queue.append(m, group, _ALL, frame)

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """Nothing."""

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """First of the queue."""
        return queue.head(m, group, _ALL)

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """Out of the queue."""
        queue.remove(m, group, frame)
