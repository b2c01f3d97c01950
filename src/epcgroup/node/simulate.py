"""A manifest in virtual time: pods become a scenario, a result becomes the recording that a live run makes.

What must not live here: models (``models.py``, ``workload_models.py``), comparing (``simcompare.py``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from epcgroup.abi.histogram import Histogram
from epcgroup.client.report import Report
from epcgroup.errors import EpcError, UsageError
from epcgroup.node.claims import effective_claim
from epcgroup.node.groups import PARENT
from epcgroup.node.models import Model
from epcgroup.node.objects import Container, Manifest, Pod
from epcgroup.node.workload_models import Workload, model_of, program_in
from epcgroup.observe.sample import GroupSample, Kill, Recording, Sample, Target
from epcgroup.sim.result import PHASES, POD_COLUMNS, Result
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Program, Scenario
from epcgroup.sim.trace.format import read_header
from epcgroup.state.series import SERIES
from epcgroup.units import LIMIT_MAX, PAGE_SIZE

_COLUMN: Final = {name: index for index, name in enumerate(POD_COLUMNS)}
_RESTARTED: Final = ("Always", "OnFailure")
#: Phase of a program's report. Source: ``client/report.py``, PHASES.
_LOAD, _RUN, _DONE = "load", "run", "done"


@dataclass(frozen=True, slots=True)
class SimOptions:
    """How to simulate a manifest.

    Attributes:
        duration_ns: virtual time of the run.
        series, policy, costs: see ``sim.scenario.Scenario``.
        overrides: cost → value, on top of the cost model.
        capacity_bytes: EPC of the node; None: what the manifest says.
        limit_factor: limits are the claims times this; infinite: no limits.
        nr_cpus: processors; 0: one for every program.
        seed: of every random choice.
    """

    duration_ns: int
    series: str = "fair"
    policy: str = "second-chance"
    costs: str = "sgx2"
    overrides: Mapping[str, float] = field(default_factory=dict)
    capacity_bytes: int | None = None
    limit_factor: float = 1.0
    nr_cpus: int = 0
    seed: int = 1


def scenario_of(manifest: Manifest, options: SimOptions) -> Scenario:
    """Return what to simulate.

    Raises:
        ManifestError: a program cannot be simulated; the message says how to describe it.
        TraceFormatError: a trace is none.
    """
    return Scenario(
        capacity_bytes=options.capacity_bytes or manifest.node.capacity_bytes,
        pods=tuple(_pod(manifest, pod, options.limit_factor) for pod in manifest.pods),
        duration_ns=options.duration_ns,
        series=options.series,
        policy=options.policy,
        costs=options.costs,
        overrides=dict(options.overrides),
        nr_cpus=options.nr_cpus,
        seed=options.seed,
    )


def notes(manifest: Manifest) -> Iterator[str]:
    """Yield what people should know: parts of the manifest that a simulation leaves out."""
    for pod in manifest.pods:
        skipped = [container.name for container in pod.init_containers if not container.sidecar]
        if skipped:
            yield f"pod {pod.name}: init containers are not simulated: {', '.join(skipped)}"


def simulated(pod: Pod) -> tuple[Container, ...]:
    """Return the containers of a pod that a simulation runs: sidecars, then containers."""
    return (*(container for container in pod.init_containers if container.sidecar), *pod.containers)


def _pod(manifest: Manifest, pod: Pod, factor: float) -> PodSpec:
    workloads = {container: _workload(manifest, container) for container in simulated(pod)}
    claim = effective_claim(pod)
    return PodSpec(
        name=pod.name,
        containers=tuple(
            ContainerSpec(container.name, workload.program, _limit(container.claim_bytes or 0, factor))
            for container, workload in workloads.items()
        ),
        claim_bytes=claim,
        limit_bytes=_limit(claim, factor),
        start_ns=pod.start_ns,
        end_ns=_end(pod, [workloads[container].duration_ns for container in pod.containers]),
        restarts=pod.restart_policy in _RESTARTED,
        oom=pod.oom,
    )


def _limit(claim_bytes: int, factor: float) -> int:
    """The limit of a claim, whole pages. Who claims nothing gets nothing, as with ``epcg run``."""
    limit = claim_bytes * factor
    return LIMIT_MAX if limit >= LIMIT_MAX else int(limit) // PAGE_SIZE * PAGE_SIZE


def _end(pod: Pod, durations: list[int | None]) -> int | None:
    """When a pod ends: told to, or when the last of its programs has come to its own end."""
    known = [pod.start_ns + duration for duration in durations if duration is not None]
    own = max(known) if len(known) == len(durations) else None
    ends = [end for end in (pod.end_ns, own) if end is not None]
    return min(ends) if ends else None


def _workload(manifest: Manifest, container: Container) -> Workload:
    """The program of a container: its annotation says, or its command is one of ours."""
    if container.model is not None:
        return _annotated(manifest, container, container.model)
    found = program_in(container.words(container.environment({})))
    if found is None:
        raise container.error(
            f"how this program uses its memory is not known ({' '.join(container.command)[:60]}):"
            " say it in the pod's annotation epcgroup.io/model, for example the name of a model (steady);"
            " see docs/simulator.md"
        )
    name, arguments = found
    try:
        return model_of(name, arguments)
    except UsageError as error:
        raise container.error(str(error)) from error


def _annotated(manifest: Manifest, container: Container, model: Model) -> Workload:
    if model.program is not None:
        return Workload(_with_trace(manifest, model, model.program), None)
    name, *arguments = model.words
    try:
        return model_of(name, arguments, container.claim_bytes)
    except UsageError as error:
        raise model.field.error(str(error), show_value=False) from error


def _with_trace(manifest: Manifest, model: Model, program: Program) -> Program:
    """The program with the path of its trace, and the trace's size where the model does not say one."""
    if program.trace is None:
        return program
    path = Path(manifest.file).parent / program.trace
    try:
        header = read_header(path)
    except OSError as error:
        raise model.field.error(f"trace {path}: {error.strerror or error}", show_value=False) from error
    except EpcError as error:
        raise model.field.error(f"trace {error}", show_value=False) from error
    if program.nr_pages and program.nr_pages < header.nr_pages:
        raise model.field.error(
            f"memory of {program.nr_pages} pages is too small: trace {path} refers to {header.nr_pages}",
            show_value=False,
        )
    return replace(program, trace=str(path), nr_pages=program.nr_pages or header.nr_pages)


