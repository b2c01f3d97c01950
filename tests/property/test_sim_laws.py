"""Random nodes with pods that end, restart, wait for claims, under several policies: the laws always hold."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from epcgroup.engine import invariants
from epcgroup.sim import layout
from epcgroup.sim.machine import Simulation, simulate
from epcgroup.sim.result import POD_COLUMNS
from epcgroup.sim.scenario import PodSpec, Scenario
from epcgroup.units import PAGE_SIZE
from tests.property.test_sim_reference import scenarios

_COLUMN = {name: column for column, name in enumerate(POD_COLUMNS)}


@st.composite
def lives(draw: st.DrawFn, pod: PodSpec, capacity_bytes: int) -> PodSpec:
    """The same pod with an end, restarts and a claim of its own."""
    end = draw(st.none() | st.integers(pod.start_ns, 1_500_000))
    claim = draw(st.integers(0, capacity_bytes // PAGE_SIZE)) * PAGE_SIZE
    return replace(
        pod,
        end_ns=end,
        claim_bytes=claim,
        restarts=draw(st.booleans()),
        restart_ns=draw(st.integers(1, 300_000)),
    )


@st.composite
def busy_nodes(draw: st.DrawFn) -> Scenario:
    base = draw(scenarios())
    pods = tuple(draw(lives(pod, base.capacity_bytes)) for pod in base.pods)
    policy = draw(st.sampled_from(["second-chance", "second-chance", "fifo", "lru"]))
    return replace(base, pods=pods, policy=policy, sample_ns=draw(st.integers(50_000, 400_000)))


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(busy_nodes())
def test_whatever_happens_the_books_balance(scenario: Scenario) -> None:
    simulation = Simulation(scenario, {})
    result = simulation.run(lambda time_ns: invariants.check(simulation.epc.state))
    pods = {name: result.pods[:, :, column] for name, column in _COLUMN.items()}
    for name in ("faults", "evictions", "refused", "hits", "requests", "peak_bytes", "stall_some_ns"):
        assert (pods[name][1:] >= pods[name][:-1]).all(), name
    assert (pods["faults"] == pods["created"] + pods["loaded"]).all()
    assert (pods["evictions"] == result.reclaimed_by.sum(axis=2)).all()
    assert (pods["evictions"] >= pods["loaded"] + pods["evicted_pages"]).all()
    assert (pods["stall_full_ns"] <= pods["stall_some_ns"]).all()
    assert (pods["stall_some_ns"] <= result.times_ns[:, None]).all()
    assert (pods["resident_pages"] * PAGE_SIZE <= pods["current_bytes"]).all()
    assert (result.latency.sum(axis=2) == pods["requests"]).all()
    nr_enclave_pages = (pods["resident_pages"] + pods["evicted_pages"])[-1].sum()
    assert simulation.arrays.machine[layout.NR_ENCLAVE_PAGES] == nr_enclave_pages
    used = pods["current_bytes"].sum(axis=1) // PAGE_SIZE
    assert (used + result.node[:, 0] == scenario.capacity_bytes // PAGE_SIZE).all()
    assert simulate(scenario).digest == result.digest
