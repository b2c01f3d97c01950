"""Small scenarios for the simulator's tests, and the figures of their results by name."""

from dataclasses import replace
from typing import Any, Final

from epcgroup.sim.costs import steady
from epcgroup.sim.layout import Arrays
from epcgroup.sim.machine import Simulation
from epcgroup.sim.result import NODE_COLUMNS, POD_COLUMNS, Result
from epcgroup.sim.scenario import Component, ContainerSpec, PodSpec, Program, Requests, Scenario
from epcgroup.units import PAGE_SIZE

#: Costs that are easy to add up, in ns.
COSTS: Final = {
    "hit": 10,
    "fault": 1000,
    "wake": 0,
    "create": 200,
    "load": 300,
    "evict": 50,
    "scan": 0,
    "batch": 0,
    "background": 0,
    "ecreate": 5000,
    "add": 400,
}
_GHZ: Final = 3.5


def program(
    *components: Component,
    nr_pages: int = 0,
    populate: bool = False,
    **requests: Any,  # noqa: ANN401
) -> Program:
    """A program over components; the enclave is as large as they need."""
    size = nr_pages or max(part.first_page + part.nr_pages for part in components)
    return Program(size, components, Requests(**requests), populate)


def pod(name: str, *programs: Program, **spec: Any) -> PodSpec:  # noqa: ANN401
    """A pod with a container for each program."""
    containers = tuple(ContainerSpec(f"c{number}", each) for number, each in enumerate(programs))
    return PodSpec(name, containers, **spec)


def scenario(
    *pods: PodSpec,
    nr_pages: int = 4096,
    duration_ns: int = 1_000_000,
    ns: dict[str, int] | None = None,
    **fields: Any,  # noqa: ANN401
) -> Scenario:
    """A node of so many EPC pages with ``COSTS``, some of them replaced by ``ns``; one sample at the end."""
    overrides = {key: value * _GHZ for key, value in {**COSTS, **(ns or {})}.items()} | steady("sgx2")
    base = Scenario(nr_pages * PAGE_SIZE, pods, duration_ns, costs="sgx2", overrides=overrides)
    return replace(base, **{"sample_ns": duration_ns, **fields})


def arrays(*programs: Program) -> Arrays:
    """The arrays of one pod with a container for each program, before its start."""
    return Simulation(scenario(pod("pod", *programs)), {}).arrays


def figures(result: Result, index: int = 0, sample: int = -1) -> dict[str, int]:
    """The figures of one pod at a sample."""
    return dict(zip(POD_COLUMNS, result.pods[sample, index].tolist(), strict=True))


def node_figures(result: Result, sample: int = -1) -> dict[str, int]:
    """The figures of the node at a sample."""
    return dict(zip(NODE_COLUMNS, result.node[sample].tolist(), strict=True))
