"""What a sweep notes of one simulation: a row of figures for each pod.

What must not live here: which simulations (``space.py``), files (``journal.py``, ``tables.py``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.abi.histogram import Histogram
from epcgroup.plan.pool import AbandonedError
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import NODE_COLUMNS, PHASES, POD_COLUMNS, Result
from epcgroup.sim.scenario import Scenario

Row = dict[str, int | float | str | None]

#: Figure → its type in the table. Rates and shares are over the counted time.
FIGURES: Final[Mapping[str, str]] = {
    "pod": "text",
    "phase": "text",  # at the end
    "counted_s": "float",  # length of the counted time, s
    "requests": "int",
    "requests_per_s": "float",
    "p50_ns": "int",
    "p99_ns": "int",
    "p999_ns": "int",
    "stall_some": "float",  # share of the counted time
    "stall_full": "float",
    "faults": "int",
    "created": "int",
    "loaded": "int",
    "evictions": "int",
    "refused": "int",
    "hits": "int",
    "direct_ns": "int",
    "resident_pages": "int",  # at the end
    "peak_bytes": "int",  # of the whole run
    "node_stall_some": "float",
    "node_background_ns": "int",
    "accesses": "int",  # of the whole run and node
    "digest": "text",  # of the simulation
}
_COUNTERS: Final = (
    "requests", "faults", "created", "loaded", "evictions", "refused", "hits", "direct_ns", "stall_some_ns",
    "stall_full_ns",
)  # fmt: skip
_PERCENTS: Final = {"p50_ns": 50.0, "p99_ns": 99.0, "p999_ns": 99.9}
_POD: Final = {name: number for number, name in enumerate(POD_COLUMNS)}
_NODE: Final = {name: number for number, name in enumerate(NODE_COLUMNS)}


@dataclass(frozen=True, slots=True)
class Task:
    """One simulation to do and what is counted of it; can be sent to another machine.

    Attributes:
        id: of the point.
        scenario: what is simulated.
        warm_up: part of the run, 0 to below 1, that is not counted.
    """

    id: str
    scenario: Scenario
    warm_up: float


def measure(task: Task, stop: Callable[[], bool] | None = None) -> list[Row]:
    """Simulate and return a row of :data:`FIGURES` for each pod.

    Args:
        task: what to do.
        stop: asked from time to time whether to give up.

    Raises:
        AbandonedError: ``stop`` said so.
        EpcError: the scenario cannot be simulated.
    """
    result = simulate(task.scenario, None if stop is None else giving_up(stop))
    return rows(result, task.warm_up)


def giving_up(stop: Callable[[], bool]) -> Callable[[object], None]:
    """Return a progress callback that ends a simulation when ``stop`` says so."""

    def progress(_: object) -> None:
        if stop():
            raise AbandonedError

    return progress


def percentiles(counts: NDArray[np.int64]) -> dict[str, int | None]:
    """Return p50, p99 and p99.9 in ns of latencies by bucket; None without any."""
    used = np.flatnonzero(counts)
    histogram = Histogram.from_dict({int(bucket): int(counts[bucket]) for bucket in used})
    return {name: histogram.percentile(percent) for name, percent in _PERCENTS.items()}


def rows(result: Result, warm_up: float = 0.0) -> list[Row]:
    """Return the figures of each pod over what comes after the warm-up."""
    end_ns = int(result.times_ns[-1])
    first = int(np.searchsorted(result.times_ns, warm_up * end_ns)) if warm_up else -1
    first = min(first, len(result.times_ns) - 2)
    counted_s = (end_ns - (int(result.times_ns[first]) if first >= 0 else 0)) / 1e9
    pods, latency, node = (_since(values, first) for values in (result.pods, result.latency, result.node))
    common: Row = {
        "node_stall_some": _share(node[_NODE["stall_some_ns"]], counted_s),
        "node_background_ns": int(node[_NODE["background_ns"]]),
        "accesses": result.nr_accesses,
        "digest": result.digest,
    }
    return [
        {
            "pod": pod.name,
            "counted_s": counted_s,
            **_row(pods[i], result.pods[-1, i], latency[i], counted_s),
            **common,
        }
        for i, pod in enumerate(result.scenario.pods)
    ]


def _since(values: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Return what was counted from a sample to the end; -1: from the start."""
    difference: NDArray[np.int64] = values[-1] - values[first] if first >= 0 else values[-1]
    return difference


def _share(ns: np.int64, seconds: float) -> float:
    return int(ns) / 1e9 / seconds


def _row(
    counted: NDArray[np.int64], end: NDArray[np.int64], latency: NDArray[np.int64], seconds: float
) -> Row:
    counters = {name: int(counted[_POD[name]]) for name in _COUNTERS}
    stalls = {
        name: _share(np.int64(counters.pop(f"{name}_ns")), seconds) for name in ("stall_some", "stall_full")
    }
    return {
        "phase": PHASES[int(end[_POD["phase"]])],
        **counters,
        **stalls,
        **percentiles(latency),
        "requests_per_s": counters["requests"] / seconds,
        "resident_pages": int(end[_POD["resident_pages"]]),
        "peak_bytes": int(end[_POD["peak_bytes"]]),
    }
