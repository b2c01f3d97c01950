"""The same pods under every combination of series, policy, EPC and limits, with repetitions.

A figure of a combination is a mean over repetitions with different seeds; percentiles come from the merged
histograms of all repetitions, their interval from the percentile of each. What each pod could do with room
for all is simulated too, once for each seed: progress and fairness are relative to it.

What must not live here: one simulation (``simulate.py``), how a grid is shown (``observe/gridtable.py``).
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.node.compare import ROOMY_FACTOR, counted_window
from epcgroup.node.objects import Manifest
from epcgroup.node.simulate import SimOptions, scenario_of
from epcgroup.observe.gridstory import Cell, GridRow
from epcgroup.observe.intervals import Interval, interval, jain
from epcgroup.plan.measure import Row, percentiles, rows
from epcgroup.sim import costs
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import Result
from epcgroup.sim.scenario import Scenario
from epcgroup.state.series import SERIES

OPTIMUM: Final = "optimum"
_PERCENTILES: Final = ("p50_ns", "p99_ns", "p999_ns")


@dataclass(frozen=True, slots=True)
class Grid:
    """What is combined, and how often each combination is repeated.

    Attributes:
        series, policies: names.
        epc_bytes: sizes of the node's EPC.
        limits: limits are the claims times this; infinite: none.
        nr_reps: repetitions, with seeds that follow each other.
        roomy_bytes: EPC of the roomy runs; None: many times the manifest's.
    """

    series: tuple[str, ...]
    policies: tuple[str, ...]
    epc_bytes: tuple[int, ...]
    limits: tuple[float, ...]
    nr_reps: int = 1
    roomy_bytes: int | None = None

    @property
    def cells(self) -> list[Cell]:
        """All combinations, the last list varies fastest; a series that enforces nothing has no limits."""
        lists = (self.series, self.policies, self.epc_bytes, self.limits)
        return list(dict.fromkeys(_cell(*values) for values in itertools.product(*lists)))


def _cell(series: str, policy: str, epc_bytes: int, limit: float) -> Cell:
    return Cell(series, policy, epc_bytes, limit if SERIES[series].enforced else inf)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of one simulation.

    Attributes:
        pods: figures of each pod (``plan/measure.py``) in the counted time.
        latency: requests of all pods in the counted time by bucket, int64.
        digest: of the result.
        nr_failed, nr_pending: pods that failed; pods for whose claims there never was room.
    """

    pods: tuple[Row, ...]
    latency: NDArray[np.int64]
    digest: str
    nr_failed: int
    nr_pending: int

    @property
    def miss_ratio(self) -> float:
        """Part of the page references, in the counted time, that found their page outside the EPC."""
        faults, hits = (sum(_number(pod, name) for pod in self.pods) for name in ("faults", "hits"))
        return faults / (faults + hits) if faults else 0.0


def _number(pod: Row, name: str) -> float:
    value = pod[name]
    return float(value) if isinstance(value, int | float) else 0.0


def outcome_of(manifest: Manifest, result: Result) -> Outcome:
    """Return what is kept of a simulation: its figures after the warm-up, as in the other comparison."""
    end_ns = int(result.times_ns[-1])
    warm_up = counted_window(manifest, 0, end_ns).start_ns / end_ns
    pods = tuple(rows(result, warm_up))
    first = min(int(np.searchsorted(result.times_ns, warm_up * end_ns)), len(result.times_ns) - 2)
    latency = (result.latency[-1] - result.latency[first]).sum(axis=0)
    phases = [pod["phase"] for pod in pods]
    return Outcome(pods, latency, result.digest, phases.count("Failed"), phases.count("Pending"))


def run_grid(
    manifest: Manifest,
    grid: Grid,
    options: SimOptions,
    nr_threads: int = 1,
    told: Callable[[int, int], None] = lambda done, of: None,
    stopped: Callable[[int], None] | None = None,
) -> list[GridRow]:
    """Simulate a grid and return its rows, in the order of its cells.

    Args:
        manifest: its pods.
        grid: what is combined.
        options: all that is not.
        nr_threads: simulations at a time; the result does not depend on it.
        told: after each simulation: how many are done, of how many.
        stopped: progress of each simulation (virtual ns); may raise to give all of them up.

    Raises:
        ManifestError: a program cannot be simulated.
        UsageError: a combination cannot be.
    """
    seeds = range(options.seed, options.seed + grid.nr_reps)
    roomy_bytes = grid.roomy_bytes or manifest.node.capacity_bytes * ROOMY_FACTOR
    roomy = replace(options, series="mainline", capacity_bytes=roomy_bytes)
    wanted = [scenario_of(manifest, replace(roomy, seed=seed)) for seed in seeds]
    bounds = _bounds(manifest, grid, options)
    for cell in (*grid.cells, *bounds):
        chosen = _of(options, cell)
        wanted += [scenario_of(manifest, replace(chosen, seed=seed)) for seed in seeds]
    outcomes = _simulated(manifest, wanted, nr_threads, told, stopped)
    groups = [outcomes[start : start + len(seeds)] for start in range(0, len(outcomes), len(seeds))]
    alone, by_cell = groups[0], dict(zip((*grid.cells, *bounds), groups[1:], strict=True))
    return [_row(cell, by_cell[cell], alone, by_cell.get(_bound(cell))) for cell in grid.cells]


def _of(options: SimOptions, cell: Cell) -> SimOptions:
    return replace(options, series=cell.series, policy=cell.policy, capacity_bytes=cell.epc_bytes,
                   limit_factor=cell.limit)  # fmt: skip


def _bound(cell: Cell) -> Cell:
    return replace(cell, policy=OPTIMUM)


