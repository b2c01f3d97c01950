"""Every array of the engine: its dtype, its columns, its place in the one buffer.

The buffer may live in shared memory; other processes read it through the same views. All zero beyond the
header is a valid empty state, so a sparse file costs nothing: frame 0, group 0 and enclave 0 mean "none".
What must not live here: any rule, and any import of Numba (readers stay light).

Arrays of :class:`State` and :class:`Names` (row 0 of groups, enclaves and frames is unused):

========= ======== ====================================== ==========================================
array     dtype    shape                                  holds
========= ======== ====================================== ==========================================
machine   int64    (MACHINE_WORDS,)                       header, counters, queues, the batch, series
groups    int64    (nr_groups + 1, GROUP_COLUMNS)         the cgroup tree and its figures
enclaves  int64    (nr_enclaves + 1, ENCLAVE_COLUMNS)     enclaves and guest areas
frames    int32    (nr_frames + 1, FRAME_COLUMNS)         EPC pages, 24 bytes each
pages     int32    (nr_pages,)                            one enclave page: 0 absent, > 0 frame, < 0 evicted
marks     uint8    (nr_pages,)                            page flags (``PAGE_*``)
names     uint8    (nr_groups + 1, NAME_BYTES)            last part of a group's path, NUL-padded
processes int64    (nr_processes, 2)                      members written to epc.procs: pid, group
========= ======== ====================================== ==========================================
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from epcgroup.errors import UsageError

#: Anything with the buffer protocol (bytearray, memoryview, mmap); Python 3.11 has no type for it.
Buffer = Any

MAGIC: Final = 0x45504347_524F5550  # "EPCGROUP"
VERSION: Final = 4

# Words of ``machine``: header.
(
    WORD_MAGIC,
    WORD_VERSION,
    NR_FRAMES,  # pages of EPC = rows of frames
    NR_GROUPS,
    NR_ENCLAVES,
    NR_PAGES,
    NR_PROCESSES,
    NBYTES,
    SERIES,  # number of the series (series.SERIES)
) = range(9)
# Words of ``machine``: counters and queues.
(
    SEQUENCE,  # odd while the tree is being changed; readers in other processes retry
    NR_FREE,  # the kernel's count of free pages: poisoned free pages are counted too
    GROUP_SERIAL,  # number of the last group made
    ENCLAVE_SERIAL,
    ENCLAVE_FIRST,  # live enclaves in order of their place in ``pages``
    WORK_HEAD,  # queued work items: groups linked by GROUP_WORK_NEXT
    WORK_TAIL,
    WORK_CURRENT,  # the group whose item is running, 0 if none
    KSGXD_AWAKE,
    CREATING,  # enclave whose creation waits for a batch
    WARNINGS,  # warnings the kernel would have printed
    REFUSED_AT,  # level that refused the last charge
    NODE,  # NUMA node of the running task
    BATCH_NR,  # pages isolated and not finished yet
    BATCH_CAUSE,  # group on whose behalf, 0 = the machine
    BATCH_CONTEXT,  # word of the pass the batch belongs to
    BATCH_SERIAL,
    BATCH_IGNORE_AGE,
    BATCH_MAX_WRITTEN,
    SGX2,
    BATCH_WRITTEN,  # pages of the open batch that were written out
    VICTIM,  # enclave chosen to be killed, 0 = none; the rest of the choice is in the next row of KILLS
    NR_KILLS,  # kills so far: the next one is written to row NR_KILLS % KILL_ROWS
) = range(16, 39)
#: Capacity of each resource (sev, sev_es, sgx_epc), in units of the resource.
CAPACITY: Final = 40
#: Counters of instructions, in the order of HARDWARE.
HARDWARE: Final = 48
HARDWARE_NAMES: Final = (
    "ecreate",
    "eadd",
    "eaug",
    "eblock",
    "etrack",
    "ewb",
    "eldu",
    "eremove",
    "epa",
    "ipi",
)
ECREATE, EADD, EAUG, EBLOCK, ETRACK, EWB, ELDU, EREMOVE, EPA, IPI = range(HARDWARE, HARDWARE + 10)
#: Sections: 8 x (first frame, end frame, node, next frame never used).
SECTIONS: Final = 64
NR_SECTIONS: Final = 8
SECTION_WORDS: Final = 4
SECTION_FIRST, SECTION_END, SECTION_NODE, SECTION_FRESH = range(4)
#: Free list of each node: 8 x (head, tail).
NODES: Final = 96
NR_NODES: Final = 8
#: Passes in progress, one for each driver, CONTEXT_WORDS each.
CONTEXT_WORDS: Final = 8
CONTEXT_ALLOCATION, CONTEXT_WORKER, CONTEXT_KSGXD, CONTEXT_WRITE = range(112, 144, CONTEXT_WORDS)
(
    PASS_ROOT,  # where the pass walks, 0 = no pass
    PASS_WANT,  # pages to scan
    PASS_DONE,  # pages scanned so far
    PASS_WRITTEN,  # pages of the last batch that were written out
    PASS_PENDING,  # v2: a batch was handed out and not judged yet
    PASS_FAILS,  # v2: passes that wrote nothing; fair: pages scanned since one was written
    PASS_EMPTY,
    PASS_IGNORE_AGE,
) = range(CONTEXT_WORDS)
#: Constants and switches of the series, in the order of ``series.FIELDS``.
TUNABLES: Final = 160
NR_TUNABLES: Final = 48
#: The isolated batch: BATCH_ROWS x (enclave, page, group charged, frame).
BATCH: Final = 224
BATCH_ROWS: Final = 64
BATCH_COLUMNS: Final = 4
#: The last kills, a ring; the row that comes next holds the kill that is under way.
KILLS: Final = 480
KILL_ROWS: Final = 17
KILL_COLUMNS: Final = 5
(
    KILL_ENCLAVE,
    KILL_GROUP,  # where the enclave lived; a removed group leaves its place to its parent
    KILL_LEVEL,  # the group that had no room
    KILL_PAGES,  # EPC pages the enclave held
    KILL_OVER,  # pages by which the group was above a limit of its own
) = range(KILL_COLUMNS)
MACHINE_WORDS: Final = 576

RESOURCES: Final = ("sev", "sev_es", "sgx_epc")
RESOURCE_EPC: Final = 2

# Columns of ``groups``. The five counters of a resource stand together: see counter().
(
    GROUP_STATE,  # GROUP_NONE, GROUP_LIVE, GROUP_DEAD (removed, still referenced)
    GROUP_ID,  # number of creation, from 1
    GROUP_PARENT,
    GROUP_FIRST_CHILD,  # children in order of creation
    GROUP_LAST_CHILD,
    GROUP_NEXT,
    GROUP_PREVIOUS,
    GROUP_REFERENCES,  # charged pages + child objects
    GROUP_NR_PROCESSES,
    GROUP_NR_CHILDREN,  # live children
    GROUP_CURSOR,  # v17: where the next pass from here begins; v2: the group visited last
    GROUP_EPOCH,  # v2: completed walks
    GROUP_WORK_NEXT,
    GROUP_WORK_PENDING,
    GROUP_LRU_HEAD,  # reclaimable pages, oldest first
    GROUP_LRU_TAIL,
    GROUP_NR_LRU,
    GROUP_NR_LRU_TREE,  # the same, with all descendants
    GROUP_FIXED_HEAD,  # v2: unreclaimable pages
    GROUP_FIXED_TAIL,
    GROUP_NR_FIXED,
    GROUP_HIGH,  # epc.high, epc.low: bytes, bit pattern of a u64
    GROUP_LOW,
    GROUP_FORCED,  # epc.reclaim: pages still to be reclaimed
    GROUP_OOM,  # epc.oom: OOM_DENY, OOM_KILL
) = range(25)
GROUP_COUNTERS: Final = 25
COUNTERS: Final = 5
USAGE, MAX, PEAK, EVENTS, EVENTS_LOCAL = range(COUNTERS)
GROUP_USAGE: Final = GROUP_COUNTERS + COUNTERS * RESOURCE_EPC + USAGE
GROUP_MAX: Final = GROUP_USAGE + MAX
GROUP_PEAK: Final = GROUP_USAGE + PEAK
GROUP_EVENTS: Final = GROUP_USAGE + EVENTS
GROUP_EVENTS_LOCAL: Final = GROUP_USAGE + EVENTS_LOCAL
#: Figures of epc.stat and epc.events that belong to the group alone; a removed group leaves them to its
#: parent.
GROUP_STATISTICS: Final = 40
(
    STAT_RESIDENT,  # pages now on EPC that are not VA or SECS
    STAT_VA,
    STAT_SECS,
    STAT_FAULTS,
    STAT_LOADED,
    STAT_CREATED,
    STAT_RECLAIMED,
    STAT_SCANNED,
    STAT_REFAULTS,
    STAT_STALL_USEC,
    STAT_EVENT_HIGH,
    STAT_EVENT_MAX,
    STAT_EVENT_OOM,
    STAT_EVENT_OOM_KILL,
    STAT_EVENT_FORCED,
    STAT_EVENT_LOW,
) = range(GROUP_STATISTICS, 56)
NR_STATISTICS: Final = 16
STAT_NAMES: Final = (
    "resident",
    "va",
    "secs",
    "faults",
    "loaded",
    "created",
    "reclaimed",
    "scanned",
    "refaults",
    "stall_usec",
    "high",
    "max",
    "oom",
    "oom_kill",
    "forced",
    "low",
)
#: epc.pressure: stall time at the last tick, microseconds; then the three averages in millionths.
GROUP_PRESSURE_TOTAL: Final = 56
GROUP_PRESSURE: Final = 57
(
    GROUP_HOLDER_FIRST,  # children that may have pages on a list or below, in order of creation
    GROUP_HOLDER_LAST,
    GROUP_HOLDER_NEXT,  # the same links from the child's side
    GROUP_HOLDER_PREVIOUS,
) = range(60, 64)
GROUP_COLUMNS: Final = 64
GROUP_NONE, GROUP_LIVE, GROUP_DEAD = range(3)
OOM_DENY, OOM_KILL = range(2)
ROOT: Final = 1
NAME_BYTES: Final = 256

# Columns of ``enclaves``.
(
    ENCLAVE_KIND,  # KIND_NONE, KIND_ENCLAVE, KIND_GUEST
    ENCLAVE_ID,  # number of creation
    ENCLAVE_OFFSET,  # first element in pages and marks
    ENCLAVE_SIZE,  # pages
    ENCLAVE_FLAGS,  # ENCLAVE_INITIALISED, ..._KILLED, ..._SECS_OUT
    ENCLAVE_SECS,  # frame of the SECS, 0 = out
    ENCLAVE_VA_HEAD,  # VA frames, linked through FRAME_PAGE
    ENCLAVE_NR_VA,  # VA pages
    ENCLAVE_NR_CHILDREN,  # secs_child_cnt: resident pages
    ENCLAVE_PAGE_COUNT,  # page_cnt: SECS + every page grown - removals
    ENCLAVE_NR_EVICTED,  # pages written out
    ENCLAVE_HOME,  # group that made it: evicted pages are shown there
    ENCLAVE_HELD,  # frame taken for a step that waits for a batch
    ENCLAVE_REFUSED,  # page + 1 whose allocation was refused and is being asked again
    ENCLAVE_TRACKED,  # serial of the last batch that did an ETRACK
    ENCLAVE_NEXT,  # by place in ``pages``
) = range(16)
ENCLAVE_COLUMNS: Final = 16
KIND_NONE, KIND_ENCLAVE, KIND_GUEST = range(3)
ENCLAVE_INITIALISED: Final = 1
ENCLAVE_KILLED: Final = 2
ENCLAVE_SECS_OUT: Final = 4

# Columns of ``frames``.
(
    FRAME_NEXT,  # in a list of a group, or in the free list
    FRAME_PREVIOUS,  # in a list of a group
    FRAME_GROUP,  # group charged, 0 = free
    FRAME_ENCLAVE,  # enclave or guest area it belongs to
    FRAME_PAGE,  # index in the enclave, PAGE_SECS, or PAGE_VA - the enclave's next VA frame
    FRAME_FLAGS,  # FRAME_* bits; from FRAME_NODE_SHIFT on the NUMA node
) = range(6)
FRAME_COLUMNS: Final = 6
PAGE_SECS: Final = -1
PAGE_VA: Final = -2  # and everything below it
FRAME_LISTED: Final = 1  # on the reclaimable list (RECLAIMER_TRACKED)
FRAME_ISOLATED: Final = 2  # in the batch
FRAME_FIXED: Final = 4  # v2: on the unreclaimable list
FRAME_POISONED: Final = 8
FRAME_LOADED: Final = 16  # came by ELDU
FRAME_UNMARKED: Final = 32  # v2: recorded without the ENCLAVE flag (B1)
FRAME_NODE_SHIFT: Final = 8

# Bits of ``marks``.
PAGE_TCS: Final = 1
PAGE_TRIM: Final = 2
PAGE_MODIFIED: Final = 4  # waits for EACCEPT
PAGE_RESTRICTED: Final = 8  # permissions reduced to read-only
PAGE_ACCESSED: Final = 16  # the engine's own accessed mark (simulator)
PAGE_PENDING: Final = 32  # created on demand, waits for EACCEPT


class State(NamedTuple):
    """All arrays of one engine; see the module's table for dtypes and shapes."""

    machine: NDArray[np.int64]
    groups: NDArray[np.int64]
    enclaves: NDArray[np.int64]
    frames: NDArray[np.int32]
    pages: NDArray[np.int32]
    marks: NDArray[np.uint8]


