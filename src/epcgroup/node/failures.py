"""What to say about pods that did not do well: why, and the last words of their logs."""

from collections.abc import Iterator

from epcgroup.node.pagerprocess import last_lines
from epcgroup.node.podrun import OOM_KILLED, Phase, PodRun
from epcgroup.node.runner import RunResult


def explain(result: RunResult) -> Iterator[str]:
    """Yield lines about pods that failed or never ran, kills, and reports that could not be read."""
    for run in result.pods:
        if run.phase is Phase.FAILED:
            yield f"pod {run.pod.name} failed: {run.reason}: {run.message}"
            yield from _logs(result, run)
        elif not run.started:
            why = f"{run.reason}: {run.message}" if run.reason else "its start time had not come"
            yield f"pod {run.pod.name} is Pending: {why}"
    yield from _kills(result)
    if result.nr_bad_lines:
        yield f"{result.nr_bad_lines} lines of the programs' reports could not be read"


def _kills(result: RunResult) -> Iterator[str]:
    """Kills that a pod did not fail of: what its other programs did went on."""
    told = {run.pod.path for run in result.pods if run.reason == OOM_KILLED}
    for kill in result.recording.kills:
        if not any(kill.group.startswith(f"{path}/") for path in told):
            yield f"{kill.group}: {kill}"


def _logs(result: RunResult, run: PodRun) -> Iterator[str]:
    folder = result.options.folder.resolve() / "logs"
    for container in run.init + run.main:
        log = folder / f"{run.pod.name}.{container.container.name}.log"
        if container.status != 0 and log.exists() and log.stat().st_size:
            yield f"  {log}: … {last_lines(log)}"
