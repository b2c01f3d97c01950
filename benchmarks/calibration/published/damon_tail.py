"""El-Hindi et al., DaMoN 2022, Fig. 3: the tail of random access against overcommit from 1:1 to 1:16."""

import math
from collections.abc import Mapping
from typing import Final

from benchmarks.calibration.published.case import (
    MET,
    MISSED,
    PARTLY,
    Case,
    mean_ns,
    percentile_ns,
    pod,
    uniform,
)
from epcgroup.sim import costs
from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import Scenario
from epcgroup.units import PAGE_SIZE

#: Overcommit → 99.9th percentile of an access, cycles.
_PUBLISHED: Final = {1: 1_645, 2: 68_790, 4: 101_569, 8: 155_954, 16: 218_224}
#: EPC of the simulated machine: theirs scaled down from 8 GB. The share of it is what counts.
_EPC_PAGES: Final = 16_384
#: Share of the EPC that the enclave fills at 1:1: its own pages and the reserve are not data.
_FILL: Final = 0.98
_NR_REFERENCES: Final = 400_000
_CLOSE: Final = 0.5


def measured(
    ratio: int, nr_cpus: int = 0, overrides: Mapping[str, float] | None = None
) -> tuple[float, float]:
    """Return (99.9th percentile, mean) of an access in cycles; 0 processors: ksgxd has one of its own."""
    model = costs.find("sgx2")
    nr_pages = round(_EPC_PAGES * ratio * _FILL)
    fault_ns = sum(model.ps(key) for key in ("fault", "load", "evict")) / 1000
    load_s = 1.3 * nr_pages * fault_ns / 1e9
    duration_s = load_s + _NR_REFERENCES * fault_ns / 1e9
    scenario = Scenario(
        _EPC_PAGES * PAGE_SIZE,
        (pod("enclave", uniform(nr_pages, 0)),),
        round(duration_s * 1e9),
        series="mainline",
        costs="sgx2",
        overrides=overrides or {},
        nr_cpus=nr_cpus,
    )
    result = simulate(scenario)
    start_s = duration_s / 2
    return percentile_ns(result, "enclave", 99.9, start_s) * model.ghz, mean_ns(
        result, "enclave", start_s
    ) * model.ghz


def from_others(ratio: int) -> dict[str, float]:
    """Return the spread at an overcommit as the two nearest others have it, on a line over the logarithm."""
    spread = dict(costs.find("sgx2").spread)
    if ratio not in spread:
        return {}
    nearest = sorted(
        (other for other in spread if other != ratio), key=lambda other: abs(math.log(other / ratio))
    )
    (x, first), (y, second) = ((math.log(other / ratio), spread[other]) for other in nearest[:2])
    return {f"spread{ratio}": first - x * (second - first) / (y - x)}


def case() -> Case:
    """Run it."""
    found = {ratio: measured(ratio) for ratio in _PUBLISHED}
    without = {ratio: measured(ratio, overrides=from_others(ratio))[0] for ratio in _PUBLISHED}
    shared = {ratio: measured(ratio, nr_cpus=1)[0] for ratio in _PUBLISHED}
    rows = [
        [
            f"1:{ratio}",
            f"{theirs:,}",
            f"{found[ratio][0]:,.0f}",
            f"{found[ratio][0] / theirs - 1:+.0%}",
            f"{without[ratio]:,.0f}",
            f"{without[ratio] / theirs - 1:+.0%}",
            f"{shared[ratio]:,.0f}",
            f"{shared[ratio] / theirs - 1:+.0%}",
            f"{found[ratio][1]:,.0f}",
        ]
        for ratio, theirs in _PUBLISHED.items()
    ]
    near = {ratio: abs(p999 / _PUBLISHED[ratio] - 1) <= _CLOSE for ratio, p999 in without.items()}
    pages = all(near[ratio] for ratio in near if ratio > 1)
    up = found[4][1] / found[1][1], found[16][1] / found[4][1]
    mean_holds = up[0] > 30 and up[1] < 2
    return Case(
        name="damon-tail",
        header=(
            "overcommit",
            "published p99.9, cycles",
            "here",
            "difference",
            "here, without its own figure",
            "difference",
            "here, ksgxd on the same CPU",
            "difference",
            "here: mean, cycles",
        ),
        rows=rows,
        verdict=MISSED if not (pages and mean_holds) else MET if near[1] else PARTLY,
        facts={
            "nr_pages": f"{_EPC_PAGES:,}",
            "up_to_4": f"{up[0]:.0f}",
            "up_to_16": f"{up[1]:.2f}",
            "predicted": f"{100 * max(abs(without[r] / _PUBLISHED[r] - 1) for r in without if r > 1):.0f} %",
        },
        plot={
            "x": list(_PUBLISHED),
            "xlabel": "overcommit, 1:n",
            "ylabel": "cycles",
            "log": True,
            "curves": {
                "published, p99.9": list(_PUBLISHED.values()),
                "here, p99.9, without its own figure": list(without.values()),
                "here, p99.9, ksgxd on the same CPU": list(shared.values()),
                "here, mean": [m for _, m in found.values()],
            },
        },
    )
