"""Whose turn is next: a binary heap of the tasks by (clock, how long it has waited, number)."""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.sim import layout as at


@inlined
def _before(queue: NDArray[np.int64], left: int, right: int) -> bool:
    first, second = nth(left), nth(right)
    if queue[first, at.TURN] != queue[second, at.TURN]:
        return bool(queue[first, at.TURN] < queue[second, at.TURN])
    if queue[first, at.TURN_SINCE] != queue[second, at.TURN_SINCE]:
        return bool(queue[first, at.TURN_SINCE] < queue[second, at.TURN_SINCE])
    return bool(queue[first, at.TURN_TASK] < queue[second, at.TURN_TASK])


@inlined
def _swap(queue: NDArray[np.int64], left: int, right: int) -> None:
    for column in range(3):
        held = queue[nth(left), column]
        queue[nth(left), column] = queue[nth(right), column]
        queue[nth(right), column] = held


@jit
def sink(queue: NDArray[np.int64], size: int, place: int) -> None:
    """Move the entry at a place down to where it belongs."""
    while True:
        first = 2 * place + 1
        if first >= size:
            return
        if first + 1 < size and _before(queue, first + 1, first):
            first += 1
        if not _before(queue, first, place):
            return
        _swap(queue, first, place)
        place = first


@inlined
def set_top(queue: NDArray[np.int64], tasks: NDArray[np.int64], task: int) -> None:
    """Write a task's next turn to the top, where it may not belong yet."""
    queue[0, at.TURN] = tasks[nth(task), at.CLOCK]
    queue[0, at.TURN_SINCE] = tasks[nth(task), at.SINCE]
    queue[0, at.TURN_TASK] = task


@jit
def fill(queue: NDArray[np.int64], tasks: NDArray[np.int64]) -> int:
    """Make the heap of all tasks that are not off; returns how many."""
    size = 0
    for task in range(tasks.shape[0]):
        if tasks[task, at.WHAT] != at.OFF:
            queue[size, at.TURN] = tasks[task, at.CLOCK]
            queue[size, at.TURN_SINCE] = tasks[task, at.SINCE]
            queue[size, at.TURN_TASK] = task
            size += 1
    for place in range(size // 2 - 1, -1, -1):
        sink(queue, size, place)
    return size


@inlined
def second(queue: NDArray[np.int64], size: int) -> int:
    """Return the clock of the entry after the top, NEVER if there is none."""
    clock = at.NEVER
    if size > 1:
        clock = queue[1, at.TURN]
    if size > 2:
        clock = min(clock, queue[2, at.TURN])
    return clock
