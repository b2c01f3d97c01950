"""A grid of simulations: which combinations, and that its figures are those of the simulations behind it."""

from dataclasses import replace
from math import inf
from statistics import fmean

import numpy as np
import pytest

from epcgroup.node.grid import Grid, outcome_of, run_grid, to_json
from epcgroup.node.manifest import parse_manifest
from epcgroup.node.objects import Manifest
from epcgroup.node.simulate import SimOptions, scenario_of
from epcgroup.observe.gridstory import Cell, GridRow
from epcgroup.plan.measure import percentiles
from epcgroup.sim.machine import simulate

NS = 10**9
MIB = 1 << 20
TEXT = """\
{apiVersion: v1, kind: Node, metadata: {name: n}, status: {capacity: {sgx.intel.com/epc: 16Mi}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: a
  annotations:
    epcgroup.io/model: "{memory: 8Mi, touches: [{zipf: all}], requests: {poisson: 900, draws: 8}}"
spec: {containers: [{name: main, resources: {limits: {sgx.intel.com/epc: 6Mi}}}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: b
  annotations:
    epcgroup.io/model: "{memory: 20Mi, touches: [{loop: all}], requests: {paced: 6000}}"
spec: {containers: [{name: main, resources: {limits: {sgx.intel.com/epc: 8Mi}}}]}
"""
OPTIONS = SimOptions(2 * NS, seed=7)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return parse_manifest("m.yaml", TEXT)


def grid(**changes: object) -> Grid:
    return replace(Grid(("fair",), ("second-chance",), (16 * MIB,), (1.0,), 3), **changes)  # type: ignore[arg-type]


def value(row: GridRow, name: str) -> float:
    found = row.figures[name]
    assert found is not None
    return found.value


def test_all_combinations_and_none_twice() -> None:
    cells = grid(series=("mainline", "fair"), limits=(1.0, 0.5), epc_bytes=(1, 2)).cells
    assert cells == [
        Cell("mainline", "second-chance", 1, inf),
        Cell("mainline", "second-chance", 2, inf),
        *(Cell("fair", "second-chance", epc, limit) for epc in (1, 2) for limit in (1.0, 0.5)),
    ]


def test_figures_are_those_of_the_simulations(manifest: Manifest) -> None:
    (row,) = run_grid(manifest, grid(), OPTIONS)
    results = [simulate(scenario_of(manifest, replace(OPTIONS, seed=seed))) for seed in (7, 8, 9)]
    outcomes = [outcome_of(manifest, result) for result in results]
    assert row.digests == tuple(result.digest for result in results)
    totals = [sum(float(pod["requests_per_s"] or 0) for pod in outcome.pods) for outcome in outcomes]
    assert value(row, "requests_per_s") == pytest.approx(fmean(totals))
    latencies = [outcome.latency for outcome in outcomes]
    assert sum(map(len, latencies)) > 0
    merged = np.zeros(max(map(len, latencies)), np.int64)
    for latency in latencies:
        merged[: len(latency)] += latency
    assert value(row, "p99_ns") == percentiles(merged)["p99_ns"]
    assert value(row, "miss_ratio") == pytest.approx(fmean(outcome.miss_ratio for outcome in outcomes))
    assert 0 < value(row, "miss_ratio") < 1
    figure = row.pods["b"]["loads_per_s"]
    assert figure is not None
    assert figure.value > 0
    assert figure.half is not None


def test_progress_is_relative_to_the_roomy_run(manifest: Manifest) -> None:
    chosen = grid(series=("mainline",), epc_bytes=(64 * MIB,), nr_reps=1, roomy_bytes=64 * MIB)
    (roomy,) = run_grid(manifest, chosen, OPTIONS)
    assert value(roomy, "jain") == pytest.approx(1)
    for pod in ("a", "b"):
        progress = roomy.pods[pod]["progress"]
        assert progress is not None
        assert progress.value == pytest.approx(1)
        assert progress.half is None


def test_a_pod_without_room_makes_no_progress(manifest: Manifest) -> None:
    (row,) = run_grid(manifest, grid(epc_bytes=(8 * MIB,)), OPTIONS)
    assert (row.nr_pending, row.ran_text) == (3, "3 of 6")
    assert value(row, "jain") == pytest.approx(0.5)


def test_threads_change_nothing_and_every_simulation_is_told(manifest: Manifest) -> None:
    chosen = grid(policies=("second-chance", "fifo"), nr_reps=2)
    told: list[tuple[int, int]] = []
    one = run_grid(manifest, chosen, OPTIONS, 1, lambda done, of: told.append((done, of)))
    many = run_grid(manifest, chosen, OPTIONS, 4)
    assert to_json(manifest, chosen, OPTIONS, one) == to_json(manifest, chosen, OPTIONS, many)
    assert told == [(done, 6) for done in range(1, 7)]


def test_without_traces_there_is_no_optimum(manifest: Manifest) -> None:
    (row,) = run_grid(manifest, grid(nr_reps=1), OPTIONS)
    assert row.figures["over_optimum"] is None


def test_whoever_wants_to_stop_stops_all(manifest: Manifest) -> None:
    def stopped(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_grid(manifest, grid(), OPTIONS, 2, stopped=stopped)
