"""Faults, batches and background reclaim in virtual time: the steps of a live machine, and what they cost.

Every decision is the engine's. A fault is one event: what it changes, its batches included, changes when it
begins; then its time passes.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.engine import background, enclave, fault, oom
from epcgroup.face import entry
from epcgroup.sim import ahead, draws
from epcgroup.sim import layout as at
from epcgroup.sim.accounting import become, stall
from epcgroup.sim.blame import attribute, charged
from epcgroup.sim.layout import Arrays
from epcgroup.sim.policy.hooks import answer, arrive
from epcgroup.sim.spread import NR_QUANTILES
from epcgroup.state import layout as engine

_EVICT: Final = 3
_BUSY: Final = 4
_REFUSED: Final = 5
_LIVELOCK: Final = 8
_KILL: Final = 9
#: Batches one fault waits for; no program gets on beyond.
_PATIENCE: Final = 1 << 16


@jit
def act(a: Arrays, cost_batch: int) -> int:
    """Carry out the isolated batch; returns its time."""
    s = entry.state_over(a.buffer)
    nr_scanned = s.machine[engine.BATCH_NR]
    answer(s, a.memory, a.outcomes)
    attribute(a, s)
    ahead.after_batch(a, s)
    nr_written = background.finish(s, a.outcomes)
    return int(cost_batch + nr_scanned * a.machine[at.COST_SCAN] + nr_written * a.machine[at.COST_EVICT])


@inlined
def wake(a: Arrays, s: engine.State, clock: int) -> None:
    """Wake the background if the engine has work for it."""
    if not a.machine[at.AWAKE] and background.has_work(s):
        a.machine[at.AWAKE] = 1
        a.machine[at.BACKGROUND_CLOCK] = max(a.machine[at.BACKGROUND_CLOCK], clock)


@inlined
def free_cpu(a: Arrays) -> int:
    """Return the processor that is free first, -1 if everybody has one."""
    best = -1
    for cpu in range(a.cpus.shape[0]):
        if best < 0 or a.cpus[nth(cpu)] < a.cpus[nth(best)]:
            best = cpu
    return best


@jit
def background_turn(a: Arrays) -> None:
    """One batch of the background, or what keeps it from one: the server or all processors are busy."""
    w = a.machine
    clock = w[at.BACKGROUND_CLOCK]
    cpu = free_cpu(a)
    free = w[at.SERVER_FREE] if w[at.SERIAL] else clock
    if cpu >= 0:
        free = max(free, a.cpus[cpu])
    if free > clock:
        w[at.BACKGROUND_CLOCK] = free
        return
    if not entry.isolate(a.buffer):
        w[at.AWAKE] = 0
        return
    spent = act(a, w[at.COST_BACKGROUND])
    w[at.BACKGROUND_CLOCK] = clock + spent
    w[at.BACKGROUND_TIME] += spent
    w[at.BACKGROUND_BATCHES] += 1
    if cpu >= 0:
        a.cpus[cpu] = clock + spent
    if w[at.SERIAL]:
        w[at.SERVER_FREE] = clock + spent


@jit
def _add(buffer: NDArray[np.uint8], encl: int, index: int, group: int) -> int:
    return abs(enclave.add(entry.state_over(buffer), encl, index, group, False))


@jit
def _initialise(buffer: NDArray[np.uint8], encl: int) -> None:
    enclave.initialise(entry.state_over(buffer), encl)


@jit
def kill(a: Arrays, task: int) -> int:
    """Carry out the kill that what a task asked for came to; returns its time: that of a batch without pages.

    The task whose enclave it was is ``KILLED`` and has no more turns.
    """
    victim = oom.finish_kill(entry.state_over(a.buffer))
    for other in range(a.tasks.shape[0]):
        row = nth(other)
        if a.tasks[row, at.ENCLAVE] == victim and a.tasks[row, at.WHAT] != at.OFF:
            a.tasks[row, at.WHAT] = at.KILLED
            a.machine[at.NR_KILLED] += 1
    a.machine[at.WHO] = task
    a.machine[at.KILLED_AT] = a.tasks[nth(task), at.CLOCK]
    return int(a.machine[at.COST_BATCH])


@inlined
def serve(a: Arrays, s: engine.State, task: int, page: int) -> int:
    """Ask the engine for a page of a task, built in before EINIT or faulted in; the ``Outcome``.

    The batches and kills it has to carry out itself are in ``SPENT``.
    """
    row = nth(task)
    encl, group = a.tasks[row, at.ENCLAVE], a.tasks[row, at.GROUP]
    building = a.tasks[row, at.WHAT] == at.BUILD
    serial = a.machine[at.SERIAL]
    a.machine[at.SPENT] = 0
    for _ in range(_PATIENCE):
        outcome = _add(a.buffer, encl, page, group) if building else fault.access(s, encl, page, group, False)
        if outcome == _KILL:
            a.machine[at.SPENT] += kill(a, task)
        elif outcome == _EVICT or (outcome == _BUSY and serial and entry.isolate(a.buffer)):
            a.machine[at.SPENT] += act(a, a.machine[at.COST_BATCH])
        else:
            return outcome
    return _LIVELOCK


@inlined
def _cost(a: Arrays, task: int, outcome: int) -> int:
    if a.tasks[nth(task), at.WHAT] == at.BUILD:
        return int(a.machine[at.COST_ADD])
    if outcome == fault.LOADED and a.spread_from.shape[0]:
        return _spread_cost(a, task)
    cost = a.machine[at.COST_LOAD if outcome == fault.LOADED else at.COST_CREATE]
    return int(a.machine[at.COST_FAULT] + cost)


@inlined
def _spread_cost(a: Arrays, task: int) -> int:
    """Draw what a fault that loads a page costs at the present overcommit."""
    last = a.spread_from.shape[0] - 1
    row = 0
    while row < last and a.machine[at.NR_ENCLAVE_PAGES] >= a.spread_from[nth(row + 1)]:
        row += 1
    state = draws.next_state(np.uint64(a.tasks[nth(task), at.SPREAD_RANDOM]))
    a.tasks[nth(task), at.SPREAD_RANDOM] = np.int64(state)
    return int(a.spread[nth(row * NR_QUANTILES + draws.below(draws.mixed(state), NR_QUANTILES))])


@inlined
def _wait(a: Arrays, s: engine.State, task: int, clock: int) -> bool:
    """Put a task to sleep until the background has done a batch; False if there is none to wait for."""
    row = nth(task)
    a.tasks[row, at.NR_WAITS] += 1
    # When the background has come to nothing, another round of it will not help; cf. pager/fault.py.
    if a.tasks[row, at.NR_WAITS] > _PATIENCE or not background.has_work(s):
        return False
    wake(a, s, clock)
    become(a.tasks, a.pods, task, at.STALLED, clock)
    a.tasks[row, at.SEEN] = a.machine[at.BACKGROUND_BATCHES]
    a.tasks[row, at.WHAT] = at.SLEEP
    a.tasks[row, at.CLOCK] = max(clock, a.machine[at.BACKGROUND_CLOCK])
    return True


@jit
def sleep_turn(a: Arrays, task: int) -> None:
    """The turn of a task that waits for the background: try again when a batch is done or none comes."""
    row = nth(task)
    done = a.tasks[row, at.SEEN] != a.machine[at.BACKGROUND_BATCHES]
    if done or a.machine[at.AWAKE]:
        a.tasks[row, at.CLOCK] = max(a.tasks[row, at.CLOCK], a.machine[at.BACKGROUND_CLOCK])
    else:
        a.tasks[row, at.NR_WAITS] = _PATIENCE
    if done or not a.machine[at.AWAKE]:
        a.tasks[row, at.WHAT] = at.FAULT
    a.tasks[row, at.SINCE] = a.tasks[row, at.CLOCK]


@inlined
def page_wanted(a: Arrays, task: int) -> int:
    """Return the page a task stands at."""
    row = nth(task)
    if a.tasks[row, at.WHAT] == at.BUILD:
        return int(a.tasks[row, at.BUILD_NEXT])
    return int(np.int64(a.references[nth(a.tasks[row, at.POSITION])]))


@inlined
def is_queued(a: Arrays, s: engine.State, task: int, page: int) -> bool:
    """Let a task wait while the one server of faults serves another; False if it is free."""
    row = nth(task)
    clock = a.tasks[row, at.CLOCK]
    a.machine[at.BUSY_UNTIL] = clock
    if not a.machine[at.SERIAL] or a.machine[at.SERVER_FREE] <= clock:
        return False
    if s.pages[nth(a.tasks[row, at.OFFSET] + page)] < 0:
        become(a.tasks, a.pods, task, at.STALLED, clock)
    a.tasks[row, at.CLOCK] = a.machine[at.SERVER_FREE]
    return True


@inlined
def conclude(a: Arrays, s: engine.State, task: int, page: int, outcome: int) -> int:
    """Let a task go on with the page it was given, wait for the background, or die; DONE, DIED or OOM."""
    row = nth(task)
    clock = a.tasks[row, at.CLOCK]
    spent = a.machine[at.SPENT]
    wake(a, s, clock)
    if a.tasks[row, at.WHAT] == at.KILLED:
        return at.OOM
    if outcome == _BUSY and not a.machine[at.SERIAL] and _wait(a, s, task, clock):
        return _done(a)
    if outcome != fault.CREATED and outcome != fault.LOADED:
        return _die(a, task, outcome)
    is_stalled = outcome == fault.LOADED or spent > 0
    _count(a, task, outcome, spent)
    arrive(s, a.memory, int(a.tasks[row, at.OFFSET] + page))
    _go_on(a, task, clock + spent + _cost(a, task, outcome))
    if is_stalled:
        _note_stall(a, task, clock)
    ahead.after_fault(a, s)
    return _done(a)


@inlined
def _done(a: Arrays) -> int:
    return at.OOM if a.machine[at.NR_KILLED] else at.DONE


@inlined
def goes_on_first(a: Arrays, task: int) -> bool:
    """Return whether a task that runs is still the earliest; if so, NEAREST is up to date."""
    row = nth(task)
    w = a.machine
    w[at.NEAREST] = min(w[at.OTHERS], w[at.BACKGROUND_CLOCK] if w[at.AWAKE] else at.NEVER)
    return bool(a.tasks[row, at.CLOCK] < w[at.NEAREST] and a.tasks[row, at.WHAT] == at.RUN)


@inlined
def _note_stall(a: Arrays, task: int, begin: int) -> None:
    """Note that a task has waited for its page, in one step if it goes on before anything else happens."""
    row = nth(task)
    alone = a.tasks[row, at.MOOD] == at.PRODUCTIVE and not a.machine[at.NR_KILLED]
    if alone and goes_on_first(a, task):
        stall(a.tasks, a.pods, task, begin, a.tasks[row, at.CLOCK])
    else:
        become(a.tasks, a.pods, task, at.STALLED, begin)


@inlined
def _go_on(a: Arrays, task: int, end: int) -> None:
    """Let a task continue behind the page it was given; its service ends at ``end``."""
    row = nth(task)
    a.machine[at.BUSY_UNTIL] = end
    if a.machine[at.SERIAL]:
        a.machine[at.SERVER_FREE] = end
    a.tasks[row, at.NR_WAITS] = 0
    if a.tasks[row, at.WHAT] == at.BUILD:
        _built(a, task)
    else:
        end += a.machine[at.COST_WAKE]
        a.tasks[row, at.OWED] = a.tasks[row, at.STEP]
        a.tasks[row, at.POSITION] += 1
        a.tasks[row, at.WHAT] = at.RUN
    a.tasks[row, at.CLOCK] = end
    a.tasks[row, at.SINCE] = end


@inlined
def _count(a: Arrays, task: int, outcome: int, spent: int) -> None:
    pod = a.tasks[nth(task), at.POD]
    charged(a, pod)
    a.machine[at.NR_ENCLAVE_PAGES] += outcome != fault.LOADED
    a.pods[nth(pod), at.LOADED if outcome == fault.LOADED else at.CREATED] += 1
    a.pods[nth(pod), at.DIRECT] += spent


@inlined
def _built(a: Arrays, task: int) -> None:
    """Go on to the next page to add, or to the program itself."""
    row = nth(task)
    a.tasks[row, at.BUILD_NEXT] += 1
    if a.tasks[row, at.BUILD_NEXT] == a.tasks[row, at.BUILD_END]:
        _initialise(a.buffer, a.tasks[row, at.ENCLAVE])
        a.tasks[row, at.WHAT] = at.RUN


@inlined
def _die(a: Arrays, task: int, outcome: int) -> int:
    a.pods[nth(a.tasks[nth(task), at.POD]), at.REFUSED] += 1
    a.machine[at.WHO] = task
    a.machine[at.OUTCOME] = outcome
    return at.DIED
