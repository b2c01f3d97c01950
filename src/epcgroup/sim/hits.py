"""References that hit: the part of the loop that a simulation spends its time in.

A stream of pages, and the same with a request at every mark where one follows the other at once. Neither asks
anybody; whoever comes next is up to ``loop.py``.
"""

from typing import Any

import numpy as np

from epcgroup.compiled import native
from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim import layout as at
from epcgroup.sim.accounting import bucket_of
from epcgroup.sim.layout import Arrays
from epcgroup.sim.policy.hooks import touch
from epcgroup.sim.requests import CLOSED_LOOP
from epcgroup.state import layout as engine


@inlined
def _end(a: Arrays, task: int, clock: int, limit: int) -> int:
    """Return where a task's references end, or the first one that does not begin before ``limit``."""
    row = nth(task)
    position, end = a.tasks[row, at.POSITION], a.tasks[row, at.END]
    step = a.tasks[row, at.STEP]
    if clock + (end - position) * step > limit:
        end = min(end, position + (limit - clock + step - 1) // step)
    return int(end)


@inlined
def follow(a: Arrays, s: engine.State, task: int, clock: int, limit: int) -> int:
    """Follow a task's references while they hit, have no mark and ``clock`` is below the limit.

    Returns the clock afterwards.
    """
    row = nth(task)
    position = nth(a.tasks[row, at.POSITION])
    first = position
    end = nth(_end(a, task, clock, limit))
    offset = nth(a.tasks[row, at.OFFSET])
    ahead = nth(at.AHEAD)
    one = nth(1)
    mark = nth(at.REQUEST_MARK)
    while position < end:
        # Beyond its end the window holds old references: a hint that is wrong does no harm.
        coming = offset + (nth(a.references[position + ahead]) & ~mark)
        native.prefetch(s.pages, coming)
        native.prefetch(s.marks, coming)
        page = nth(a.references[position])
        element: Any = offset + page
        if page >= mark or s.pages[element] <= 0:
            break
        touch(s, a.memory, element)
        position += one
    nr_hits = np.int64(position - first)
    a.tasks[row, at.POSITION] = np.int64(position)
    a.pods[nth(a.tasks[row, at.POD]), at.HITS] += nr_hits
    a.machine[at.BUDGET] -= nr_hits
    return int(clock + nr_hits * a.tasks[row, at.STEP])


@inlined
def is_chain(a: Arrays, task: int) -> bool:
    """Return whether a task serves the marks of a trace, each request at once behind the one before."""
    row = nth(task)
    return bool(
        a.tasks[row, at.IS_TRACE]
        and a.tasks[row, at.REQUEST] == at.SERVING
        and a.tasks[row, at.ARRIVALS] == CLOSED_LOOP
        and a.tasks[row, at.THINK] == 0
        and a.tasks[row, at.BURST] == 1
    )


@inlined
def follow_requests(a: Arrays, s: engine.State, task: int, clock: int, limit: int) -> int:
    """Follow the references of a chain of requests while they hit and ``clock`` is below the limit.

    What ``loop`` does at a mark, answering, expecting and beginning, is here two additions. Returns the clock
    afterwards.
    """
    row = nth(task)
    pod = nth(a.tasks[row, at.POD])
    first = position = nth(a.tasks[row, at.POSITION])
    end = nth(a.tasks[row, at.END])
    offset = nth(a.tasks[row, at.OFFSET])
    step, compute = a.tasks[row, at.STEP], a.tasks[row, at.COMPUTE]
    arrived = a.tasks[row, at.ARRIVED]
    ahead, one, mark = nth(at.AHEAD), nth(1), nth(at.REQUEST_MARK)
    nr_answered = 0
    took = bucket = -1
    while position < end and clock < limit:
        coming = offset + (nth(a.references[position + ahead]) & ~mark)
        native.prefetch(s.pages, coming)
        native.prefetch(s.marks, coming)
        page = nth(a.references[position])
        if page >= mark:
            page &= ~mark
            if clock - arrived != took:  # most take as long as the one before
                took = clock - arrived
                bucket = bucket_of(took // at.PS)
            a.latency[pod, nth(bucket)] += 1
            nr_answered += 1
            arrived = clock
            clock += compute
            if clock >= limit or s.pages[offset + page] <= 0:
                a.references[position] = np.uint32(page)
                break
        element: Any = offset + page
        if s.pages[element] <= 0:
            break
        touch(s, a.memory, element)
        position += one
        clock += step
    a.tasks[row, at.POSITION] = np.int64(position)
    a.tasks[row, at.ARRIVED] = arrived
    a.pods[pod, at.ANSWERED] += nr_answered
    a.pods[pod, at.HITS] += np.int64(position - first)
    a.machine[at.BUDGET] -= np.int64(position - first)
    return int(clock)
