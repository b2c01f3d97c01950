"""Scenarios that make no sense are refused with words that name the value."""

from dataclasses import replace
from typing import Any

import pytest

from epcgroup.errors import UsageError
from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import Component, PodSpec
from tests.unit.sim.scenarios import pod, program, scenario

_PART = Component("loop", 4)


def _with_component(**fields: Any) -> PodSpec:  # noqa: ANN401
    return pod("p", program(replace(_PART, **fields), nr_pages=4))


def _with_requests(**fields: Any) -> PodSpec:  # noqa: ANN401
    return pod("p", program(_PART, **fields))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (_with_component(kind="random"), "random: unknown kind: one of zipf"),
        (_with_component(nr_pages=5), "pages 0 to 4 are not all in an enclave of 4"),
        (_with_component(first_page=-1), "pages -1 to 2"),
        (_with_component(weight=0), "weight of 0"),
        (_with_component(exponent=-1), "exponent of -1"),
        (_with_component(span=5), "span of 5"),
        (_with_component(span=0), "span of 0"),
        (_with_component(grows_from_pages=5), "5 pages in use of 4"),
        (_with_component(growth_pages_per_s=-1.0), "growth_pages_per_s of -1"),
        (_with_component(kind="phases"), "set_pages of 0 and phase_ns of 0"),
        (_with_component(kind="phases", set_pages=5, phase_ns=1), "set_pages of 5"),
        (_with_component(items=2), "items of 2"),
        (_with_component(chance=0), "chance of 0"),
        (pod("p", program(replace(_PART, chance=0.5), draws=0)), "one component at least"),
        (_with_requests(arrivals="sometimes"), "arrivals 'sometimes': one of closed"),
        (_with_requests(arrivals="paced"), "rate_per_s of 0.0"),
        (_with_requests(arrivals="recorded"), "recorded arrivals need a trace"),
        (_with_requests(burst=0), "burst of 0"),
        (_with_requests(draws=-1), "draws of -1"),
        (_with_requests(think_ns=-1), "think_ns of -1"),
        (pod("p"), "pod p has no container"),
        (pod("p", program(_PART), start_ns=5, end_ns=4), "ends at 4 ns and starts at 5 ns"),
        (pod("p", program(_PART), restarts=True, restart_ns=0), "restart_ns of 0"),
        (pod("p", replace(program(_PART), nr_pages=0)), "nr_pages of 0"),
        (pod("p", replace(program(_PART), components=())), "either components or a trace"),
        (pod("p", replace(program(_PART), populate_ns=-1)), "populate_ns of -1"),
    ],
)
def test_a_pod_that_makes_no_sense(broken: PodSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        simulate(scenario(broken))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"capacity_bytes": 4095}, "capacity_bytes of 4095"),
        ({"duration_ns": 0}, "duration_ns of 0"),
        ({"nr_cpus": -1}, "nr_cpus of -1"),
        ({"quantum_ns": -1}, "quantum_ns of -1"),
        ({"series": "v18"}, "no series 'v18'"),
        ({"costs": "sgx3"}, "no cost model 'sgx3'"),
        ({"overrides": {"speed": 1.0}}, "no cost 'speed'"),
        ({"policy": "random"}, "no policy 'random'"),
        ({"policy": "optimum"}, "pod p follows no trace"),
    ],
)
def test_a_node_that_makes_no_sense(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        simulate(scenario(pod("p", program(_PART)), **fields))


def test_two_pods_of_one_name() -> None:
    twin = pod("p", program(_PART))
    with pytest.raises(UsageError, match="two pods are called p"):
        simulate(scenario(twin, twin))
