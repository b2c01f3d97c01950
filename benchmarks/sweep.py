"""A sweep on one and on two threads: how much faster, and whether the results are the same.

usage: python -m benchmarks.sweep [--rounds N]

The two take turns in one process; each round gives a ratio, the median counts. Target: 1.7 on two CPUs. Only
an idle machine shows it; the processor time of both tells on any how much threads cost each other.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.machine import write_result
from epcgroup.plan import journal, pool
from epcgroup.plan.space import Choice, Space
from epcgroup.plan.sweep import TABLE, Sweep, found, run, write_table
from epcgroup.sim.scenario import Component, ContainerSpec, PodSpec, Program, Requests, Scenario
from epcgroup.units import PAGE_SIZE

TARGET = 1.7
_MIB = 1 << 20


def _pod(name: str, kind: str, nr_pages: int) -> PodSpec:
    requests = Requests("closed", draws=4, compute_ns=2_000)
    program = Program(nr_pages, (Component(kind, nr_pages),), requests, populate=True)
    limit = 24 * _MIB
    return PodSpec(name, (ContainerSpec("main", program, limit),), claim_bytes=limit, limit_bytes=limit)


def _sweep() -> Sweep:
    base = Scenario(
        64 * _MIB,
        (_pod("hot", "zipf", 20 * _MIB // PAGE_SIZE), _pod("scan", "loop", 48 * _MIB // PAGE_SIZE)),
        duration_ns=8 * 10**9,
        sample_ns=8 * 10**8,
    )
    axes = (
        ("epc", Choice((40 * _MIB, 48 * _MIB, 56 * _MIB, 64 * _MIB))),
        ("series", Choice(("mainline", "fair"))),
    )
    return Sweep(base, Space("grid", axes, (1, 2)), 0.1, {})


def _timed(plan: Sweep, nr_threads: int) -> tuple[float, float, bytes]:
    """Return seconds of a whole sweep, table included, and of processor time; and the table."""
    with tempfile.TemporaryDirectory() as name:
        folder, begin, cpu = Path(name), time.perf_counter(), time.process_time()
        with journal.opened(folder, plan.identity) as notes, pool.threads(nr_threads) as where:
            run(plan, where, notes, lambda: False, lambda _: None)
            write_table(plan, found(plan, notes), folder)
        took, cpu = time.perf_counter() - begin, time.process_time() - cpu
        return took, cpu, (folder / TABLE).read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    plan = _sweep()
    _timed(plan, 2)  # compile, or load what is compiled
    seconds: dict[int, list[float]] = {1: [], 2: []}
    cpus: dict[int, list[float]] = {1: [], 2: []}
    tables = set()
    for _ in range(rounds):
        for nr_threads, times in seconds.items():
            took, cpu, table = _timed(plan, nr_threads)
            times.append(took)
            cpus[nr_threads].append(cpu)
            tables.add(table)
    if len(tables) != 1:
        raise SystemExit("the tables differ: a result depends on the number of threads")
    ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    figures = {
        "points": plan.space.nr_points,
        "seconds_1_thread": round(statistics.median(seconds[1]), 3),
        "seconds_2_threads": round(statistics.median(seconds[2]), 3),
        "cpu_seconds_1_thread": round(statistics.median(cpus[1]), 3),
        "cpu_seconds_2_threads": round(statistics.median(cpus[2]), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "target": TARGET,
        "identical": True,
    }
    print(
        f"processor time: {figures['cpu_seconds_1_thread']} s in 1 thread,"
        f" {figures['cpu_seconds_2_threads']} s in 2"
    )
    print(f"{figures['points']} points: 2 threads are {figures['ratio']} x as fast as 1 (target {TARGET})")
    print(f"written: {write_result('sweep', figures)}")


if __name__ == "__main__":
    main()
