"""When requests come and when they are answered. The names of the arrivals: ``scenario.ARRIVALS``."""

from typing import Final

import numpy as np

from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.sim import draws
from epcgroup.sim import layout as at
from epcgroup.sim.accounting import bucket_of
from epcgroup.sim.layout import Arrays
from epcgroup.sim.scenario import ARRIVALS, CLOSED, POISSON, RECORDED

CLOSED_LOOP: Final = ARRIVALS.index(CLOSED)
POISSON_LOOP: Final = ARRIVALS.index(POISSON)
RECORDED_LOOP: Final = ARRIVALS.index(RECORDED)


@inlined
def answer_request(a: Arrays, task: int, clock: int) -> None:
    """The request of a task is done: count it and how long it took since it came."""
    pod = nth(a.tasks[nth(task), at.POD])
    value_ns = (clock - a.tasks[nth(task), at.ARRIVED]) // at.PS
    a.latency[pod, nth(bucket_of(value_ns))] += 1
    a.pods[pod, at.ANSWERED] += 1


@inlined
def expect(a: Arrays, task: int, clock: int) -> None:
    """Set the arrival of a task's next request; in a closed loop it follows the answer given at ``clock``."""
    row = a.tasks[nth(task)]
    first = row[at.REQUEST] == at.LOADING
    if first:
        row[at.ARRIVED] = clock
        row[at.STARTED] = clock
    row[at.REQUEST] = at.WAITING
    if row[at.BURST_LEFT] > 0 and not first:
        row[at.BURST_LEFT] -= 1
        if row[at.ARRIVALS] == CLOSED_LOOP:
            row[at.ARRIVED] = clock
        return
    row[at.BURST_LEFT] = row[at.BURST] - 1
    if row[at.ARRIVALS] == CLOSED_LOOP:
        row[at.ARRIVED] = clock if first else clock + row[at.THINK]
    else:
        row[at.ARRIVED] += _gap(a, task)


@inlined
def _gap(a: Arrays, task: int) -> int:
    """Return the time between two arrivals of an open loop."""
    row = a.tasks[nth(task)]
    interval = row[at.INTERVAL]
    if row[at.ARRIVALS] == POISSON_LOOP:
        state = draws.next_state(np.uint64(row[at.RANDOM]))
        row[at.RANDOM] = np.int64(state)
        return int(draws.exponential(draws.mixed(state)) * interval)
    if row[at.ARRIVALS] == RECORDED_LOOP:
        row[at.ARRIVAL_POSITION] += 1
        return int(np.int64(a.arrivals[nth(row[at.ARRIVAL_POSITION] - 1)]) * interval)
    return int(interval)


@jit
def answer_last(a: Arrays, task: int) -> None:
    """The last request of a task is done: it has come to its end."""
    answer_request(a, task, a.tasks[nth(task), at.CLOCK])
