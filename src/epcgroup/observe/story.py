"""Everything a report tells, as one value: the runs, the verdict, what was run and where."""

from collections.abc import Mapping
from dataclasses import dataclass

from epcgroup.observe.figures import PodFigures, Window
from epcgroup.observe.sample import Recording
from epcgroup.observe.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RunStory:
    """One run.

    Attributes:
        name: key in JSON and name of its folder: ``roomy``, ``not-enforced``, ``enforced``.
        title: for people.
        series: behaviour of the engine.
        epc_bytes: size of the EPC.
        recording: what was seen.
        window: what is counted; warm-up and the end are outside.
        figures: pod → what it did in the window.
        evicted_by: pod → culprit → pages written out in the window.
        pods: how each pod ended, for JSON.
        pager: the pager's statistics, for JSON; empty after a simulation.
        simulation: what the simulator says of the run, for JSON; None if it was live.
    """

    name: str
    title: str
    series: str
    epc_bytes: int
    recording: Recording
    window: Window
    figures: Mapping[str, PodFigures]
    evicted_by: Mapping[str, Mapping[str, float]]
    pods: tuple[Mapping[str, object], ...]
    pager: Mapping[str, object]
    simulation: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """A comparison, or one run without a verdict.

    Attributes:
        title: name of the manifest.
        manifest: its text.
        capacity_bytes: EPC of its node.
        runs: in the order they were made.
        verdict: over all of them; None over one run.
        machine: fact → value, about where it ran.
        command: how it was called.
        made: when, for people.
    """

    title: str
    manifest: str
    capacity_bytes: int
    runs: tuple[RunStory, ...]
    verdict: Verdict | None
    machine: Mapping[str, str]
    command: str
    made: str
