"""Recordings made by hand for the tests of this folder."""

from pathlib import Path

from epcgroup.abi.histogram import Histogram
from epcgroup.client.report import Report
from epcgroup.observe.sample import GroupSample, Recording, Sample, Target

NS = 10**9
MIB = 1 << 20


def target(pod: str, claim_bytes: int = 8 * MIB) -> Target:
    path = f"/kubepods/{pod}"
    return Target(pod, claim_bytes, path, {f"{path}/main": Path("/nonexistent")})


def group(second: int, *, held: int = 4 * MIB, evicted: int = 0, **blame: int) -> GroupSample:
    return GroupSample(
        limit_bytes=8 * MIB,
        current_bytes=held,
        peak_bytes=held,
        faults=100 * second,
        evictions=evicted,
        reclaimed_by={
            "/" if name == "machine" else f"/kubepods/{name}": pages for name, pages in blame.items()
        },
    )


def report(seconds: float, operations: int, latency_ns: int = 1000, phase: str = "run") -> Report:
    latency = Histogram()
    if operations:
        latency.add(latency_ns, operations)
    return Report(round(seconds * NS), operations, 0, 4096, 0, latency, phase)


def recording(*pods: str, seconds: int = 10) -> Recording:
    """Every pod: 100 faults a second, 50 operations a second of 1 µs after a second of loading."""
    made = Recording(tuple(target(pod) for pod in pods), 0)
    for second in range(seconds + 1):
        groups = {}
        for watched in made.targets:
            groups[watched.path] = group(second)
            groups[f"{watched.path}/main"] = group(second)
        made.samples.append(Sample(second * NS, groups, dict.fromkeys(pods, "Running")))
    for watched in made.targets:
        lines = [report(t / 2, 25 * t, phase="load" if t < 2 else "run") for t in range(2 * seconds + 1)]
        made.reports[f"{watched.path}/main"] = lines
    return made
