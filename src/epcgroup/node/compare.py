"""The same pods three times: roomy, not enforced, enforced; then the verdict.

What must not live here: one run (``runner.py``), the rules of the verdict (``observe/verdict.py``), the page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from epcgroup.node.objects import Manifest
from epcgroup.node.pagerprocess import PagerOptions
from epcgroup.node.runner import NodeRun, RunOptions, RunResult, Watcher
from epcgroup.observe.figures import NS, PodFigures, Window, evicted_by, figures, samples_in
from epcgroup.observe.story import RunStory
from epcgroup.observe.verdict import Runs, Verdict, judge

#: Share of the time after the last pod has come that is warm-up.
_WARM_UP: Final = 0.3
#: How many times its node's EPC the roomy run has, unless told otherwise: nothing may be paged there.
ROOMY_FACTOR: Final = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One of the three runs: its name, its title and how its pager runs."""

    name: str
    title: str
    pager: PagerOptions


def cases(manifest: Manifest, ager: str | None = None, roomy_bytes: int | None = None) -> tuple[Case, ...]:
    """Return the three runs of a comparison, in order."""
    node = manifest.node.capacity_bytes
    roomy = roomy_bytes or node * ROOMY_FACTOR
    return (
        Case("roomy", "roomy", PagerOptions(roomy, "mainline", ager)),
        Case("not-enforced", "not enforced", PagerOptions(node, "mainline", ager)),
        Case("enforced", "enforced", PagerOptions(node, "fair", ager)),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Three runs and the verdict over them.

    Attributes:
        runs: what the report tells of each.
        verdict: over all three.
        results: name of each run → what it left behind.
    """

    runs: tuple[RunStory, ...]
    verdict: Verdict
    results: dict[str, RunResult]

    @property
    def nr_failed(self) -> int:
        """Pods that failed, in all runs together."""
        return sum(len(result.failed) for result in self.results.values())


def counted_window(manifest: Manifest, result: RunResult) -> Window:
    """Return what is counted of a run: from the end of the warm-up until the pods were told to end."""
    start_ns = result.recording.start_ns
    duration_ns = result.end_ns - start_ns
    last_ns = max((pod.start_ns for pod in manifest.pods if pod.start_ns < duration_ns), default=0)
    return Window(start_ns + last_ns + round((duration_ns - last_ns) * _WARM_UP), result.end_ns)


def compare(
    manifest: Manifest,
    chosen: tuple[Case, ...],
    folder: Path,
    duration_ns: int,
    watcher_of: Callable[[Case], Watcher],
) -> Comparison | None:
    """Run a manifest once for each case and judge.

    Args:
        manifest: what is run.
        chosen: from :func:`cases`.
        folder: gets one folder a run.
        duration_ns: of each run.
        watcher_of: who watches each run.

    Returns:
        The comparison, or None if somebody stopped it.

    Raises:
        RunError: a pager could not be started.
        PagerDiedError: a pager died.
    """
    stories: list[RunStory] = []
    results: dict[str, RunResult] = {}
    for case in chosen:
        options = RunOptions(case.pager, folder / case.name, duration_ns)
        result = NodeRun(manifest, options).run(watcher_of(case))
        if result.interrupted:
            return None
        stories.append(_story(manifest, case, result))
        results[case.name] = result
    return Comparison(tuple(stories), _judge(stories, results), results)


def _story(manifest: Manifest, case: Case, result: RunResult) -> RunStory:
    recording = result.recording
    window = counted_window(manifest, result)
    started = {run.pod.name for run in result.pods if run.started}
    return RunStory(
        name=case.name,
        title=case.title,
        series=case.pager.series,
        epc_bytes=case.pager.epc_bytes,
        recording=recording,
        window=window,
        figures={t.pod: figures(recording, t, window) for t in recording.targets if t.pod in started},
        evicted_by=evicted_by(recording.targets, samples_in(recording.samples, window)),
        pods=tuple(run.to_json() for run in result.pods),
        pager=result.pager,
    )


def _judge(stories: list[RunStory], results: dict[str, RunResult]) -> Verdict:
    # A pod that did not start in one run (it found no room, or another failed before) cannot be compared.
    common = [pod for pod in stories[0].figures if all(pod in story.figures for story in stories)]
    by_run: list[dict[str, PodFigures]] = [{pod: s.figures[pod] for pod in common} for s in stories]
    roomy, unenforced, enforced = by_run
    return judge(Runs(roomy, unenforced, enforced, sum(len(result.failed) for result in results.values())))


def to_json(manifest: Manifest, comparison: Comparison, machine: dict[str, str]) -> dict[str, Any]:
    """Return a comparison for JSON."""
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
        "machine": machine,
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
        "pager": dict(run.pager),
    }
