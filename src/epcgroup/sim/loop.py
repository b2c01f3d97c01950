"""The one compiled loop: the task with the smallest clock goes next.

A task runs ahead of the others through references that hit, for ``quantum_ns`` at most; a fault is put back
and served when it is the earliest event. So faults, batches and background work happen in the order of time.
"""

from typing import Final

import numpy as np

from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.face import entry
from epcgroup.sim import ahead, turns
from epcgroup.sim import layout as at
from epcgroup.sim.accounting import become
from epcgroup.sim.hits import follow, follow_requests, is_chain
from epcgroup.sim.layout import Arrays
from epcgroup.sim.references import draw, populate
from epcgroup.sim.requests import answer_request, expect
from epcgroup.sim.service import (
    background_turn,
    conclude,
    free_cpu,
    goes_on_first,
    is_queued,
    page_wanted,
    serve,
    sleep_turn,
)
from epcgroup.state import layout as engine

#: References of one turn at most, so that a task alone does not keep Python out.
_TURN: Final = 1 << 16
_BACKGROUND: Final = -1
_OVER: Final = -2
_NOBODY: Final = -3


@inlined
def _more(a: Arrays, task: int) -> int:
    """Go on behind the references at hand: more of the same request, or the next one.

    Returns RUN; DEPART when it has to wait for the next request; OFF when Python must bring more of a trace.
    """
    row = nth(task)
    clock = a.tasks[row, at.CLOCK]
    if a.tasks[row, at.POSITION] == a.tasks[row, at.END]:
        if a.tasks[row, at.POPULATE_NEXT] < a.tasks[row, at.POPULATE_END]:
            populate(a, task)
            return at.RUN
        a.tasks[row, at.STEP] = a.tasks[row, at.STEP_SERVING]
        if a.tasks[row, at.IS_TRACE]:
            return at.OFF
        if a.tasks[row, at.DRAWS_LEFT]:
            draw(a, task, clock)
            return at.RUN
    if a.tasks[row, at.REQUEST] == at.SERVING:
        answer_request(a, task, clock)
    if a.tasks[row, at.REQUEST] != at.WAITING:
        expect(a, task, clock)
    if a.tasks[row, at.ARRIVED] > clock:
        return at.DEPART
    _begin(a, task, clock)
    return at.RUN


@inlined
def _begin(a: Arrays, task: int, clock: int) -> None:
    """Begin the request that has arrived."""
    row = nth(task)
    a.tasks[row, at.REQUEST] = at.SERVING
    a.tasks[row, at.CLOCK] = clock + a.tasks[row, at.COMPUTE]
    if a.tasks[row, at.IS_TRACE]:
        a.references[nth(a.tasks[row, at.POSITION])] &= np.uint32(at.REQUEST_MARK - 1)
    else:
        a.tasks[row, at.DRAWS_LEFT] = a.tasks[row, at.DRAWS]


@inlined
def _work(a: Arrays, s: engine.State, task: int, limit: int) -> int:
    """Let a task work until a fault, the limit, or the end of its work.

    Returns what it does next; OFF: Python must bring more of its trace.
    """
    row = nth(task)
    stop = a.machine[at.BUDGET] - _TURN
    what = at.RUN
    a.tasks[row, at.CLOCK] += a.tasks[row, at.OWED]
    a.tasks[row, at.OWED] = 0
    while what == at.RUN and a.tasks[row, at.CLOCK] < limit and a.machine[at.BUDGET] > stop:
        clock = a.tasks[row, at.CLOCK]
        if is_chain(a, task):
            clock = follow_requests(a, s, task, clock, limit)
        else:
            clock = follow(a, s, task, clock, limit)
        a.tasks[row, at.CLOCK] = clock
        if clock < limit:
            position = nth(a.tasks[row, at.POSITION])
            more = position == nth(a.tasks[row, at.END]) or a.references[position] >= np.uint32(
                at.REQUEST_MARK
            )
            what = _more(a, task) if more else at.FAULT
    a.machine[at.BUSY_UNTIL] = a.tasks[row, at.CLOCK]
    a.tasks[row, at.SINCE] = a.tasks[row, at.CLOCK]
    if what != at.OFF:
        a.tasks[row, at.WHAT] = what
    return what


@inlined
def _depart(a: Arrays, task: int) -> None:
    """Be idle until the next request arrives."""
    row = nth(task)
    become(a.tasks, a.pods, task, at.IDLE, a.tasks[row, at.CLOCK])
    a.tasks[row, at.WHAT] = at.RUN
    a.tasks[row, at.CLOCK] = a.tasks[row, at.ARRIVED]
    a.tasks[row, at.SINCE] = a.tasks[row, at.ARRIVED]