class Names(NamedTuple):
    """Tables that compiled code never touches: names (NUL-padded bytes), processes (pid, group)."""

    names: NDArray[np.uint8]
    processes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows each table has, row 0 not counted."""

    nr_frames: int
    nr_groups: int = 1024
    nr_enclaves: int = 1024
    nr_pages: int = 1 << 22
    nr_processes: int = 4096

    def regions(self) -> list[tuple[type, tuple[int, ...]]]:
        """Return dtype and shape of every region in the order of the buffer."""
        return [
            (np.int64, (MACHINE_WORDS,)),
            (np.int64, (self.nr_groups + 1, GROUP_COLUMNS)),
            (np.int64, (self.nr_enclaves + 1, ENCLAVE_COLUMNS)),
            (np.int32, (self.nr_frames + 1, FRAME_COLUMNS)),
            (np.int32, (self.nr_pages,)),
            (np.uint8, (self.nr_pages,)),
            (np.uint8, (self.nr_groups + 1, NAME_BYTES)),
            (np.int64, (self.nr_processes, 2)),
        ]

    @property
    def nbytes(self) -> int:
        """Size of the buffer, in bytes; every region starts at a multiple of 64."""
        return sum(_padded(dtype, shape) for dtype, shape in self.regions())


def _padded(dtype: type, shape: tuple[int, ...]) -> int:
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return (nbytes + 63) & ~63


def _views(buffer: Buffer, sizes: Sizes) -> tuple[State, Names]:
    arrays: list[NDArray[Any]] = []
    offset = 0
    for dtype, shape in sizes.regions():
        count = int(np.prod(shape))
        arrays.append(np.frombuffer(buffer, dtype, count, offset).reshape(shape))
        offset += _padded(dtype, shape)
    return State(*arrays[:6]), Names(*arrays[6:])


def create(sizes: Sizes, buffer: Buffer | None = None) -> tuple[State, Names]:
    """Lay out an empty state over ``buffer`` (all zero, at least ``sizes.nbytes`` bytes) or new memory.

    Raises:
        UsageError: the buffer is too small or already holds a state.
    """
    memory: Buffer = np.zeros(sizes.nbytes, np.uint8).data if buffer is None else buffer
    if memoryview(memory).nbytes < sizes.nbytes:
        raise UsageError(f"buffer of {memoryview(memory).nbytes} bytes: the state needs {sizes.nbytes}")
    state, names = _views(memory, sizes)
    if state.machine[WORD_MAGIC]:
        raise UsageError("the buffer holds a state already")
    state.machine[WORD_MAGIC : NBYTES + 1] = (
        MAGIC,
        VERSION,
        sizes.nr_frames,
        sizes.nr_groups,
        sizes.nr_enclaves,
        sizes.nr_pages,
        sizes.nr_processes,
        sizes.nbytes,
    )
    return state, names


def attach(buffer: Buffer) -> tuple[State, Names]:
    """Return the views over a buffer that holds a state.

    Raises:
        UsageError: no state of this version in the buffer.
    """
    if memoryview(buffer).nbytes < MACHINE_WORDS * 8:
        raise UsageError("the buffer is too small to hold a state")
    header = np.frombuffer(buffer, np.int64, MACHINE_WORDS)
    if header[WORD_MAGIC] != MAGIC or header[WORD_VERSION] != VERSION:
        raise UsageError("the buffer holds no engine state of this version")
    sizes = Sizes(*(int(word) for word in header[NR_FRAMES : NR_PROCESSES + 1]))
    if memoryview(buffer).nbytes < sizes.nbytes:
        raise UsageError(f"the buffer is cut short: {sizes.nbytes} bytes expected")
    return _views(buffer, sizes)


def counter(resource: int, which: int) -> int:
    """Return the column of a counter (``USAGE`` ... ``EVENTS_LOCAL``) of a resource."""
    return GROUP_COUNTERS + COUNTERS * resource + which


def unsigned(word: int) -> int:
    """Return the u64 whose bit pattern an int64 word holds."""
    return int(word) & (2**64 - 1)


def signed(value: int) -> int:
    """Return the int64 with the bit pattern of a u64."""
    return value - 2**64 if value >= 2**63 else value
