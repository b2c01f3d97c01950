"""The three calls of a loop under a policy: what a policy need not care about.

A page may leave a list without the policy having a say: its enclave ends, it is lost, a series blocks it. So
the layer notes which page the policy knows in each frame, and keeps one promise: every ``inserted`` is
followed by exactly one ``removed`` for the same list before the next ``inserted`` for the frame.

``inserted`` ... ``removed`` are stand-ins here; ``bind`` puts the policy's in their place.
"""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, nth
from epcgroup.engine import lru, reclaim
from epcgroup.sim.policy.memory import FRAME_ELEMENT, FRAME_LIST, NR_DECLINED, NR_FRAMES, Memory, tables
from epcgroup.state import layout as at
from epcgroup.state.layout import State

_WRITTEN = 0
_YOUNG = 1


@inlined
def inserted(s: State, m: Memory, group: int, frame: int) -> None:
    """A page came to the list of ``group``, in ``frame``."""


@inlined
def touched(s: State, m: Memory, frame: int) -> None:
    """The page in ``frame`` was used."""


@inlined
def victim(s: State, m: Memory, group: int) -> int:
    """Return the frame whose page is to leave the list of ``group``; 0: whichever the engine took."""
    return 0


@inlined
def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
    """The page in ``frame`` left its list: evicted, or gone with its enclave."""


@inlined
def _forget(s: State, m: Memory, frame: int, evicted: bool) -> None:
    removed(s, m, m.frames[nth(frame), FRAME_LIST], frame, evicted)
    m.frames[nth(frame), FRAME_ELEMENT] = 0


@inlined
def touch(s: State, memory: NDArray[np.uint8], element: int) -> None:
    """A resident page was used."""
    m = tables(memory)
    frame = s.pages[nth(element)]
    if m.frames[nth(frame), FRAME_ELEMENT] == np.int64(element) + 1:
        touched(s, m, frame)


@inlined
def arrive(s: State, memory: NDArray[np.uint8], element: int) -> None:
    """A page was created or loaded."""
    m = tables(memory)
    frame = s.pages[nth(element)]
    if m.frames[nth(frame), FRAME_ELEMENT]:
        _forget(s, m, frame, False)
    group = lru.owner(s, frame)
    m.frames[nth(frame), FRAME_ELEMENT] = np.int64(element) + 1
    m.frames[nth(frame), FRAME_LIST] = group
    inserted(s, m, group, frame)


@inlined
def _is_known(s: State, m: Memory, frame: int) -> bool:
    """Return whether the page the policy knows in a frame is still there and on that list."""
    element = s.enclaves[nth(s.frames[nth(frame), at.FRAME_ENCLAVE]), at.ENCLAVE_OFFSET]
    element += s.frames[nth(frame), at.FRAME_PAGE]
    return bool(
        m.frames[nth(frame), FRAME_ELEMENT] == element + 1
        and m.frames[nth(frame), FRAME_LIST] == lru.owner(s, frame)
    )


@inlined
def _choose(s: State, m: Memory, row: int) -> int:
    """Let the page the policy wants leave in a row; returns the frame in the row then.

    A page the policy does not know leaves first. One it names that has gone is forgotten; it is asked again.
    """
    where = at.BATCH + at.BATCH_COLUMNS * row + 3
    frame = s.machine[nth(where)]
    group = lru.owner(s, frame)
    while _is_known(s, m, frame):
        wanted = victim(s, m, group)
        if not 0 < wanted <= m.words[NR_FRAMES] or not m.frames[nth(wanted), FRAME_ELEMENT]:
            m.words[NR_DECLINED] += 1
            break
        if _is_known(s, m, wanted) and reclaim.exchange(s, row, wanted):
            break
        _forget(s, m, wanted, False)
    return int(s.machine[nth(where)])


@inlined
def answer(s: State, memory: NDArray[np.uint8], outcomes: NDArray[np.uint8]) -> None:
    """Decide about the isolated batch: the policy's victims leave, as many as the pass may write.

    From the last row to the first, which keeps the order of the pages that return to the engine's list.
    """
    m = tables(memory)
    for back in range(s.machine[at.BATCH_NR]):
        row = s.machine[at.BATCH_NR] - 1 - back
        outcomes[row] = _YOUNG
        if row < s.machine[at.BATCH_MAX_WRITTEN] and reclaim.is_row_valid(s, row):
            outcomes[row] = _WRITTEN
            frame = _choose(s, m, row)
            if m.frames[nth(frame), FRAME_ELEMENT]:
                _forget(s, m, frame, True)
