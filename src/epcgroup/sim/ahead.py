"""Rows of frames, fetched before they are needed: lists of the engine are walked link by link, from memory.

Hints to the processor only: whatever stands in them, the result is the same.
"""

from typing import Final

from epcgroup.compiled import native
from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim import layout as at
from epcgroup.sim.layout import Arrays
from epcgroup.state import layout as engine
from epcgroup.state.layout import State

#: EPC pages of a machine whose rows of frames, 24 bytes each, do not stay in the second cache anyhow.
_FROM: Final = 1 << 16
#: Frames ahead of the oldest at most: what ksgxd looks at in one round, four batches.
_MOST: Final = 64


@inlined
def _fetch(s: State, frame: int) -> None:
    native.prefetch(s.frames, nth(frame * engine.FRAME_COLUMNS))


@inlined
def after_batch(a: Arrays, s: State) -> None:
    """A batch has left a list: begin again behind it, unless what was fetched is still to come."""
    if s.machine[engine.NR_FRAMES] < _FROM:
        return
    w = a.machine
    group = s.machine[engine.BATCH + 2]
    if group == w[at.AHEAD_GROUP]:
        w[at.NR_AHEAD] -= s.machine[engine.BATCH_NR]
    if w[at.NR_AHEAD] <= 0:
        w[at.AHEAD_GROUP] = group
        w[at.AHEAD_FRAME] = s.groups[group, engine.GROUP_LRU_HEAD]
        w[at.NR_AHEAD] = 1
        _fetch(s, w[at.AHEAD_FRAME])


@inlined
def step(a: Arrays, s: State) -> None:
    """Fetch one old frame more; a fault takes two steps, and frees less than it looks at."""
    w = a.machine
    if s.machine[engine.NR_FRAMES] >= _FROM and w[at.NR_AHEAD] < _MOST:
        w[at.AHEAD_FRAME] = s.frames[w[at.AHEAD_FRAME], engine.FRAME_NEXT]
        w[at.NR_AHEAD] += 1
        _fetch(s, w[at.AHEAD_FRAME])


@inlined
def after_fault(a: Arrays, s: State) -> None:
    """A page has come: fetch the free frame after the next, and an old one."""
    if s.machine[engine.NR_FRAMES] >= _FROM:
        free = s.machine[engine.NODES + 2 * s.machine[engine.NODE]]
        _fetch(s, s.frames[free, engine.FRAME_NEXT])
        step(a, s)
