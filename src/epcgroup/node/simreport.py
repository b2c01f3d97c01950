"""What ``epcg sim`` says at the end: a row for each pod, the node, how fast it went.

What must not live here: printing (``cli/sim.py``), comparing runs (``simcompare.py``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from epcgroup.node.compare import Case
from epcgroup.node.objects import Manifest
from epcgroup.node.simcompare import last_phases, run_story
from epcgroup.node.simsamples import samples_json
from epcgroup.node.simulate import kills_of, recording_of, statistics
from epcgroup.observe.fields import format_count, format_share
from epcgroup.observe.figures import PodFigures, Window, figures
from epcgroup.observe.story import Story
from epcgroup.sim.result import NODE_COLUMNS, Result
from epcgroup.units import PAGE_SIZE, format_size


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What the node as a whole did in the whole run.

    Attributes:
        capacity_bytes: its EPC.
        free_bytes: of that, free at the end.
        background_batches: batches that ksgxd and the workers of groups wrote out.
        background: processor time they took, as a share of the run.
        stall_some, stall_full: shares of the run in which some, and all programs with work, waited for EPC.
    """

    capacity_bytes: int
    free_bytes: int
    background_batches: int
    background: float
    stall_some: float
    stall_full: float


def node_figures(result: Result) -> NodeFigures:
    """Return the figures of the node."""
    seen = dict(zip(NODE_COLUMNS, (int(value) for value in result.node[-1]), strict=True))
    length_ns = max(int(result.times_ns[-1]), 1)
    return NodeFigures(
        capacity_bytes=result.scenario.capacity_bytes,
        free_bytes=seen["free_pages"] * PAGE_SIZE,
        background_batches=seen["background_batches"],
        background=seen["background_ns"] / length_ns,
        stall_some=seen["stall_some_ns"] / length_ns,
        stall_full=seen["stall_full_ns"] / length_ns,
    )


def whole_figures(manifest: Manifest, result: Result) -> list[PodFigures]:
    """Return what every pod did in the whole run, and what became of it."""
    recording = recording_of(manifest, result)
    window = Window(0, int(result.times_ns[-1]))
    return [
        replace(figures(recording, target, window), phase=phase, reason=reason)
        for target, phase, reason in zip(recording.targets, last_phases(result), result.reasons, strict=True)
    ]


def summary(result: Result, real_s: float) -> Iterator[str]:
    """Yield lines for people: the node, the speed, the digest.

    Args:
        result: of the simulation.
        real_s: seconds it took.
    """
    node = node_figures(result)
    yield (
        f"node: EPC {format_size(node.capacity_bytes)}, {format_size(node.free_bytes)} free at the end;"
        f" stall {format_share(node.stall_some)} (full {format_share(node.stall_full)});"
        f" {format_count(node.background_batches)} batches in the background,"
        f" {format_share(node.background)} of a processor"
    )
    virtual_s = int(result.times_ns[-1]) / 1e9
    yield (
        f"time: {virtual_s:g} s in {real_s:.2f} s,"
        f" {format_count(virtual_s / max(real_s, 1e-9))} times as fast;"
        f" {format_count(result.nr_accesses)} page references"
    )
    yield f"digest: {result.digest}"


def story_of(manifest: Manifest, result: Result, made: str) -> Story:
    """Return the whole run as the report tells it, without a verdict: that takes a comparison.

    Args:
        manifest: of its pods.
        result: of the simulation.
        made: when, for people.
    """
    scenario = result.scenario
    case = Case("run", "simulated", scenario.capacity_bytes, scenario.series)
    run = run_story(manifest, case, result, Window(0, int(result.times_ns[-1])))
    facts = {name: str(value) for name, value in statistics(result).items() if value not in ([], {})}
    return Story(
        title=Path(manifest.file).name,
        manifest=manifest.text,
        capacity_bytes=scenario.capacity_bytes,
        runs=(run,),
        verdict=None,
        machine=facts,
        command=f"epcg sim {manifest.file}",
        made=made,
    )


def to_json(manifest: Manifest, result: Result) -> dict[str, Any]:
    """Return a simulation for JSON: nothing in it depends on how fast this machine is."""
    node = node_figures(result)
    return {
        "schema": "epcgroup/sim/1",
        "manifest": manifest.file,
        "capacity_bytes": node.capacity_bytes,
        "series": result.scenario.series,
        "simulation": statistics(result),
        "figures": [pod.to_json() for pod in whole_figures(manifest, result)],
        "kills": [kill.to_json(0) for kill in kills_of(result)],
        "node": {
            "free_bytes": node.free_bytes,
            "background_batches": node.background_batches,
            "background": round(node.background, 6),
            "stall_some": round(node.stall_some, 6),
            "stall_full": round(node.stall_full, 6),
        },
        "samples": samples_json(result),
    }
