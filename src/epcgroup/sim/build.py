"""The arrays of a simulation from its scenario: one row a container, its components, their alias tables."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.engine import blame
from epcgroup.sim import accounting, draws, spread
from epcgroup.sim import layout as at
from epcgroup.sim.costs import SPREAD, Costs
from epcgroup.sim.feed import WINDOW
from epcgroup.sim.layout import Arrays
from epcgroup.sim.scenario import (
    ARRIVALS,
    KINDS,
    RECORDED,
    ZIPF,
    Component,
    ContainerSpec,
    PodSpec,
    Program,
    Requests,
    Scenario,
)
from epcgroup.sim.trace.format import Trace
from epcgroup.state import layout as engine
from epcgroup.units import PAGE_SIZE

#: References drawn ahead for one task, at least.
_ROOM: Final = 64
_PS_PER_S: Final = 10**12
#: Places, exponent and items of an alias table.
_Key = tuple[int, float, int]
_COSTS: Final = {
    at.COST_FAULT: "fault",
    at.COST_WAKE: "wake",
    at.COST_CREATE: "create",
    at.COST_LOAD: "load",
    at.COST_EVICT: "evict",
    at.COST_SCAN: "scan",
    at.COST_BATCH: "batch",
    at.COST_BACKGROUND: "background",
    at.COST_ADD: "add",
}


def containers_of(pods: Sequence[PodSpec]) -> list[tuple[int, ContainerSpec]]:
    """Return (number of its pod, container) of every task, in order."""
    return [(number, container) for number, pod in enumerate(pods) for container in pod.containers]


def arrays_of(
    scenario: Scenario,
    costs: Costs,
    traces: Mapping[str, Trace],
    buffer: NDArray[np.uint8],
    memory: NDArray[np.uint8],
) -> Arrays:
    """Return the arrays of a scenario before its start: every task is off."""
    containers = containers_of(scenario.pods)
    tables, places = _tables(containers)
    tasks = np.zeros((len(containers), at.TASK_COLUMNS), np.int64)
    components: list[list[int]] = []
    room = 0
    for row, (pod, container) in zip(tasks, containers, strict=True):
        program = container.program
        row[at.POD] = pod
        row[at.FIRST_COMPONENT], row[at.NR_COMPONENTS] = len(components), len(program.components)
        row[at.WINDOW], row[at.ROOM] = room, _room(program, traces)
        room += int(row[at.ROOM])
        components += _components(program.components, places)
        _set_program(row, program, costs, traces)
        names = scenario.pods[pod].name, container.name
        row[at.RANDOM] = engine.signed(draws.seed_of(scenario.seed, *names))
        row[at.SPREAD_RANDOM] = engine.signed(draws.seed_of(scenario.seed, *names, SPREAD))
    recorded = any(container.program.requests.arrivals == RECORDED for _, container in containers)
    nr_pods = len(scenario.pods)
    nr_groups = int(buffer[: 8 * engine.MACHINE_WORDS].view(np.int64)[engine.NR_GROUPS])
    return Arrays(
        buffer=buffer,
        machine=_machine(scenario, costs),
        tasks=tasks,
        components=np.array(components, np.int64).reshape(len(components), at.COMPONENT_COLUMNS),
        pods=np.zeros((nr_pods + 1, at.POD_COLUMNS), np.int64),
        references=np.zeros(room + at.AHEAD, np.uint32),
        arrivals=np.zeros(room if recorded else 0, np.uint32),
        tables=tables,
        latency=np.zeros((nr_pods, accounting.NR_BUCKETS), np.int64),
        reclaimed_by=np.zeros((nr_pods, nr_pods + 1), np.int64),
        pod_of_group=np.full(nr_groups + 1, nr_pods, np.int64),
        account=np.zeros(blame.nr_words(nr_pods), np.int64),
        queue=np.zeros((len(containers), 3), np.int64),
        outcomes=np.zeros(engine.BATCH_ROWS, np.uint8),
        memory=memory,
        spread=spread.quantiles(costs.spread, costs.ps("fault") + costs.ps("load")),
        spread_from=spread.first_pages(costs.spread, scenario.capacity_bytes // PAGE_SIZE),
        cpus=np.zeros(scenario.nr_cpus, np.int64),
    )


def _machine(scenario: Scenario, costs: Costs) -> NDArray[np.int64]:
    words = np.zeros(at.MACHINE_WORDS, np.int64)
    words[at.QUANTUM] = scenario.quantum_ns * at.PS
    words[at.SERIAL] = costs.serial
    for word, key in _COSTS.items():
        words[word] = costs.ps(key)
    return words


def _room(program: Program, traces: Mapping[str, Trace]) -> int:
    """Return how many references of a program stand in memory at a time."""
    if program.trace is not None:
        return max(_ROOM, min(WINDOW, len(traces[program.trace].references)))
    return max(_ROOM, *(component.span for component in program.components))


def _set_program(row: NDArray[np.int64], program: Program, costs: Costs, traces: Mapping[str, Trace]) -> None:
    """Write what a program does to its row."""
    hit = costs.ps("hit")
    requests = program.requests
    row[at.SIZE] = program.nr_pages
    row[at.IS_TRACE] = program.trace is not None
    row[at.IN_ORDER] = requests.draws == 0
    row[at.DRAWS] = requests.draws or len(program.components)
    row[at.ARRIVALS] = ARRIVALS.index(requests.arrivals)
    row[at.INTERVAL] = _interval(requests, traces.get(program.trace or ""))
    row[at.BURST] = requests.burst
    row[at.THINK] = requests.think_ns * at.PS
    row[at.COMPUTE] = requests.compute_ns * at.PS
    row[at.STEP_SERVING] = max(1, hit + requests.page_ns * at.PS)


def populate_step(program: Program, costs: Costs) -> int:
    """Return the time of a reference while a program populates its pages."""
    return max(1, costs.ps("hit") + program.populate_ns * at.PS)


def nr_populated(program: Program) -> int:
    """Return how many pages a program touches before its first request."""
    if not program.populate:
        return 0
    parts = [
        component.first_page
        + (component.nr_pages if component.grows_from_pages is None else component.grows_from_pages)
        for component in program.components
    ]
    return max(parts, default=program.nr_pages)


def _interval(requests: Requests, trace: Trace | None) -> int:
    """Return the mean time between two bursts, or the unit of recorded arrivals."""
    if requests.arrivals == RECORDED and trace is not None:
        return trace.unit_ns * at.PS
    return round(requests.burst * _PS_PER_S / requests.rate_per_s) if requests.rate_per_s else 0


def _components(components: Sequence[Component], places: Mapping[_Key, int]) -> list[list[int]]:
    """Return the rows of a program's components."""
    total = sum(component.weight for component in components)
    rows = []
    weight = 0.0
    for component in components:
        weight += component.weight
        row = [0] * at.COMPONENT_COLUMNS
        row[at.KIND] = KINDS.index(component.kind)
        row[at.NR_PAGES] = component.nr_pages
        row[at.FIRST_PAGE] = component.first_page
        row[at.THRESHOLD] = round(weight / total * 2**32)
        row[at.SPAN] = component.span
        row[at.CHANCE] = round(component.chance * 2**32)
        row[at.TABLE] = places.get(_table_key(component), 0)
        row[at.SET_PAGES] = component.set_pages
        row[at.PHASE] = component.phase_ns * at.PS
        row[at.GROWS_FROM] = component.nr_pages
        if component.grows_from_pages is not None:
            row[at.GROWS_FROM] = component.grows_from_pages
            if component.growth_pages_per_s:
                row[at.GROWTH] = max(1, round(_PS_PER_S / component.growth_pages_per_s))
        rows.append(row)
    return rows


def _table_key(component: Component) -> _Key:
    nr_places = component.nr_pages // component.span
    return nr_places, float(component.exponent), component.items or nr_places


def _tables(
    containers: Sequence[tuple[int, ContainerSpec]],
) -> tuple[NDArray[np.uint32], dict[_Key, int]]:
    """Return the alias tables of all Zipf components, and the first row of each."""
    wanted = sorted(
        {
            _table_key(component)
            for _, container in containers
            for component in container.program.components
            if component.kind == ZIPF
        }
    )
    places = {}
    first = 0
    for key in wanted:
        places[key] = first
        first += key[0]
    return _joined(tuple(wanted)), places


@lru_cache(maxsize=16)
def _joined(wanted: tuple[_Key, ...]) -> NDArray[np.uint32]:
    """Return the tables one behind the other; nodes with the same kinds of pods share them."""
    tables = [draws.zipf_table(*key) for key in wanted]
    joined = np.concatenate(tables) if tables else np.zeros((0, 3), np.uint32)
    joined.flags.writeable = False
    return joined
