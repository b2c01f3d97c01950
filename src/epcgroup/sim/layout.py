"""Every array of a simulation: its dtype, its columns, what they hold. Times are picoseconds of virtual time.

All integers: the same input gives the same result on any number of threads. The engine's own state is the
array ``buffer``; see ``state/layout.py``. What must not live here: any rule.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Picoseconds in a nanosecond.
PS: Final = 1000
#: Later than any time of a simulation.
NEVER: Final = 2**62

# Columns of ``tasks``: one row for each container, what it runs and where it stands.
(
    WHAT,  # what it does when its turn comes: OFF ... below
    CLOCK,  # time of its next turn
    SINCE,  # since when it has waited for that turn: who waits longest for a processor goes first
    MOOD,  # IDLE, PRODUCTIVE, STALLED
    POD,
    GROUP,  # group charged
    ENCLAVE,
    OFFSET,  # of its pages in the engine's table
    SIZE,
    BUILD_NEXT,  # next page to add before EINIT
    BUILD_END,
    POPULATE_NEXT,  # next page to touch before the first request
    POPULATE_END,
    POSITION,  # next element of ``references``
    END,  # end of what stands there
    WINDOW,  # its own part of ``references``
    ROOM,
    IS_TRACE,
    FIRST_COMPONENT,
    NR_COMPONENTS,
    IN_ORDER,  # whether a request draws once from every component instead of by weight
    DRAWS,  # of a request
    DRAWS_LEFT,
    RANDOM,  # state of its random numbers, bit pattern of a u64
    STARTED,  # when its requests began: growth and phases count from here
    REQUEST,  # LOADING, WAITING, SERVING
    ARRIVALS,  # index into scenario.ARRIVALS
    ARRIVED,  # arrival of the request that waits or is served
    INTERVAL,  # mean time between two bursts; of ``recorded``: the trace's unit
    BURST,
    BURST_LEFT,
    ARRIVAL_POSITION,  # next element of ``arrivals``
    THINK,
    COMPUTE,  # processor time of a request
    STEP,  # time of a reference that hits, the cost of the machine included; at least 1
    STEP_SERVING,  # the same once the pages are populated
    OWED,  # time of the reference that faulted, still to be spent
    NR_WAITS,  # for the background, in the same fault
    SEEN,  # background batches done when it went to sleep
    SPREAD_RANDOM,  # as RANDOM, of what its faults cost
) = range(40)
TASK_COLUMNS: Final = 40

#: Values of WHAT; KILLED: its enclave was killed, Python is to end it.
OFF, BUILD, RUN, FAULT, SLEEP, DEPART, KILLED = range(7)
#: Values of MOOD, in PSI's sense: without work | running or ready to run | waiting for the EPC.
IDLE, PRODUCTIVE, STALLED = range(3)
#: Values of REQUEST: not ready for the first one | the next one has its arrival | one is being served.
LOADING, WAITING, SERVING = range(3)

# Columns of ``components``; see scenario.Component.
(
    KIND,  # index into scenario.KINDS
    NR_PAGES,
    FIRST_PAGE,
    THRESHOLD,  # upper end of its part of 0 .. 2**32 in a draw by weight
    SPAN,
    TABLE,  # first row of its alias table in ``tables``
    WALKED,  # where a scan or loop stands
    SET_PAGES,
    PHASE,  # how long a working set lasts
    GROWS_FROM,
    GROWTH,  # time in which one page is added; 0: it does not grow
    CHANCE,  # of being drawn in a request that draws in order, of 2**32
) = range(12)
COMPONENT_COLUMNS: Final = 12

# Columns of ``pods``: counters and stall of one pod, the last row is the node.
(
    CHANGED,  # until when the stall times are up to date
    NR_STALLED,
    NR_PRODUCTIVE,
    STALL_SOME,
    STALL_FULL,
    HITS,
    CREATED,
    LOADED,
    REFUSED,
    ANSWERED,
    DIRECT,  # time in reclaim of its own
) = range(11)
POD_COLUMNS: Final = 12

# Words of ``machine``.
(
    UNTIL,  # the segment ends here
    WHO,  # task for which it ended earlier
    OUTCOME,  # answer that killed it
    BUDGET,  # references until Python looks in
    AWAKE,  # the background has work
    BACKGROUND_CLOCK,
    BACKGROUND_TIME,
    BACKGROUND_BATCHES,
    SERVER_FREE,  # when the one server of faults is free (serial cost models)
    QUANTUM,
    SERIAL,
    COST_FAULT,
    COST_WAKE,
    COST_CREATE,
    COST_LOAD,
    COST_EVICT,  # one page written out
    COST_SCAN,  # one page looked at
    COST_BATCH,  # a batch a fault waits for, without its pages
    COST_BACKGROUND,  # a batch of the background, without its pages
    COST_ADD,
    BUSY_UNTIL,  # when the processor of the turn is free again
    SPENT,  # time of the batches the last fault had to carry out itself
    NEAREST,  # time of the next event of anybody but the task whose turn it is
    NR_ENCLAVE_PAGES,  # that enclaves have, in the EPC or written out
    OTHERS,  # time of the next turn of another task, or of the end; 0: every turn goes through the queue
    AHEAD_FRAME,  # where ``ahead.py`` stands in a list of the engine
    AHEAD_GROUP,  # whose list that is
    NR_AHEAD,  # so many frames before the next batch from it
    KILLED_AT,  # when tasks were marked as KILLED; WHO caused it
    NR_KILLED,  # how many are
) = range(30)
MACHINE_WORDS: Final = 32

#: Columns of ``queue``: the heap of the tasks that have a turn to come.
TURN, TURN_SINCE, TURN_TASK = range(3)
#: Columns of ``tables``: an alias table, one row for each place of a Zipf component.
LIMIT, BELOW, ABOVE = range(3)
#: A request begins at this reference; the rest is the page.
REQUEST_MARK: Final = 1 << 31
#: References looked ahead; see ``face/run.py``. ``references`` has so many more at its end.
AHEAD: Final = 16
#: Why a segment ended.
DONE, PAUSED, REFILL, DIED, FAULTED, OOM = range(6)


class Arrays(NamedTuple):
    """All arrays of one simulation.

    Attributes:
        buffer: the engine's state, uint8.
        machine: int64 (MACHINE_WORDS,).
        tasks: int64 (tasks, TASK_COLUMNS).
        components: int64 (components, COMPONENT_COLUMNS).
        pods: int64 (pods + 1, POD_COLUMNS); the last row is the node.
        references: the next references of every task, uint32; of a trace with request marks.
        arrivals: time since the arrival before, in INTERVALs, one for each mark in ``references``; uint32.
        tables: alias tables, uint32 (places, 3), read-only.
        latency: answered requests by bucket of ``abi/histogram.py``, int64 (pods, buckets).
        reclaimed_by: int64 (pods, pods + 1); see ``Result.reclaimed_by``.
        pod_of_group: pod of each group of the engine, the number of pods for groups of none; int64.
        account: of the pods; see ``engine/blame.py``, int64.
        queue: int64 (tasks, 3), a heap.
        outcomes: answers to a batch, uint8.
        memory: of the replacement policy, uint8; see ``policy/``.
        spread: costs of a fault that loads a page, in rows of ``spread.NR_QUANTILES``, ps; int64, read-only.
        spread_from: NR_ENCLAVE_PAGES from which each row holds, int64 (rows,); empty: no such cost spreads.
        cpus: when each processor is free, int64; empty: one for each task and the background.
    """

    buffer: NDArray[np.uint8]
    machine: NDArray[np.int64]
    tasks: NDArray[np.int64]
    components: NDArray[np.int64]
    pods: NDArray[np.int64]
    references: NDArray[np.uint32]
    arrivals: NDArray[np.uint32]
    tables: NDArray[np.uint32]
    latency: NDArray[np.int64]
    reclaimed_by: NDArray[np.int64]
    pod_of_group: NDArray[np.int64]
    account: NDArray[np.int64]
    queue: NDArray[np.int64]
    outcomes: NDArray[np.uint8]
    memory: NDArray[np.uint8]
    spread: NDArray[np.int64]
    spread_from: NDArray[np.int64]
    cpus: NDArray[np.int64]