def _bounds(manifest: Manifest, grid: Grid, options: SimOptions) -> list[Cell]:
    """The cells of the optimum that the grid lacks, where the future is known: all pods follow traces."""
    scenario = scenario_of(manifest, options)
    if OPTIMUM in grid.policies or not _future_is_known(scenario):
        return []
    return list(dict.fromkeys(_bound(cell) for cell in grid.cells if SERIES[cell.series].sgx2))


def _future_is_known(scenario: Scenario) -> bool:
    """Whether the optimum can be told which pages come: the rule of ``sim/checks.py``."""
    programs = [container.program for pod in scenario.pods for container in pod.containers]
    follows = all(program.trace and not program.populate for program in programs)
    restarts = any(pod.restarts for pod in scenario.pods)
    return follows and not restarts and bool(costs.find(scenario.costs).on_demand)


def _simulated(
    manifest: Manifest,
    scenarios: Sequence[Scenario],
    nr_threads: int,
    told: Callable[[int, int], None],
    stopped: Callable[[int], None] | None,
) -> list[Outcome]:
    def one(scenario: Scenario) -> Outcome:
        return outcome_of(manifest, simulate(scenario, stopped))

    outcomes = []
    with ThreadPoolExecutor(nr_threads) as threads:
        for outcome in threads.map(one, scenarios):
            outcomes.append(outcome)
            told(len(outcomes), len(scenarios))
    return outcomes


def _row(
    cell: Cell, outcomes: Sequence[Outcome], roomy: Sequence[Outcome], bound: Sequence[Outcome] | None
) -> GridRow:
    distance = None
    if bound is not None:
        pairs = zip(outcomes, bound, strict=True)
        distance = interval([_excess(outcome.miss_ratio, least.miss_ratio) for outcome, least in pairs])
    return GridRow(
        cell=cell,
        nr_reps=len(outcomes),
        nr_failed=sum(outcome.nr_failed for outcome in outcomes),
        nr_pending=sum(outcome.nr_pending for outcome in outcomes),
        figures={
            **_totals(outcomes),
            **_latency([outcome.latency for outcome in outcomes]),
            "miss_ratio": interval([outcome.miss_ratio for outcome in outcomes]),
            "stall_some": interval([_number(outcome.pods[0], "node_stall_some") for outcome in outcomes]),
            "jain": _fairness(outcomes, roomy),
            "over_optimum": distance,
        },
        pods=_pods(outcomes, roomy),
        digests=tuple(outcome.digest for outcome in outcomes),
    )


def _excess(value: float, least: float) -> float:
    return value / least - 1 if least else 0.0 if not value else float("inf")


def _totals(outcomes: Sequence[Outcome]) -> dict[str, Interval | None]:
    def total(name: str) -> Interval | None:
        return interval([_rate(outcome.pods, name) for outcome in outcomes])

    names = {"requests_per_s": "requests", "loads_per_s": "loaded", "evictions_per_s": "evictions"}
    return {shown: total(counted) for shown, counted in names.items()}


def _rate(pods: Iterable[Row], name: str) -> float:
    return sum(_number(pod, name) / _number(pod, "counted_s") for pod in pods)


def _latency(counts: Sequence[NDArray[np.int64]]) -> dict[str, Interval | None]:
    """Percentiles of all repetitions together; how far apart those of each are gives the interval."""
    each = [percentiles(one) for one in counts]
    # A result has as many buckets as it needed.
    merged = np.zeros(max(len(one) for one in counts), np.int64)
    for one in counts:
        merged[: len(one)] += one
    total = percentiles(merged)
    return {name: interval([_or_nan(one[name]) for one in each], total[name]) for name in _PERCENTILES}


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _progress(outcome: Outcome, roomy: Outcome) -> dict[str, float]:
    """What part of its roomy requests each pod that has requests answered."""
    alone = {str(pod["pod"]): _number(pod, "requests_per_s") for pod in roomy.pods}
    return {
        name: _number(pod, "requests_per_s") / alone[name]
        for pod in outcome.pods
        if alone[name := str(pod["pod"])]
    }


def _fairness(outcomes: Sequence[Outcome], roomy: Sequence[Outcome]) -> Interval | None:
    pairs = zip(outcomes, roomy, strict=True)
    return interval([_or_nan(jain([*_progress(*pair).values()])) for pair in pairs])


def _pods(
    outcomes: Sequence[Outcome], roomy: Sequence[Outcome]
) -> Mapping[str, Mapping[str, Interval | None]]:
    progress = [_progress(*pair) for pair in zip(outcomes, roomy, strict=True)]
    found: dict[str, dict[str, Any]] = {}
    for place, pod in enumerate(outcomes[0].pods):
        each = [outcome.pods[place] for outcome in outcomes]
        name = str(pod["pod"])
        found[name] = {
            "progress": interval([one.get(name, float("nan")) for one in progress]),
            **{shown: interval([_rate([one], counted) for one in each])
               for shown, counted in (("requests_per_s", "requests"), ("loads_per_s", "loaded"))},
            "stall_some": interval([_number(one, "stall_some") for one in each]),
            **{shown: interval([_or_nan(_value(one, shown)) for one in each]) for shown in _PERCENTILES},
        }  # fmt: skip
    return found


def _value(pod: Row, name: str) -> float | None:
    return None if pod[name] is None else _number(pod, name)


def to_json(manifest: Manifest, grid: Grid, options: SimOptions, found: Sequence[GridRow]) -> dict[str, Any]:
    """Return a grid for JSON."""
    return {
        "schema": "epcgroup/grid/1",
        "manifest": manifest.file,
        "duration_s": options.duration_ns / 1e9,
        "costs": options.costs,
        "overrides": dict(options.overrides),
        "cpus": options.nr_cpus,
        "seed": options.seed,
        "reps": grid.nr_reps,
        "rows": [row.to_json() for row in found],
    }
