"""How far the cost of a load spreads: rows of quantiles, which of them holds, what a run makes of it."""

import hashlib
import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from epcgroup.abi.histogram import bucket_of
from epcgroup.sim import costs, spread
from epcgroup.sim import layout as at
from epcgroup.sim.machine import Simulation, simulate
from epcgroup.sim.scenario import Component, Scenario
from tests.unit.sim.scenarios import COSTS, figures, pod, program, scenario

_POINTS = ((2, 0.2), (8, 0.6))
#: Overcommit → 99.9th percentile of a random access, cycles. Source: DaMoN 2022, Fig. 3.
_PUBLISHED = {2: 68_790, 4: 101_569, 8: 155_954, 16: 218_224}
_MEAN_PS = 39_000_000 * 2 // 7


def table(points: costs.Points, mean_ps: int = _MEAN_PS) -> list[list[int]]:
    return spread.quantiles(points, mean_ps).reshape(-1, spread.NR_QUANTILES).tolist()


@pytest.mark.parametrize("mean_ps", [0, 1, 999, _MEAN_PS, 2 * 10**12])
def test_the_mean_is_kept_to_the_picosecond(mean_ps: int) -> None:
    for row in table(_POINTS, mean_ps):
        assert sum(row) == mean_ps * spread.NR_QUANTILES
        assert row == sorted(row)
        assert row[0] >= 0


def test_rows_are_log_normal() -> None:
    for (_, deviation), row in zip(spread.rows_of(_POINTS), table(_POINTS), strict=True):
        logarithms = np.log(np.array(row) / _MEAN_PS)
        assert logarithms.std() == pytest.approx(deviation, rel=0.002)
        assert logarithms.mean() == pytest.approx(-(deviation**2) / 2, abs=0.002)
        for place in (0.01, 0.5, 0.99, 0.999):
            expected = deviation * NormalDist().inv_cdf(place) - deviation**2 / 2
            assert logarithms[round(place * len(row))] == pytest.approx(expected, abs=0.03)


def test_deviations_between_points_follow_the_logarithm_of_overcommit() -> None:
    overcommits, deviations = zip(*spread.rows_of(_POINTS), strict=True)
    assert overcommits == pytest.approx((2, math.sqrt(8), 4, math.sqrt(32), 8))
    assert deviations == pytest.approx((0.2, 0.3, 0.4, 0.5, 0.6))


def test_the_nearest_row_holds() -> None:
    first = spread.first_pages(_POINTS, 1000).tolist()
    assert first == [0, *(math.ceil(1000 * 2 ** (1.25 + step / 2)) for step in range(4))]


def test_one_point_holds_everywhere() -> None:
    assert spread.rows_of(((4, 0.3),)) == [(4.0, 0.3)]
    assert spread.first_pages(((4, 0.3),), 1000).tolist() == [0]


@pytest.mark.parametrize("points", [(), ((2, 0.0),), ((2, 0.0), (4, 0.0))])
def test_nothing_is_made_where_nothing_spreads(points: costs.Points) -> None:
    assert len(spread.first_pages(points, 1000)) == len(spread.quantiles(points, _MEAN_PS)) == 0


def test_rows_do_not_depend_on_a_library() -> None:
    normal = NormalDist()
    steps = [normal.inv_cdf((2 * n + 1) / (2 * spread.NR_QUANTILES)) * 10**9 for n in range(4096)]
    assert min(abs(step % 1 - 0.5) for step in steps) > 1e-5  # a last bit is 1e-6 at most
    made = spread.quantiles(costs.find("sgx2").spread, _MEAN_PS)
    assert hashlib.sha256(made.astype("<i8").tobytes()).hexdigest()[:16] == "a2de0fdc71d7d8e6"


@pytest.mark.parametrize("overcommit", _PUBLISHED)
def test_the_published_tail_follows_from_the_figures(overcommit: int) -> None:
    """At 1:n a share of 1 - 1/n of random accesses loads a page."""
    model = costs.find("sgx2")
    mean_ps = model.ps("fault") + model.ps("load")
    rows = dict(zip(spread.rows_of(model.spread), table(model.spread, mean_ps), strict=True))
    row = next(row for (where, _), row in rows.items() if where == pytest.approx(overcommit))
    place = 1 - 0.001 / (1 - 1 / overcommit)
    cycles = (row[int(place * len(row))] + model.ps("hit")) * model.ghz / 1000
    assert cycles == pytest.approx(_PUBLISHED[overcommit], rel=0.03)


def paging(overcommit: int, **overrides: float) -> Scenario:
    """One program that refers at random to so many times the EPC, and whose loads spread."""
    spec = pod("p", program(Component("uniform", 200 * overcommit), compute_ns=0))
    base = scenario(spec, nr_pages=200, series="mainline", duration_ns=60_000_000, sample_ns=30_000_000)
    return replace(base, overrides={**base.overrides, **overrides})


@pytest.mark.parametrize(("overcommit", "row"), [(2, 0), (16, -1)])
def test_loads_spread_as_the_overcommit_says_and_cost_the_same_on_average(overcommit: int, row: int) -> None:
    same = simulate(paging(overcommit))
    spreads = simulate(paging(overcommit, spread2=0.2, spread16=0.8))
    assert figures(spreads)["loaded"] == pytest.approx(figures(same)["loaded"], rel=0.01)
    costs_ns = np.array(table(((2, 0.2), (16, 0.8)), 1000 * (COSTS["fault"] + COSTS["load"]))[row]) / 1000
    counts = spreads.latency[-1, 0] - spreads.latency[0, 0]  # when all pages are there
    counts[bucket_of(COSTS["hit"])] = 0
    expected = np.bincount([bucket_of(int(cost) + COSTS["hit"]) for cost in costs_ns], minlength=len(counts))
    assert np.flatnonzero(counts)[-1] <= np.flatnonzero(expected)[-1]
    found, drawn = (np.cumsum(each) / each.sum() for each in (counts, expected[: len(counts)]))
    assert np.abs(found - drawn).max() < 0.02


def test_a_spread_of_nothing_is_none() -> None:
    assert simulate(paging(4, spread3=0.0)).digest == simulate(paging(4)).digest


def test_new_pages_always_cost_the_same() -> None:
    roomy = scenario(pod("p", program(Component("loop", 100), compute_ns=0)))
    assert simulate(replace(roomy, overrides={**roomy.overrides, "spread1": 1.0})).digest == (
        simulate(roomy).digest
    )


def test_pages_that_enclaves_have_are_counted() -> None:
    grower = pod("a", program(Component("loop", 300)), end_ns=400_000)
    other = pod("b", program(Component("loop", 50)), start_ns=500_000)
    simulation = Simulation(scenario(grower, other, nr_pages=100, series="mainline", sample_ns=300_000), {})
    seen = []
    simulation.run(lambda _: seen.append(int(simulation.arrays.machine[at.NR_ENCLAVE_PAGES])))
    assert max(seen) > 200
    assert seen[-1] == 50
