"""The three runs of a comparison in virtual time: the same cases, the same figures, the same verdict.

What must not live here: the rules (``compare.py``, ``observe/verdict.py``), grids (``grid.py``).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from epcgroup.node.compare import Case, Comparison, counted_window, judge_runs, make_story
from epcgroup.node.objects import Manifest
from epcgroup.node.simulate import SimOptions, notes, recording_of, scenario_of, statistics
from epcgroup.observe.figures import Window
from epcgroup.observe.story import RunStory
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import PHASES, POD_COLUMNS, Result

#: Told the virtual time that a run has reached, in nanoseconds; may raise to give it up.
Progress = Callable[[int], None]

_PHASE = POD_COLUMNS.index("phase")


def case_options(case: Case, options: SimOptions) -> SimOptions:
    """Return how a case is simulated."""
    return replace(options, series=case.series, capacity_bytes=case.epc_bytes)


def compare_simulated(
    manifest: Manifest,
    chosen: tuple[Case, ...],
    options: SimOptions,
    nr_threads: int = 1,
    progress_of: Callable[[Case], Progress] | None = None,
) -> Comparison:
    """Simulate a manifest once for each case and judge.

    Args:
        manifest: its pods.
        chosen: from :func:`epcgroup.node.compare.cases`.
        options: of every run; series and EPC are the case's.
        nr_threads: runs at a time; the result does not depend on it.
        progress_of: who is told how far each run is.

    Raises:
        ManifestError: a program cannot be simulated.
        UsageError: the options cannot be.
    """

    def run(case: Case) -> Result:
        scenario = scenario_of(manifest, case_options(case, options))
        return simulate(scenario, progress_of(case) if progress_of else None)

    with ThreadPoolExecutor(nr_threads) as threads:
        results = list(threads.map(run, chosen))
    stories = [
        run_story(manifest, case, result, counted_window(manifest, 0, int(result.times_ns[-1])))
        for case, result in zip(chosen, results, strict=True)
    ]
    lines = [f"{case.title}: {line}" for case, result in zip(chosen, results, strict=True)
             for line in explain(manifest, result)]  # fmt: skip
    nr_failed = sum(last_phases(result).count("Failed") for result in results)
    return Comparison(tuple(stories), judge_runs(stories, nr_failed), nr_failed, (*notes(manifest), *lines))


def last_phases(result: Result) -> list[str]:
    """Return the phase of every pod at the end."""
    return [PHASES[phase] for phase in result.pods[-1, :, _PHASE]]


def explain(manifest: Manifest, result: Result) -> Iterator[str]:
    """Yield lines about pods that did not do well, or never ran."""
    yield from result.messages
    for pod in manifest.pods:
        if pod.start_ns >= int(result.times_ns[-1]):
            yield f"pod {pod.name} is Pending: its start time had not come"


def run_story(manifest: Manifest, case: Case, result: Result, window: Window) -> RunStory:
    """Return one simulated run as the report tells it, counting what lies in a window."""
    recording = recording_of(manifest, result)
    phases = dict(zip((pod.name for pod in manifest.pods), last_phases(result), strict=True))
    return make_story(
        case,
        recording,
        window,
        started={pod for pod, phase in phases.items() if phase != PHASES[0]},
        pods=[
            {"name": pod, "phase": phase, "reason": reason}
            for (pod, phase), reason in zip(phases.items(), result.reasons, strict=True)
        ],
        machine=statistics(result),
        simulated=True,
    )
