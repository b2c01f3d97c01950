"""Arithmetic over a recording: what a pod did in a window of time.

Rates come from totals at the ends of the window, percentiles from the difference of merged histograms; no
average of averages, no average of percentiles.

What must not live here: reading files (``sampler.py``), judging (``verdict.py``), drawing.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from epcgroup.abi.histogram import Histogram
from epcgroup.client.report import Report
from epcgroup.observe.sample import GroupSample, Recording, Sample, Target
from epcgroup.units import LIMIT_MAX, PAGE_SIZE

#: What the machine's own reclaim is called where culprits are named.
MACHINE: Final = "ksgxd"
NS: Final = 10**9
#: Programs report at least every half second; a silence of three times that is a stall.
_STALL_NS: Final = 1_500_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, CLOCK_MONOTONIC nanoseconds."""

    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / NS


@dataclass(frozen=True, slots=True)
class PodFigures:
    """What one pod did in one window; the fields are explained in ``fields.py``. None: nothing to say."""

    pod: str
    phase: str
    claim_bytes: int
    limit_bytes: int
    current_bytes: int
    current_max_bytes: int
    peak_bytes: int
    over_limit_pages: int
    faults_per_s: float
    evictions_per_s: float
    evicted_by: Mapping[str, float]
    operations: int
    operations_per_s: float | None
    p50_ns: float | None
    p99_ns: float | None
    p999_ns: float | None
    verified_bytes: int
    checksum_errors: int
    errors: int
    evicted_bytes: int = 0
    loads_per_s: float = 0.0
    stall_some: float | None = None
    stall_full: float | None = None
    oom_kills: int = 0
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the figures for JSON; an unlimited limit is null."""
        figures = asdict(self)
        figures["limit_bytes"] = None if self.limit_bytes == LIMIT_MAX else self.limit_bytes
        return figures


def figures(recording: Recording, target: Target, window: Window) -> PodFigures:
    """Return what a pod did in a window; sums over its containers."""
    samples = samples_in(recording.samples, window)
    pods = [sample.groups.get(target.path, GroupSample()) for sample in samples] or [GroupSample()]
    first, last = pods[0], pods[-1]
    seconds = seconds_of(samples)
    lines = [recording.reports.get(path, []) for path in target.containers]
    work = _work(lines, window)
    some, full = _stalled(first, last, seconds)
    return PodFigures(
        pod=target.pod,
        phase=samples[-1].phases.get(target.pod, "") if samples else "",
        claim_bytes=target.claim_bytes,
        limit_bytes=last.limit_bytes,
        current_bytes=last.current_bytes,
        current_max_bytes=max(pod.current_bytes for pod in pods),
        peak_bytes=last.peak_bytes,
        over_limit_pages=_over_limit(target, samples),
        faults_per_s=_rate(last.faults - first.faults, seconds),
        evictions_per_s=_rate(last.evictions - first.evictions, seconds),
        evicted_by=_culprits(recording, target, samples),
        operations=round(work.operations),
        operations_per_s=work.per_s,
        p50_ns=_percentile(work.latency, 50),
        p99_ns=_percentile(work.latency, 99),
        p999_ns=_percentile(work.latency, 99.9),
        verified_bytes=sum(line[-1].verified_bytes for line in lines if line),
        checksum_errors=sum(line[-1].checksum_errors for line in lines if line),
        errors=sum(line[-1].errors for line in lines if line),
        evicted_bytes=last.evicted_bytes,
        loads_per_s=_rate(last.loaded - first.loaded, seconds),
        stall_some=some,
        stall_full=full,
        oom_kills=last.oom_kills,
    )


def samples_in(samples: Sequence[Sample], window: Window) -> Sequence[Sample]:
    """Return the samples inside a window."""
    start = bisect_right(samples, window.start_ns - 1, key=lambda sample: sample.t_ns)
    end = bisect_right(samples, window.end_ns, key=lambda sample: sample.t_ns)
    return samples[start:end]


def seconds_of(samples: Sequence[Sample]) -> float:
    """Return the time from the first sample to the last one, which counts and rates of groups are of."""
    return (samples[-1].t_ns - samples[0].t_ns) / NS if samples else 0.0


def _rate(count: float, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _stalled(first: GroupSample, last: GroupSample, seconds: float) -> tuple[float | None, float | None]:
    """Shares of the window in which some, and in which all programs waited; None where nobody measured."""
    if last.stall_ns is None or seconds <= 0:
        return None, None
    some, full = (now - was for now, was in zip(last.stall_ns, first.stall_ns or (0, 0), strict=True))
    return some / NS / seconds, full / NS / seconds


def _over_limit(target: Target, samples: Sequence[Sample]) -> int:
    """Pages by which the peak of the pod or a container exceeds its limit, 0 if none does."""
    groups = [sample.groups[path] for sample in samples[-1:] for path in target.paths
              if path in sample.groups]  # fmt: skip
    over = [group.peak_bytes - group.limit_bytes for group in groups if group.limit_bytes != LIMIT_MAX]
    return -(-max([0, *over]) // PAGE_SIZE)


@dataclass(frozen=True, slots=True)
class _Work:
    """What programs did in a window; rates of several programs add up, their latencies merge."""

    operations: float
    per_s: float | None
    latency: Histogram


def _work(programs: Sequence[Sequence[Report]], window: Window) -> _Work:
    """What all programs of a pod did in a window; the phase ``load`` is left out."""
    operations, per_s, latency = 0.0, None, Histogram()
    for program in programs:
        run = [line for line in program if line.phase != "load"]
        start_ns, end_ns = _working(run, window)
        if end_ns <= start_ns:
            continue
        done = operations_at(run, end_ns) - operations_at(run, start_ns)
        operations += done
        per_s = (per_s or 0.0) + done * NS / (end_ns - start_ns)
        latency.merge(latency_between(run, start_ns, end_ns))
    return _Work(operations, per_s, latency)


def _working(run: Sequence[Report], window: Window) -> tuple[int, int]:
    """From when to when a program worked inside a window.

    The time since its last line counts only when that is so long ago that the program must be stalled.
    """
    if not run:
        return 0, 0
    last = run[-1]
    fresh = last.phase == "done" or window.end_ns - last.t_ns < _STALL_NS
    end_ns = min(window.end_ns, last.t_ns) if fresh else window.end_ns
    return max(window.start_ns, run[0].t_ns), end_ns


def operations_at(lines: Sequence[Report], t_ns: int) -> float:
    """Return the total of operations at a moment, interpolated between the lines around it."""
    after = bisect_right(lines, t_ns, key=lambda line: line.t_ns)
    if after == 0:
        return 0.0
    before = lines[after - 1]
    if after == len(lines):
        return float(before.operations)
    following = lines[after]
    share = (t_ns - before.t_ns) / max(1, following.t_ns - before.t_ns)
    return before.operations + share * (following.operations - before.operations)


def latency_between(lines: Sequence[Report], start_ns: int, end_ns: int) -> Histogram:
    """Return the latencies of the operations reported after ``start_ns`` and until ``end_ns``."""
    before = bisect_right(lines, start_ns, key=lambda line: line.t_ns)
    until = bisect_right(lines, end_ns, key=lambda line: line.t_ns)
    if until == 0 or until <= before:
        return Histogram()
    last = lines[until - 1].latency
    return last.subtract(lines[before - 1].latency) if before else last.copy()


def _percentile(latency: Histogram, percent: float) -> float | None:
    value = latency.percentile(percent)
    return None if value is None else float(value)


def evicted_by(recording: Recording, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Return pod → culprit → pages of the pod written out on its behalf, between first and last sample.

    A culprit is a pod (pages written out for its limit, or by the machine for room that it used up), the path
    of a group that is no pod of ours, or ``ksgxd`` where nobody can be named.
    """
    return {target.pod: _culprits(recording, target, samples) for target in recording.targets}


def _culprits(recording: Recording, target: Target, samples: Sequence[Sample]) -> dict[str, float]:
    row: dict[str, float] = {}
    for path in target.paths if samples else ():
        was = samples[0].groups.get(path, GroupSample()).reclaimed_by
        for culprit, pages in samples[-1].groups.get(path, GroupSample()).reclaimed_by.items():
            name = MACHINE if culprit == "/" else recording.pod_of.get(culprit, culprit)
            row[name] = row.get(name, 0.0) + pages - was.get(culprit, 0)
    return {name: pages for name, pages in row.items() if pages}
