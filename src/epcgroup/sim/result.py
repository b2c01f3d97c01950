"""What a simulation found: samples over virtual time and totals, as arrays.

What must not live here: percentiles and rates over windows (``observe/figures.py``), files (``table.py``).
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.sim.scenario import Scenario

#: Columns of ``Result.pods``: figures of a pod's group and programs at a sample; counters since the start.
POD_COLUMNS: Final = (
    "current_bytes",  # misc.current
    "peak_bytes",  # misc.peak
    "resident_pages",
    "evicted_pages",  # written out and not back
    "faults",  # pages brought in (created + loaded)
    "created",
    "loaded",
    "evictions",  # pages of the pod written out
    "refused",  # faults that ended in SIGBUS
    "hits",
    "requests",  # answered
    "stall_some_ns",  # time in which at least one of its programs waited for the EPC
    "stall_full_ns",  # ... all of its programs that had work
    "direct_ns",  # time its programs spent in reclaim of their own
    "phase",  # index into PHASES
)
#: Columns of ``Result.node``.
NODE_COLUMNS: Final = (
    "free_pages",
    "background_batches",
    "background_ns",
    "stall_some_ns",
    "stall_full_ns",
)
PHASES: Final = ("Pending", "Running", "Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Kill:
    """One enclave that was killed because nothing under a limit was reclaimable (``epc.oom``).

    Attributes:
        time_ns: when.
        pod, container: whose enclave it was.
        by: POD/CONTAINER that asked for a page when there was none.
        level: path of the group that had no room.
        pages: EPC pages the enclave held.
        over_pages: pages by which its group was above a limit of its own.
    """

    time_ns: int
    pod: str
    container: str
    by: str
    level: str
    pages: int
    over_pages: int


@dataclass(frozen=True, slots=True)
class Result:
    """One simulation.

    Attributes:
        scenario: what was simulated.
        times_ns: virtual time of each sample, int64 (T,); the last is the end, none is at 0.
        pods: int64 (T, pods, len(POD_COLUMNS)).
        node: int64 (T, len(NODE_COLUMNS)).
        reclaimed_by: int64 (T, pods, pods + 1): pages of the row's pod written out on behalf of the column's;
            the last column is the machine: ksgxd's pages that no pod can be blamed for (``blame.py``).
        latency: int64 (T, pods, buckets): answered requests by bucket of ``abi/histogram.py``, in ns; as many
            buckets as the longest time needs.
        nr_accesses: page references in all.
        digest: SHA-256 over all of the above: equal for equal input and seed, on any number of threads.
        messages: what people should know (pods that never fitted, programs killed, a model's limits).
        reasons: of each pod that failed, why, in one word; empty for the others.
        kills: in the order of time.
    """

    scenario: Scenario
    times_ns: NDArray[np.int64]
    pods: NDArray[np.int64]
    node: NDArray[np.int64]
    reclaimed_by: NDArray[np.int64]
    latency: NDArray[np.int64]
    nr_accesses: int
    digest: str
    messages: tuple[str, ...] = field(default=())
    reasons: tuple[str, ...] = field(default=())
    kills: tuple[Kill, ...] = field(default=())
