"""The short way in for single operations: one array crosses the border from Python.

A named tuple of six arrays costs more to pass than an operation takes, its buffer a quarter of that. The
state is laid out on the other side; the order of the arrays is that of ``state.Sizes.regions``.
"""

import numpy as np
from numpy.typing import NDArray

from epcgroup.engine import background, fault
from epcgroup.engine import state as at
from epcgroup.engine.jit import jit
from epcgroup.engine.state import State


@jit
def _padded(nbytes: int) -> int:
    return (nbytes + 63) & ~63


@jit
def state_over(buffer: NDArray[np.uint8]) -> State:
    """Return the arrays of the state a buffer (uint8, its whole length) holds."""
    words = at.MACHINE_WORDS * 8
    machine = buffer[:words].view(np.int64)
    rows = machine[at.NR_GROUPS] + 1
    first = _padded(words)
    end = first + rows * at.GROUP_COLUMNS * 8
    groups = buffer[first:end].view(np.int64).reshape((rows, at.GROUP_COLUMNS))
    rows = machine[at.NR_ENCLAVES] + 1
    first = _padded(end)
    end = first + rows * at.ENCLAVE_COLUMNS * 8
    enclaves = buffer[first:end].view(np.int64).reshape((rows, at.ENCLAVE_COLUMNS))
    rows = machine[at.NR_FRAMES] + 1
    first = _padded(end)
    end = first + rows * at.FRAME_COLUMNS * 4
    frames = buffer[first:end].view(np.int32).reshape((rows, at.FRAME_COLUMNS))
    nr_pages = machine[at.NR_PAGES]
    first = _padded(end)
    end = first + nr_pages * 4
    pages = buffer[first:end].view(np.int32)
    first = _padded(end)
    marks = buffer[first : first + nr_pages]
    return State(machine, groups, enclaves, frames, pages, marks)


@jit
def access(buffer: NDArray[np.uint8], encl: int, index: int, group: int) -> int:
    """``fault.access`` for a task without a pending signal."""
    return fault.access(state_over(buffer), encl, index, group, False)


@jit
def isolate(buffer: NDArray[np.uint8]) -> int:
    """``background.next_batch``."""
    return background.next_batch(state_over(buffer))


@jit
def finish(buffer: NDArray[np.uint8], outcomes: NDArray[np.uint8]) -> int:
    """``background.finish``."""
    return background.finish(state_over(buffer), outcomes)


def buffer_of(state: State) -> NDArray[np.uint8]:
    """Return the whole buffer that a state lies over, uint8."""
    memory: object = state.machine
    while isinstance(memory, np.ndarray):
        memory = memory.base
    return np.frombuffer(memory, np.uint8)  # type: ignore[call-overload,no-any-return]
