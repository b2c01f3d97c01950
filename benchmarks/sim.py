"""The simulator: references a second in contention, against the bare engine, on two threads, of requests.

usage: python -m benchmarks.sim [--quick] [--twitter FILE]

Ratios first; the sides of a ratio by turns in one process. Every figure is the best of the rounds, in
processor time of the thread; two threads are timed by the clock. FILE, for ``sim_peer.py``:
``twitter_cluster52_10m.csv.zst`` of libCacheSim's sources.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import sim_peer
from benchmarks.engine_rig import zipf
from benchmarks.machine import write_result
from epcgroup.face.epc import Epc
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import Result
from epcgroup.sim.scenario import Component, ContainerSpec, PodSpec, Program, Requests, Scenario
from epcgroup.sim.trace.writer import open_writer
from epcgroup.units import PAGE_SIZE

#: Simulated on the quiet machine: millions of references a second.
TARGETS = {"two_pods": 30, "64_pods_4_levels": 20}
NR_PAGES = 100_000


def _best(call: Callable[[], object], rounds: int) -> float:
    """Return the least processor time of a call, in seconds."""
    seconds = []
    for _ in range(rounds):
        begin = time.thread_time()
        call()
        seconds.append(time.thread_time() - begin)
    return min(seconds)


def _pod(name: str, program: Program) -> PodSpec:
    return PodSpec(name, (ContainerSpec("main", program),))


def contention(nr_pods: int, nr_pages: int, duration_ns: int) -> Scenario:
    """Pods of ``nr_pages`` with Zipf references, nine tenths of which fit the node."""
    program = Program(nr_pages, (Component("zipf", nr_pages),), Requests(draws=16, compute_ns=1000))
    pods = tuple(_pod(f"pod{number}", program) for number in range(nr_pods))
    return Scenario(nr_pods * nr_pages * 9 // 10 * PAGE_SIZE, pods, duration_ns)


def _hits(result: Result) -> float:
    return float(result.pods[-1, :, 9].sum() / result.nr_accesses)


def speed(name: str, scenario: Scenario, rounds: int) -> dict[str, Any]:
    """References a second of one scenario."""
    result = simulate(scenario)
    millions = result.nr_accesses / _best(lambda: simulate(scenario), rounds) / 1e6
    print(
        f"{name:<28}{millions:7.1f} M references/s, {millions / TARGETS[name]:4.1f} x the target; "
        f"{_hits(result):.1%} hits, {scenario.duration_ns / 1e9:g} s of virtual time"
    )
    return {
        "m_references_per_s": round(millions, 1),
        "over_target": round(millions / TARGETS[name], 2),
        "hits": round(_hits(result), 4),
    }


def _bulk(references: NDArray[np.uint32], nr_frames: int) -> Callable[[], object]:
    def run() -> None:
        epc = Epc.create(nr_frames, nr_groups=4, nr_enclaves=2, nr_enclave_pages=NR_PAGES)
        # As deep as a container of the simulator: every level is charged.
        group = [epc.mkdir(path) for path in ("/kubepods", "/kubepods/pod", "/kubepods/pod/main")][-1]
        _, enclave = epc.enclave_create(group, NR_PAGES)
        epc.enclave_init(enclave)
        epc.run(references, [(enclave, group)])

    return run


def against_engine(folder: Path, share: float, length: int, rounds: int) -> dict[str, Any]:
    """Speed of the simulator over that of ``Epc.run`` on one stream; ``share`` of its pages fit the EPC."""
    references = zipf(length, NR_PAGES, np.random.default_rng(1))
    path = folder / f"zipf-{share}.npy"
    with open_writer(path, {"benchmark": "sim"}) as writer:
        writer.append(references)
    nr_frames = int(share * NR_PAGES) + 500
    following = Program(NR_PAGES, trace=str(path))
    scenario = Scenario(nr_frames * PAGE_SIZE, (_pod("pod", following),), 10**15, sample_ns=10**15)
    bulk = _bulk(references, nr_frames)
    engine = times = float("inf")
    hits = _hits(simulate(scenario))
    for _ in range(rounds):
        engine = min(engine, _best(bulk, 1))
        times = min(times, _best(lambda: simulate(scenario), 1))
    ours = engine / times
    print(
        f"{'one stream, ' + format(hits, '.1%') + ' hits':<28}{ours:7.2f} x the speed of Epc.run "
        f"({length / times / 1e6:.0f} and {length / engine / 1e6:.0f} M references/s)"
    )
    return {
        "over_engine": round(ours, 2),
        "hits": round(hits, 4),
        "m_references_per_s": round(length / times / 1e6, 1),
    }


def threads(scenario: Scenario, count: int, rounds: int) -> dict[str, Any]:
    """Speed of two threads over that of one, on ``count`` simulations."""
    wanted = [replace(scenario, seed=seed) for seed in range(count)]
    serial = parallel = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        one = [simulate(each).digest for each in wanted]
        serial = min(serial, time.perf_counter() - begin)
        begin = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            two = list(pool.map(lambda each: simulate(each).digest, wanted))
        parallel = min(parallel, time.perf_counter() - begin)
        if one != two:
            raise SystemExit("two threads give other results than one")
    print(f"{'two threads':<28}{serial / parallel:7.2f} x one thread, results identical")
    return {"over_one": round(serial / parallel, 2)}


def requests(rounds: int) -> dict[str, Any]:
    """Thirty idle pods of a fleet: time of one request of four references, everything included."""
    program = Program(20_000, (Component("zipf", 20_000),), Requests("poisson", rate_per_s=1.0, draws=4))
    pods = tuple(_pod(f"pod{number}", program) for number in range(30))
    scenario = Scenario(450_000 * PAGE_SIZE, pods, 20_000 * 10**9, sample_ns=20_000 * 10**9)
    answered = int(simulate(scenario).pods[-1, :, 10].sum())
    ns = _best(lambda: simulate(scenario), rounds) / answered * 1e9
    print(f"{'a request of 30 idle pods':<28}{ns:7.0f} ns, of 4 references each")
    return {"ns": round(ns)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--twitter", type=Path, metavar="FILE", help="a sample trace of libCacheSim")
    options = parser.parse_args()
    quick = options.quick
    rounds, scale = (1, 10) if quick else (5, 1)
    figures: dict[str, Any] = {
        "two_pods": speed("two_pods", contention(2, 32_768, 4 * 10**9 // scale), rounds),
        "64_pods_4_levels": speed("64_pods_4_levels", contention(64, 2_048, 10**9 // 2 // scale), rounds),
    }
    with tempfile.TemporaryDirectory() as folder:
        figures["one_stream"] = [
            against_engine(Path(folder), share, 20_000_000 // scale, rounds) for share in (0.9, 0.3, 0.05)
        ]
    figures["two_threads"] = threads(contention(4, 8_192, 10**9 // scale), 8, rounds)
    figures["request"] = requests(rounds)
    if options.twitter is not None:
        figures["against_libcachesim"] = sim_peer.compare(options.twitter, rounds)
    if not quick:
        print(f"written: {write_result('sim', figures)}")


if __name__ == "__main__":
    main()
