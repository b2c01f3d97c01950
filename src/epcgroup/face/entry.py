"""The short way in for single operations: one array crosses the border from Python.

A named tuple of six arrays costs more to pass than an operation takes, its buffer a quarter of that. The
state is laid out on the other side; the order of the arrays is that of ``state.Sizes.regions``.
"""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled import pointers
from epcgroup.compiled.jit import entry, inlined
from epcgroup.engine import background, fault
from epcgroup.state import layout as at
from epcgroup.state.layout import State


@inlined
def _padded(nbytes: int) -> int:
    return (nbytes + 63) & ~63


@inlined
def state_over(buffer: NDArray[np.uint8]) -> State:
    """Return the arrays of the state a buffer (uint8, its whole length) holds; for compiled callers only."""
    machine = pointers.state(buffer, (0, 0, 0, 0, 0, 0)).machine
    nr_pages = machine[at.NR_PAGES]
    groups = _padded(at.MACHINE_WORDS * 8)
    enclaves = groups + _padded((machine[at.NR_GROUPS] + 1) * at.GROUP_COLUMNS * 8)
    frames = enclaves + _padded((machine[at.NR_ENCLAVES] + 1) * at.ENCLAVE_COLUMNS * 8)
    pages = frames + _padded((machine[at.NR_FRAMES] + 1) * at.FRAME_COLUMNS * 4)
    marks = pages + _padded(nr_pages * 4)
    return pointers.state(buffer, (0, groups, enclaves, frames, pages, marks))


@entry
def access(buffer: NDArray[np.uint8], encl: int, index: int, group: int) -> int:
    """``fault.access`` for a task without a pending signal."""
    return fault.access(state_over(buffer), encl, index, group, False)


@entry
def isolate(buffer: NDArray[np.uint8]) -> int:
    """``background.next_batch``."""
    return background.next_batch(state_over(buffer))


@entry
def finish(buffer: NDArray[np.uint8], outcomes: NDArray[np.uint8]) -> int:
    """``background.finish``."""
    return background.finish(state_over(buffer), outcomes)


def buffer_of(state: State) -> NDArray[np.uint8]:
    """Return the whole buffer that a state lies over, uint8."""
    memory: object = state.machine
    while isinstance(memory, np.ndarray):
        memory = memory.base
    return np.frombuffer(memory, np.uint8)  # type: ignore[call-overload,no-any-return]
