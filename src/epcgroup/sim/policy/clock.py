"""CLOCK: FIFO with a second chance for what was used since the hand came by.

The engine's own second chance is this, but for one thing: there the hand stops after a batch, whether or not
it found old pages, and fewer leave. With batches of one page both are the same.
"""

from typing import Final

from epcgroup.compiled.jit import nth
from epcgroup.sim.policy import queue
from epcgroup.sim.policy.interface import Policy
from epcgroup.sim.policy.memory import FRAME_OWN, Memory
from epcgroup.state.layout import State

_ALL: Final = 0
_USED: Final = FRAME_OWN


class Clock(Policy):
    """One queue, a bit a page; the hand moves on until it finds a page that was not used."""

    name = "clock"
    sentence = "the first page in order of arrival that was not used since it was last passed over leaves"
    source = "Corbato, A paging experiment with the Multics system, MIT Project MAC Report MAC-M-384, 1968"

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """Behind the hand, not used."""
        m.frames[nth(frame), _USED] = 0
        queue.append(m, group, _ALL, frame)

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """Used."""
        m.frames[nth(frame), _USED] = 1

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """Move the hand to the first page that was not used."""
        frame = queue.head(m, group, _ALL)
        while frame and m.frames[nth(frame), _USED]:
            m.frames[nth(frame), _USED] = 0
            queue.to_tail(m, group, _ALL, frame)
            frame = queue.head(m, group, _ALL)
        return frame

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """Out of the queue."""
        queue.remove(m, group, frame)
