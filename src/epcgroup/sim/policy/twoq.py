"""2Q, full version: new pages wait in a FIFO; only what comes back after leaving it is kept by LRU.

A page used several times in quick succession leaves like one used once, and a scan does not flush the rest.
Sizes are those the paper recommends: a quarter of the pages wait, ghosts of half as many are remembered.
"""

from typing import Final

from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim.policy import ghost, queue
from epcgroup.sim.policy.interface import Policy
from epcgroup.sim.policy.memory import FRAME_LIST, Memory
from epcgroup.state.layout import State

_A1IN: Final = 0
_AM: Final = 1


@inlined
def _size(m: Memory, group: int) -> int:
    return queue.length(m, group, _A1IN) + queue.length(m, group, _AM)


class TwoQ(Policy):
    """Queues A1in (FIFO), Am (LRU) and A1out (ghosts) for each list."""

    name = "2q"
    sentence = "what comes back soon after it left is kept by LRU, the rest passes through a FIFO of 25 %"
    source = "Johnson, Shasha, 2Q: a low overhead high performance buffer management algorithm, VLDB 1994"

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """To Am if it left A1in not long ago, else to A1in."""
        queue.append(m, group, _AM if ghost.take(s, m, group, frame) else _A1IN, frame)
        ghost.trim(m, group, _size(m, group) // 2)

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """Young again in Am; nothing in A1in."""
        if queue.of(m, frame) == _AM:
            queue.to_tail(m, m.frames[nth(frame), FRAME_LIST], _AM, frame)

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """First of A1in if that holds more than its share, else first of Am."""
        crowded = queue.length(m, group, _A1IN) > _size(m, group) // 4
        return queue.head(m, group, _A1IN if crowded else _AM)

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """Remembered if it left from A1in."""
        if evicted and queue.of(m, frame) == _A1IN:
            ghost.add(s, m, group, frame)
        queue.remove(m, group, frame)