@inlined
def _is_ready(a: Arrays, task: int, cpu: int) -> bool:
    """Return whether a task can use its turn: it has something to do and a processor to do it on."""
    row = nth(task)
    what = a.tasks[row, at.WHAT]
    clock = a.tasks[row, at.CLOCK]
    if what == at.SLEEP:
        sleep_turn(a, task)
        return False
    if what == at.DEPART:
        _depart(a, task)
        return False
    if what != at.FAULT and a.tasks[row, at.MOOD] != at.PRODUCTIVE:
        become(a.tasks, a.pods, task, at.PRODUCTIVE, clock)
    if cpu >= 0 and a.cpus[nth(cpu)] > clock:
        a.tasks[row, at.CLOCK] = a.cpus[nth(cpu)]
        return False
    return True


@inlined
def _turn(a: Arrays, s: engine.State, task: int, nearest: int) -> int:
    """Let a task that is ready go on; DONE, or why Python is asked.

    Args:
        a: the simulation.
        s: the engine's state over ``a.buffer``.
        task: number of the task.
        nearest: time of the next event of anybody else.
    """
    row = nth(task)
    what = a.tasks[row, at.WHAT]
    if what == at.RUN:
        limit = min(max(nearest + a.machine[at.QUANTUM], a.tasks[row, at.CLOCK] + 1), a.machine[at.UNTIL])
        what = _work(a, s, task, limit)
        if what == at.OFF:
            a.machine[at.WHO] = task
            return at.REFILL
        if a.tasks[row, at.CLOCK] >= nearest:
            return at.DONE
        # Earlier than everybody else: what comes next can be done at once.
        if what == at.DEPART:
            _depart(a, task)
    return at.FAULTED if what == at.FAULT or what == at.BUILD else at.DONE


@inlined
def _next(a: Arrays, size: int) -> int:
    """Return the task whose turn it is; -1 when the turn is the background's, -2 when the segment is over."""
    w = a.machine
    top = a.queue[0, at.TURN] if size else at.NEVER
    background = w[at.BACKGROUND_CLOCK] if w[at.AWAKE] else at.NEVER
    if min(top, background) >= w[at.UNTIL]:
        return _OVER
    # The one server of a serial machine works in the background only when nobody waits.
    if background < top + (w[at.SERIAL] == 0):
        return _BACKGROUND
    others = min(turns.second(a.queue, size), w[at.UNTIL])
    w[at.NEAREST] = min(others, background)
    # Who shares processors has to ask for one at every turn.
    w[at.OTHERS] = 0 if a.cpus.shape[0] else others
    return int(a.queue[0, at.TURN_TASK])


@inlined
def _serve(a: Arrays, s: engine.State, task: int) -> int:
    """Serve the fault a task stands at, unless it has to queue; DONE or DIED."""
    page = page_wanted(a, task)
    if is_queued(a, s, task, page):
        return at.DONE
    ahead.step(a, s)
    return conclude(a, s, task, page, serve(a, s, task, page))


@inlined
def _go(a: Arrays, s: engine.State, task: int) -> int:
    """Let the task whose turn it is do what it can; DONE, or why Python is asked."""
    cpu = free_cpu(a)
    if not _is_ready(a, task, cpu):
        return at.DONE
    reason = _turn(a, s, task, a.machine[at.NEAREST])
    if reason == at.FAULTED:
        reason = _serve(a, s, task)
    if cpu >= 0:
        a.cpus[nth(cpu)] = a.machine[at.BUSY_UNTIL]
    return reason


@jit
def run(a: Arrays) -> int:
    """Go on until ``UNTIL``; DONE, or why earlier: PAUSED (the budget is used up), REFILL, DIED (``WHO``)."""
    s = entry.state_over(a.buffer)
    size = turns.fill(a.queue, a.tasks)
    task = _NOBODY
    while a.machine[at.BUDGET] > 0:
        a.machine[at.BUDGET] -= 1
        if task == _NOBODY:
            task = _next(a, size)
            if task == _OVER:
                return at.DONE
        if task == _BACKGROUND:
            background_turn(a)
            task = _NOBODY
            continue
        reason = _go(a, s, task)
        if reason != at.DONE:
            return reason
        if not goes_on_first(a, task):
            turns.set_top(a.queue, a.tasks, task)
            turns.sink(a.queue, size, 0)
            task = _NOBODY
    return at.PAUSED
