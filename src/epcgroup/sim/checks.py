"""Scenarios that make no sense are refused before they run, with words for people."""

from collections.abc import Iterator, Mapping

from epcgroup.errors import UsageError
from epcgroup.sim import costs
from epcgroup.sim.policy import SECOND_CHANCE
from epcgroup.sim.policy import find as find_policy
from epcgroup.sim.scenario import (
    ARRIVALS,
    CLOSED,
    KINDS,
    PHASES,
    RECORDED,
    Component,
    PodSpec,
    Program,
    Requests,
    Scenario,
)
from epcgroup.sim.trace.format import Trace
from epcgroup.state import series as on
from epcgroup.state.limit import OOM_NAMES
from epcgroup.units import PAGE_SIZE

#: Virtual time is counted in 2**62 picoseconds.
_LONGEST_NS = 4 * 10**15
_MOST_PAGES = 2**31


def programs_of(scenario: Scenario) -> list[Program]:
    """Return the program of every container, in order."""
    return [container.program for pod in scenario.pods for container in pod.containers]


def check(scenario: Scenario, traces: Mapping[str, Trace]) -> None:
    """Refuse a scenario that contradicts itself or names something unknown.

    Raises:
        UsageError: it does.
    """
    on.find(scenario.series)
    costs.find(scenario.costs).overridden(scenario.overrides)
    for problem in _problems(scenario, traces):
        raise UsageError(problem)


def _problems(scenario: Scenario, traces: Mapping[str, Trace]) -> Iterator[str]:
    if scenario.capacity_bytes < PAGE_SIZE:
        yield f"capacity_bytes of {scenario.capacity_bytes}: at least one page of {PAGE_SIZE} is needed"
    if not 0 < scenario.duration_ns <= _LONGEST_NS:
        yield f"duration_ns of {scenario.duration_ns}: expected 1 to {_LONGEST_NS}"
    for name in ("nr_cpus", "sample_ns", "quantum_ns"):
        if getattr(scenario, name) < 0:
            yield f"{name} of {getattr(scenario, name)}: 0 or more"
    seen: set[str] = set()
    for pod in scenario.pods:
        if pod.name in seen:
            yield f"two pods are called {pod.name}"
        seen.add(pod.name)
        yield from _pod_problems(pod, traces)
    yield from _policy_problems(scenario)


def _policy_problems(scenario: Scenario) -> Iterator[str]:
    if scenario.policy == SECOND_CHANCE or not find_policy(scenario.policy).needs_future:
        return
    if not (costs.find(scenario.costs).on_demand and on.find(scenario.series).sgx2):
        yield f"policy {scenario.policy} must know the future: pages must come on demand (SGX2)"
    for pod in scenario.pods:
        if any(container.program.trace is None for container in pod.containers):
            yield f"policy {scenario.policy} must know the future: pod {pod.name} follows no trace"
        if any(container.program.populate for container in pod.containers) or pod.restarts:
            yield f"policy {scenario.policy} must know the future: pod {pod.name} populates or restarts"


def _pod_problems(pod: PodSpec, traces: Mapping[str, Trace]) -> Iterator[str]:
    if not pod.containers:
        yield f"pod {pod.name} has no container"
    if len({container.name for container in pod.containers}) < len(pod.containers):
        yield f"pod {pod.name} has two containers of the same name"
    if pod.start_ns < 0 or (pod.end_ns is not None and pod.end_ns < pod.start_ns):
        yield f"pod {pod.name} ends at {pod.end_ns} ns and starts at {pod.start_ns} ns"
    if pod.oom not in OOM_NAMES:
        yield f"pod {pod.name}: oom {pod.oom!r}: one of {', '.join(OOM_NAMES)}"
    if pod.restarts and pod.restart_ns <= 0:
        yield f"pod {pod.name}: restart_ns of {pod.restart_ns}: more than 0"
    for container in pod.containers:
        for problem in _program_problems(container.program, traces):
            yield f"{pod.name}/{container.name}: {problem}"


def _program_problems(program: Program, traces: Mapping[str, Trace]) -> Iterator[str]:
    if not 0 < program.nr_pages < _MOST_PAGES:
        yield f"nr_pages of {program.nr_pages}: expected 1 to {_MOST_PAGES - 1}"
    if (program.trace is None) == (not program.components):
        yield "expected either components or a trace"
    if program.populate_ns < 0:
        yield f"populate_ns of {program.populate_ns}: 0 or more"
    yield from _request_problems(program.requests)
    trace = traces.get(program.trace or "")
    if trace is not None and trace.nr_pages > program.nr_pages:
        yield f"the trace has {trace.nr_pages} pages, the enclave {program.nr_pages}"
    if program.requests.arrivals == RECORDED and (trace is None or trace.arrivals is None):
        yield "recorded arrivals need a trace that has them"
    if program.components and program.requests.draws == 0 and all(c.chance < 1 for c in program.components):
        yield "one component at least must be drawn in every request: chance of 1"
    for component in program.components:
        for problem in _component_problems(component, program):
            yield f"{component.kind}: {problem}"


def _request_problems(requests: Requests) -> Iterator[str]:
    if requests.arrivals not in ARRIVALS:
        yield f"arrivals {requests.arrivals!r}: one of {', '.join(ARRIVALS)}"
    elif requests.arrivals not in (CLOSED, RECORDED) and not requests.rate_per_s > 0:
        yield f"rate_per_s of {requests.rate_per_s}: more than 0 with {requests.arrivals} arrivals"
    if requests.burst < 1 or (requests.burst > 1 and requests.arrivals == RECORDED):
        yield f"burst of {requests.burst}: at least 1; recorded arrivals have their own"
    for name in ("think_ns", "draws", "compute_ns", "page_ns"):
        if getattr(requests, name) < 0:
            yield f"{name} of {getattr(requests, name)}: 0 or more"


def _component_problems(component: Component, program: Program) -> Iterator[str]:
    if component.kind not in KINDS:
        yield f"unknown kind: one of {', '.join(KINDS)}"
        return
    if component.first_page < 0 or component.first_page + component.nr_pages > program.nr_pages:
        yield (
            f"pages {component.first_page} to {component.first_page + component.nr_pages - 1} are not all "
            f"in an enclave of {program.nr_pages}"
        )
    if not component.weight > 0:
        yield f"weight of {component.weight}: more than 0"
    if not 0 < component.chance <= 1:
        yield f"chance of {component.chance}: more than 0, at most 1"
    if component.items < 0 or 0 < component.items < component.nr_pages // component.span:
        yield f"items of {component.items}: 0, or at least as many as there are objects"
    if not 0 <= component.exponent <= 10:
        yield f"exponent of {component.exponent}: expected 0 to 10"
    in_use = component.nr_pages if component.grows_from_pages is None else component.grows_from_pages
    if not 1 <= component.span <= in_use <= component.nr_pages:
        yield (
            f"span of {component.span}, {in_use} pages in use of {component.nr_pages}: each is at least 1 "
            "and at most the next"
        )
    if component.growth_pages_per_s < 0:
        yield f"growth_pages_per_s of {component.growth_pages_per_s}: 0 or more"
    if component.kind == PHASES and not (
        component.span <= component.set_pages <= component.nr_pages and component.phase_ns > 0
    ):
        yield (
            f"set_pages of {component.set_pages} and phase_ns of {component.phase_ns}: a working set has "
            f"{component.span} to {component.nr_pages} pages and lasts more than 0 ns"
        )
