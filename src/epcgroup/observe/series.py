"""Figures over time, for plots: what a pod holds, operations a second, percentile of each step."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from epcgroup.abi.histogram import merged
from epcgroup.client.report import Report
from epcgroup.observe.figures import NS, latency_between, operations_at
from epcgroup.observe.sample import Recording, Target

#: What one point of a line may stand for, up to six hours; less than a second only in a short run.
_STEPS_NS: Final = tuple(
    round(seconds * NS) for seconds in (0.01, 0.1, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600)
)
_SHORT_NS: Final = 5 * NS


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot: seconds since the start of the run, and a value (NaN: none) at each."""

    seconds: list[float]
    values: list[float]


def held_bytes(recording: Recording, target: Target) -> Line:
    """Return the EPC charged to a pod."""
    seen = [(sample.t_ns, sample.groups[target.path]) for sample in recording.samples
            if target.path in sample.groups]  # fmt: skip
    seconds = [(t_ns - recording.start_ns) / NS for t_ns, _ in seen]
    return Line(seconds, [float(group.current_bytes) for _, group in seen])


def _programs(recording: Recording, target: Target) -> list[list[Report]]:
    lines = [recording.reports.get(path, []) for path in target.containers]
    running = [[line for line in program if line.phase != "load"] for program in lines]
    return [program for program in running if len(program) > 1]


def step_ns(recording: Recording) -> int:
    """Return the time that one point of a line stands for: a round number, a second for runs of minutes."""
    times = [sample.t_ns for sample in recording.samples]
    length_ns = times[-1] - times[0] if times else 0
    spacing_ns = length_ns / max(1, len(times) - 1)
    steps = _STEPS_NS if length_ns < _SHORT_NS else _STEPS_NS[_STEPS_NS.index(NS) :]
    return next((step for step in steps if step >= spacing_ns), steps[-1])


def _steps(recording: Recording, programs: list[list[Report]], end_ns: int) -> list[int]:
    """Moments one step apart, from the first operation to the end."""
    step = step_ns(recording)
    first = min(program[0].t_ns for program in programs) - recording.start_ns
    start_ns = recording.start_ns + -(-first // step) * step
    return list(range(start_ns, end_ns + 1, step))


def program_lines(recording: Recording, target: Target, end_ns: int) -> tuple[Line, Line] | None:
    """Return operations a second and p99 in nanoseconds of each step, or None without any report."""
    programs = _programs(recording, target)
    if not programs:
        return None
    steps = _steps(recording, programs, end_ns)
    operations, latency, seconds = [], [], []
    for start_ns, stop_ns in pairwise(steps):
        seconds.append((stop_ns - recording.start_ns) / NS)
        done = sum(operations_at(program, stop_ns) - operations_at(program, start_ns) for program in programs)
        operations.append(done / ((stop_ns - start_ns) / NS))
        p99 = merged(latency_between(program, start_ns, stop_ns) for program in programs).percentile(99)
        latency.append(float("nan") if p99 is None else float(p99))
    return Line(seconds, operations), Line(seconds, latency)
