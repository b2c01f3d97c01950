"""The same pods three times: roomy, not enforced, enforced; then the verdict.

What must not live here: one run (``runner.py``, ``simulate.py``), the rules of the verdict
(``observe/verdict.py``), the page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from epcgroup.node.failures import explain
from epcgroup.node.objects import Manifest
from epcgroup.node.pagerprocess import PagerOptions
from epcgroup.node.podrun import Phase
from epcgroup.node.runner import NodeRun, RunOptions, RunResult, Watcher
from epcgroup.observe.figures import NS, PodFigures, Window, evicted_by, figures, samples_in
from epcgroup.observe.sample import Recording
from epcgroup.observe.story import RunStory
from epcgroup.observe.verdict import Runs, Verdict, judge

#: Share of the time after the last pod has come that is warm-up.
_WARM_UP: Final = 0.3
#: How many times its node's EPC the roomy run has, unless told otherwise: nothing may be paged there.
ROOMY_FACTOR: Final = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One of the three runs: its name, its title, the EPC and the behaviour it has."""

    name: str
    title: str
    epc_bytes: int
    series: str


def cases(manifest: Manifest, roomy_bytes: int | None = None) -> tuple[Case, ...]:
    """Return the three runs of a comparison, in order."""
    node = manifest.node.capacity_bytes
    return (
        Case("roomy", "roomy", roomy_bytes or node * ROOMY_FACTOR, "mainline"),
        Case("not-enforced", "not enforced", node, "mainline"),
        Case("enforced", "enforced", node, "fair"),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Three runs and the verdict over them.

    Attributes:
        runs: what the report tells of each.
        verdict: over all three.
        nr_failed: pods that failed, in all runs together.
        explanations: lines for people about what did not go well.
    """

    runs: tuple[RunStory, ...]
    verdict: Verdict
    nr_failed: int
    explanations: tuple[str, ...] = ()


def counted_window(manifest: Manifest, start_ns: int, end_ns: int) -> Window:
    """Return what is counted of a run: from the end of the warm-up until the pods were told to end."""
    duration_ns = end_ns - start_ns
    last_ns = max((pod.start_ns for pod in manifest.pods if pod.start_ns < duration_ns), default=0)
    return Window(start_ns + last_ns + round((duration_ns - last_ns) * _WARM_UP), end_ns)


def compare(
    manifest: Manifest,
    chosen: tuple[Case, ...],
    folder: Path,
    duration_ns: int,
    watcher_of: Callable[[Case], Watcher],
    ager: str | None = None,
) -> Comparison | None:
    """Run a manifest once for each case and judge.

    Args:
        manifest: what is run.
        chosen: from :func:`cases`.
        folder: gets one folder a run.
        duration_ns: of each run.
        watcher_of: who watches each run.
        ager: how the pager tells young pages; None: its default.

    Returns:
        The comparison, or None if somebody stopped it.

    Raises:
        RunError: a pager could not be started.
        PagerDiedError: a pager died.
    """
    stories: list[RunStory] = []
    lines: list[str] = []
    nr_failed = 0
    for case in chosen:
        pager = PagerOptions(case.epc_bytes, case.series, ager)
        result = NodeRun(manifest, RunOptions(pager, folder / case.name, duration_ns)).run(watcher_of(case))
        if result.interrupted:
            return None
        stories.append(_live_story(manifest, case, result))
        lines += [f"{case.title}: {line}" for line in explain(result)]
        nr_failed += len(result.failed)
    return Comparison(tuple(stories), judge_runs(stories, nr_failed), nr_failed, tuple(lines))


def _live_story(manifest: Manifest, case: Case, result: RunResult) -> RunStory:
    window = counted_window(manifest, result.recording.start_ns, result.end_ns)
    return make_story(
        case,
        result.recording,
        window,
        started={run.pod.name for run in result.pods if run.started},
        pods=[run.to_json() for run in result.pods],
        machine=result.pager,
    )


def make_story(
    case: Case,
    recording: Recording,
    window: Window,
    *,
    started: set[str],
    pods: Sequence[Mapping[str, object]],
    machine: Mapping[str, object],
    simulated: bool = False,
) -> RunStory:
    """Return one run as the report tells it.

    Args:
        case: which run.
        recording: what was seen.
        window: what is counted of it.
        started: names of the pods that ran at all.
        pods: how each ended, for JSON; name, phase and reason among it.
        machine: what the pager or the simulator says of the run as a whole, for JSON.
        simulated: whether it was the simulator.
    """
    reasons = {pod["name"]: str(pod["reason"]) for pod in pods if pod["phase"] == Phase.FAILED}
    return RunStory(
        name=case.name,
        title=case.title,
        series=case.series,
        epc_bytes=case.epc_bytes,
        recording=recording,
        window=window,
        figures={
            t.pod: replace(figures(recording, t, window), reason=reasons.get(t.pod, ""))
            for t in recording.targets
            if t.pod in started
        },
        evicted_by=evicted_by(recording, samples_in(recording.samples, window)),
        pods=tuple(pods),
        pager={} if simulated else machine,
        simulation=machine if simulated else None,
    )


def judge_runs(stories: Sequence[RunStory], nr_failed: int) -> Verdict:
    """Return the verdict over the three runs of a comparison."""
    # A pod that did not start in one run (it found no room, or another failed before) cannot be compared.
    common = [pod for pod in stories[0].figures if all(pod in story.figures for story in stories)]
    by_run: list[dict[str, PodFigures]] = [{pod: s.figures[pod] for pod in common} for s in stories]
    roomy, unenforced, enforced = by_run
    has_data = stories[0].simulation is None
    return judge(Runs(roomy, unenforced, enforced, nr_failed, has_data))


def to_json(manifest: Manifest, comparison: Comparison, machine: dict[str, str]) -> dict[str, Any]:
    """Return a comparison for JSON; after a simulation nothing in it depends on the machine."""
    verdict = comparison.verdict
    return {
        "schema": "epcgroup/compare/1",
        "manifest": manifest.file,
        "capacity_bytes": manifest.node.capacity_bytes,
        "verdict": verdict.verdict,
        "meaning": verdict.meaning,
        "checks": [check.to_json() for check in verdict.checks],
        "pods": [
            {"name": pod.pod, "role": pod.role, "states": list(pod.states), "sentence": pod.sentence}
            for pod in verdict.pods
        ],
        "runs": [run_json(run) for run in comparison.runs],
        **({} if comparison.runs[0].simulation is not None else {"machine": machine}),
    }


def run_json(run: RunStory) -> dict[str, Any]:
    """Return one run for JSON."""
    return {
        "name": run.name,
        "series": run.series,
        "epc_bytes": run.epc_bytes,
        "window_s": [
            round((t_ns - run.recording.start_ns) / NS, 3)
            for t_ns in (run.window.start_ns, run.window.end_ns)
        ],
        "figures": [pod.to_json() for pod in run.figures.values()],
        "evicted_by": {pod: dict(row) for pod, row in run.evicted_by.items()},
        "pods": list(run.pods),
        "kills": [kill.to_json(run.recording.start_ns) for kill in run.recording.kills],
        **({"pager": dict(run.pager)} if run.simulation is None else {"simulation": dict(run.simulation)}),
    }
