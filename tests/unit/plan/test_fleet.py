"""Fleets: nodes add up, in any number of threads; where claims are enforced nobody is hurt."""

from dataclasses import replace

import numpy as np
import pytest
from sweeping import never

from epcgroup.plan import pool
from epcgroup.plan.fleet import COLUMNS, Fleet, NodeFound, nodes_under
from epcgroup.plan.fleettotals import SeriesTotals, most_at_once, scheduled
from epcgroup.plan.measure import Row
from epcgroup.plan.podmodels import distributions
from epcgroup.plan.podtable import generated
from epcgroup.plan.scheduler import schedule
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import PHASES, POD_COLUMNS

GIVEN = distributions()
HOUR = 3600 * 10**9
SERIES = ("mainline", "fair")
PODS, NODES = 60, 3


def fleet(nr_nodes: int = NODES, scoring: str = "LeastAllocated", nr_pods: int = PODS) -> Fleet:
    """Pods of an hour, crowded enough for some to wait."""
    table = generated(nr_pods, GIVEN.epc_bytes, HOUR, 2, GIVEN)
    placement = schedule(table, nr_nodes, GIVEN.epc_bytes, HOUR, scoring)
    return Fleet(table, placement, nr_nodes, GIVEN.epc_bytes, HOUR, GIVEN, GIVEN.costs, seed=2)


def number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, int | float)
    return value


def simulated(plan: Fleet, nr_threads: int) -> list[NodeFound]:
    with pool.threads(nr_threads) as where:
        return list(nodes_under(plan, SERIES, where, never))


def added(found: list[NodeFound], series: str) -> SeriesTotals:
    totals = SeriesTotals()
    for node in found:
        if node.row["series"] == series:
            totals.add(node)
    return totals


@pytest.fixture(scope="module")
def found() -> list[NodeFound]:
    return simulated(fleet(), 1)


def test_the_same_on_any_number_of_threads(found: list[NodeFound]) -> None:
    again = simulated(fleet(), 3)
    assert [node.row for node in again] == [node.row for node in found]
    for series in SERIES:
        assert added(again, series).digest == added(found, series).digest
    assert added(found, "fair").digest != added(found, "mainline").digest


def test_another_seed_is_another_fleet(found: list[NodeFound]) -> None:
    other = simulated(replace(fleet(), seed=3), 2)
    assert added(other, "fair").digest != added(found, "fair").digest


def test_rows_come_by_series_and_node_with_every_column(found: list[NodeFound]) -> None:
    assert [(node.row["series"], node.row["node"]) for node in found] == [
        (s, n) for s in SERIES for n in range(NODES)
    ]
    assert all(set(node.row) == set(COLUMNS) for node in found)


def test_enforced_claims_keep_neighbours_from_harm(found: list[NodeFound]) -> None:
    mainline, fair = (added(found, series).figures() for series in SERIES)
    assert number(fair, "pods_within") == number(mainline, "pods_within") > 0
    assert fair["pods_hurt"] == fair["wait_within_ns"] == 0
    assert number(fair, "wait_beyond_ns") > number(mainline, "wait_beyond_ns")


def test_figures_add_up(found: list[NodeFound]) -> None:
    figures = added(found, "fair").figures()
    rows = [node.row for node in found if node.row["series"] == "fair"]
    for name in ("requests", "evictions", "accesses", "pods"):
        assert figures[name] == sum(number(row, name) for row in rows)
    assert figures["stall_some_max"] == max(number(row, "stall_some") for row in rows)
    latency = [node.latency for node in found if node.row["series"] == "fair"]
    assert figures["requests"] == sum(int(one.sum()) for one in latency)


def test_what_the_scheduler_bound_the_nodes_run_at_just_those_times() -> None:
    plan = fleet()
    for node in range(plan.nr_nodes):
        scenario = plan.scenario(node, "fair")
        result = simulate(scenario)
        phases = result.pods[-1, :, POD_COLUMNS.index("phase")]
        ended = [pod.end_ns is not None for pod in scenario.pods]
        assert [PHASES[int(phase)] for phase in phases] == [
            "Succeeded" if end else "Running" for end in ended
        ]
        assert not result.messages


def test_pods_and_waiting_are_counted_once() -> None:
    plan = fleet(nr_nodes=1)
    figures = scheduled(plan)
    nr_bound = len(plan.placement.on(0))
    assert figures["pods"] == PODS
    assert figures["pods_pending"] == PODS - nr_bound > 0
    assert figures["pods_waited"] == int(np.sum(plan.placement.start_ns > plan.table.arrival_ns)) - (
        PODS - nr_bound
    )
    assert 0.7 < number(figures, "claimed") <= 1.0
    assert 0 < number(figures, "pods_per_node") <= number(figures, "pods_per_node_most") <= nr_bound


def test_a_pod_that_comes_when_another_leaves_is_not_beside_it() -> None:
    plan = fleet(nr_nodes=1)
    at = plan.placement
    bound = at.on(0)
    starts, ends = at.start_ns[bound], at.end_ns[bound]
    naive = max(int(np.sum((starts <= moment) & (moment < ends))) for moment in starts)
    assert most_at_once(at, 1) == naive


def test_packing_leaves_nodes_without_pods_and_these_are_simulated_too() -> None:
    plan = fleet(nr_nodes=8, scoring="MostAllocated", nr_pods=12)
    empty = [node for node in range(8) if not len(plan.placement.on(node))]
    assert empty
    found = simulated(plan, 2)
    assert [node.row["requests"] for node in found if node.row["node"] in empty] == [0] * len(empty) * 2
    assert number(added(found, "fair").figures(), "requests") > 0
