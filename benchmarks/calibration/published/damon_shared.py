"""El-Hindi et al., DaMoN 2022, Fig. 8: three enclaves share two nodes' EPC and recover as the others end."""

from typing import Final

import numpy as np

from benchmarks.calibration.published.case import MISSED, PARTLY, Case, pod, rate
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import POD_COLUMNS, Result
from epcgroup.sim.scenario import CLOSED, UNIFORM, Component, PodSpec, Program, Requests, Scenario
from epcgroup.units import PAGE_SIZE

#: EPC of one of the two nodes, scaled down from 64 GB; an enclave grows to that size.
_NODE_PAGES: Final = 8_192
_COMPUTE_NS: Final = 2_000
_PAGES_PER_INSERT: Final = 3
#: Enclaves are full after this time; the sum passes the EPC at two thirds of it. Then they end one by one.
_FULL_S: Final = 12.0
_ENDS_S: Final = (18.0, 24.0, 30.0)
_NAMES: Final = ("first", "second", "third")
_WINDOWS: Final = {
    "the sum fits": (1.0, 7.0),
    "overcommitted": (12.0, 17.5),
    "after the first has ended": (20.0, 23.5),
    "after the second has ended": (26.0, 29.5),
}
_SEEDS: Final = (1, 2, 3)
#: Shares of solo: as good as it; clearly recovered; collapsed.
_ALIKE: Final = 0.05
_RECOVERED: Final = 0.8
_COLLAPSED: Final = 0.5
_EXPECTED: Final = {
    "the sum fits": "alike, somewhat below solo",
    "overcommitted": "all far below, unpredictable",
    "after the first has ended": "the others recover",
    "after the second has ended": "solo level",
}


def _tree(name: str, end_s: float) -> PodSpec:
    growth = Component(UNIFORM, _NODE_PAGES, grows_from_pages=16, growth_pages_per_s=_NODE_PAGES / _FULL_S)
    requests = Requests(CLOSED, draws=_PAGES_PER_INSERT, compute_ns=_COMPUTE_NS)
    return pod(name, Program(_NODE_PAGES, (growth,), requests), end_s=end_s)


def _run(pods: tuple[PodSpec, ...], seed: int = 1) -> Result:
    scenario = Scenario(
        2 * _NODE_PAGES * PAGE_SIZE,
        pods,
        round(_ENDS_S[-1] * 1e9),
        series="mainline",
        costs="sgx2",
        sample_ns=250_000_000,
        seed=seed,
    )
    return simulate(scenario)


def _course(result: Result, row: int) -> tuple[list[float], list[float]]:
    """Return seconds and requests a second of a pod."""
    times_s = result.times_ns / 1e9
    rates = np.diff(result.pods[:, row, POD_COLUMNS.index("requests")]) / np.diff(times_s)
    return [float(t) for t in times_s[1:]], [float(value) for value in rates]


def case() -> Case:
    """Run it."""
    solo = _run((_tree("first", _ENDS_S[-1]),))
    pods = tuple(_tree(name, end) for name, end in zip(_NAMES, _ENDS_S, strict=True))
    runs = [_run(pods, seed) for seed in _SEEDS]
    rows, shares = [], {}
    for window, (start_s, end_s) in _WINDOWS.items():
        alone = rate(solo, "first", "requests", start_s, end_s)
        running = [name for name, end in zip(_NAMES, _ENDS_S, strict=True) if end >= end_s]
        by_run = [[rate(run, name, "requests", start_s, end_s) / alone for name in running] for run in runs]
        shares[window] = [share for run in by_run for share in run]
        shown = [", ".join(f"{100 * share:.0f} %" for share in run) for run in by_run]
        rows.append([window, _EXPECTED[window], *shown])
    fits, over, two, last = shares.values()
    direction = min(over) < _COLLAPSED and min(two) > _RECOVERED and min(last) > 1 - _ALIKE
    alike = max(fits) - min(fits) < _ALIKE
    seconds = _course(runs[0], 0)[0]
    return Case(
        name="damon-shared",
        header=("phase", "published", *(f"here, share of solo, seed {seed}" for seed in _SEEDS)),
        rows=rows,
        verdict=PARTLY if direction and alike else MISSED,
        facts={"nr_pages": f"{_NODE_PAGES:,}"},
        plot={
            "x": seconds,
            "xlabel": "seconds",
            "ylabel": "inserts a second",
            "log": False,
            "curves": {
                "alone": _course(solo, 0)[1],
                **{name: _course(runs[0], row)[1] for row, name in enumerate(_NAMES)},
            },
        },
    )