def targets_of(manifest: Manifest) -> tuple[Target, ...]:
    """Return the pods to watch; all programs of a pod report together, as its first container."""
    return tuple(
        Target(pod.name, effective_claim(pod), pod.path, {pod.container_path(simulated(pod)[0]): Path()})
        for pod in manifest.pods
    )


def recording_of(manifest: Manifest, result: Result) -> Recording:
    """Return a result as the recording that a live run makes; the run begins at 0 ns."""
    recording = Recording(targets_of(manifest), 0)
    # Before the first moment there is nothing, so that what is counted at once is counted.
    recording.samples.append(Sample(0, {}, {target.pod: PHASES[0] for target in recording.targets}))
    paths = [*(target.path for target in recording.targets), "/"]
    samples = [_groups(result, paths, index) for index in range(len(result.times_ns))]
    for index, groups in enumerate(samples):
        phases = {target.pod: _phase(result, index, row) for row, target in enumerate(recording.targets)}
        recording.samples.append(Sample(int(result.times_ns[index]), groups, phases))
    recording.kills.extend(kills_of(result))
    for row, target in enumerate(recording.targets):
        (path,) = target.containers
        recording.reports[path] = list(_reports(result, row))
    return recording


def kills_of(result: Result) -> list[Kill]:
    """Return the kills of a simulation as a live run tells them."""
    return [
        Kill(
            group=f"{PARENT}/{kill.pod}/{kill.container}",
            level=kill.level,
            pages=kill.pages,
            over_pages=kill.over_pages,
            by=f"{PARENT}/{kill.by}",
            t_ns=kill.time_ns,
        )
        for kill in result.kills
    ]


def _phase(result: Result, index: int, row: int) -> str:
    return PHASES[result.pods[index, row, _COLUMN["phase"]]]


def _groups(result: Result, paths: list[str], index: int) -> dict[str, GroupSample]:
    """The groups of all pods that are there at a sample; the last path is the machine's."""
    return {
        path: _group(result, paths, index, row)
        for row, path in enumerate(paths[:-1])
        if _phase(result, index, row) != PHASES[0]
    }


def _group(result: Result, paths: list[str], index: int, row: int) -> GroupSample:
    seen = {name: int(result.pods[index, row, column]) for name, column in _COLUMN.items()}
    scenario = result.scenario
    causes = result.reclaimed_by[index, row]
    return GroupSample(
        limit_bytes=scenario.pods[row].limit_bytes if SERIES[scenario.series].enforced else LIMIT_MAX,
        current_bytes=seen["current_bytes"],
        peak_bytes=seen["peak_bytes"],
        faults=seen["faults"],
        granted=seen["created"] + seen["loaded"],
        evictions=seen["evictions"],
        reclaimed_by={paths[column]: int(causes[column]) for column in causes.nonzero()[0]},
        loaded=seen["loaded"],
        evicted_bytes=seen["evicted_pages"] * PAGE_SIZE,
        stall_ns=(seen["stall_some_ns"], seen["stall_full_ns"]),
        oom_kills=sum(
            kill.pod == scenario.pods[row].name and kill.time_ns <= result.times_ns[index]
            for kill in result.kills
        ),
    )


def _reports(result: Result, row: int) -> Iterator[Report]:
    """What the programs of a pod would have reported at each sample, from its start on."""
    containers = result.scenario.pods[row].containers
    filling = sum(container.program.nr_pages for container in containers if container.program.populate)
    for index, t_ns in enumerate(result.times_ns):
        phase = _phase(result, index, row)
        if phase == PHASES[0]:
            continue
        seen = result.pods[index, row]
        references = sum(int(seen[_COLUMN[name]]) for name in ("hits", "faults"))
        ended = phase != PHASES[1]
        answered = int(seen[_COLUMN["requests"]])
        buckets = result.latency[index, row]
        yield Report(
            t_ns=int(t_ns),
            operations=answered,
            errors=int(seen[_COLUMN["refused"]]),
            latency=Histogram.from_dict({int(b): int(buckets[b]) for b in buckets.nonzero()[0]}),
            phase=_DONE if ended else _RUN if answered or references >= filling else _LOAD,
        )
        if ended:
            return


def statistics(result: Result) -> dict[str, Any]:
    """Return what is known of a run as a whole, for JSON."""
    scenario = result.scenario
    return {
        "digest": result.digest,
        "seed": scenario.seed,
        "policy": scenario.policy,
        "costs": scenario.costs,
        "overrides": dict(scenario.overrides),
        "cpus": scenario.nr_cpus,
        "duration_s": scenario.duration_ns / 1e9,
        "accesses": result.nr_accesses,
        "messages": list(result.messages),
    }
