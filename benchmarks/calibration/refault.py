"""Second chance by refault, as the pager's ager of that name sees it, as a policy of the simulator.

The pager has no Accessed bit. It unmaps the oldest quarter of a list that is under reclaim and keeps the
pages; a touch of such a page is a fault without loading, and makes the page young once. Other touches are not
seen. What a touch costs is not part of a policy: here it takes the time of a hit.
"""

from typing import Final

from epcgroup.compiled.jit import nth
from epcgroup.sim.policy import queue
from epcgroup.sim.policy.interface import Policy
from epcgroup.sim.policy.memory import FRAME_LIST, FRAME_OWN, LIST_OWN, Memory
from epcgroup.state.layout import State

_ALL: Final = 0
#: Columns of a frame: how many pages had come to the list before it; whether it was touched while tried.
_NUMBER: Final = FRAME_OWN
_YOUNG: Final = FRAME_OWN + 1
#: Column of a list: how many pages have come to it.
_NR_COME: Final = LIST_OWN
#: Part of a list that is tried. Source: ``pager/ager.py``, 4 sixteenths.
_TRIED_PART: Final = 4


class Refault(Policy):
    """One queue; what is touched in its oldest quarter stays for another round."""

    name = "refault"
    sentence = (
        "first in first out, but a page touched while in the oldest quarter of its list goes round again"
    )
    source = "epcgroup.pager.ager.Refault"

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """At the young end."""
        m.frames[nth(frame), _YOUNG] = 0
        m.frames[nth(frame), _NUMBER] = m.lists[nth(group), _NR_COME]
        m.lists[nth(group), _NR_COME] += 1
        queue.append(m, group, _ALL, frame)

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """Young, if it is one of the oldest: those that came after it are still behind it."""
        group = m.frames[nth(frame), FRAME_LIST]
        nr_behind = m.lists[nth(group), _NR_COME] - m.frames[nth(frame), _NUMBER]
        length = queue.length(m, group, _ALL)
        if (length - nr_behind) * _TRIED_PART < length:
            m.frames[nth(frame), _YOUNG] = 1

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """Take the oldest; the young go round again."""
        frame = queue.head(m, group, _ALL)
        while frame and m.frames[nth(frame), _YOUNG]:
            m.frames[nth(frame), _YOUNG] = 0
            m.frames[nth(frame), _NUMBER] = m.lists[nth(group), _NR_COME]
            m.lists[nth(group), _NR_COME] += 1
            queue.to_tail(m, group, _ALL, frame)
            frame = queue.head(m, group, _ALL)
        return frame

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """Out of the queue."""
        queue.remove(m, group, frame)
