"""Replacement policies side by side: misses, distance to the optimum, cost of a reference.

usage: python -m benchmarks.policies [--quick]

One group, one page leaves at a time (``sim/policy/replay.py``). Misses are compared with those of libCacheSim
(``pip install '.[bench]'``). Costs are ratios to the engine's second chance on the same references, by turns,
in one process.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import engine_rig
from benchmarks.engine_peer import load_peer
from benchmarks.machine import write_result
from epcgroup.sim.policy import SECOND_CHANCE, names
from epcgroup.sim.policy.replay import Replay, replay

#: Ours → the peer's class; the same definitions, so the same misses.
PEERS = {
    "lru": "LRU",
    "fifo": "FIFO",
    "clock": "Clock",
    "2q": "TwoQ",
    "s3-fifo": "S3FIFO",
    "optimum": "Belady",
}
#: One request of the format oracleGeneral: time, id (> 0), size, position of the next reference.
_REQUEST = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
_NEVER = 2**62
NR_PAGES = 100_000
SHARES = (0.001, 0.01, 0.1)


def next_uses(trace: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the position at which each reference's page is referred to next, int64; 2**62: never."""
    order = np.argsort(trace, kind="stable")
    following = np.full(len(trace), _NEVER, np.int64)
    same = trace[order[1:]] == trace[order[:-1]]
    following[order[:-1][same]] = order[1:][same]
    return following


def peer_misses(
    peer: Any,  # noqa: ANN401  (the peer has no types)
    trace: NDArray[np.uint32],
    capacity_pages: int,
) -> dict[str, int]:
    """Return the misses of libCacheSim for each policy of ``PEERS``."""
    requests = np.zeros(len(trace), _REQUEST)
    requests["id"] = trace.astype(np.uint64) + 1
    requests["size"] = 1
    requests["next"] = next_uses(trace)
    misses = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.bin")
        requests.tofile(path)
        for name, algorithm in PEERS.items():
            reader = peer.TraceReader(str(path), peer.TraceType.ORACLE_GENERAL_TRACE)
            cache = getattr(peer, algorithm)(cache_size=capacity_pages)
            misses[name] = round(cache.process_trace(reader)[0] * len(trace))
    return misses


def traces(length: int) -> dict[str, NDArray[np.uint32]]:
    """Return Zipf, Zipf with three scans over as many other pages as a tenth of it, and a loop with noise."""
    random = np.random.default_rng(11)
    plain = engine_rig.zipf(length, NR_PAGES, random)
    scans = plain.copy()
    size = length // 20
    for part in range(3):
        first = length * (2 * part + 1) // 7
        scans[first : first + size] = NR_PAGES + np.arange(part * size, (part + 1) * size)
    loop = (np.arange(length) % (NR_PAGES // 8)).astype(np.uint32)
    noisy = random.random(length) < 0.2
    loop[noisy] = plain[noisy]
    return {"zipf": plain, "zipf and scans": scans, "loop": loop}


def misses_table(length: int) -> dict[str, Any]:
    """Miss ratios, and how far from the optimum: 0 % the optimum, 100 % FIFO."""
    peer = load_peer()
    results: dict[str, Any] = {}
    for name, trace in traces(length).items():
        for share in SHARES:
            capacity = int(NR_PAGES * share)
            misses = {policy: replay(trace, capacity, policy) for policy in names()}
            theirs = peer_misses(peer, trace, capacity) if peer else {}
            row = {policy: round(nr / length, 4) for policy, nr in misses.items()}
            over = {policy: round(nr / misses["optimum"] - 1, 3) for policy, nr in misses.items()}
            same = {policy: nr == misses[policy] for policy, nr in theirs.items()}
            results[f"{name}, {capacity} pages"] = {
                "miss_ratio": row,
                "more_misses_than_the_optimum": over,
                "same_as_libcachesim": same if peer else "left out: libcachesim is not installed",
            }
            print(f"{name}, {capacity} pages, as libCacheSim: {all(same.values()) if same else '-'}")
            print("   " + "  ".join(f"{policy} {ratio:.2%}" for policy, ratio in row.items()), flush=True)
    return results


def costs(length: int, rounds: int) -> dict[str, Any]:
    """Time of a reference relative to second chance: few misses, many misses."""
    trace = traces(length)["zipf"]
    results: dict[str, Any] = {}
    for share in SHARES[1:]:
        capacity = int(NR_PAGES * share)
        ratios: dict[str, list[float]] = {policy: [] for policy in names()}
        for _ in range(rounds):
            seconds = {policy: _seconds(trace, capacity, policy) for policy in names()}
            for policy, each in seconds.items():
                ratios[policy].append(each / seconds[SECOND_CHANCE])
        row = {policy: round(statistics.median(each), 2) for policy, each in ratios.items()}
        results[f"{capacity} pages"] = row
        print(f"time over second chance, {capacity} pages: {row}", flush=True)
    return results


def _seconds(trace: NDArray[np.uint32], capacity: int, policy: str) -> float:
    machine = Replay(NR_PAGES, capacity, policy, nr_references=len(trace))
    machine.foresee(trace)
    begin = time.thread_time()
    machine.follow(trace)
    return time.thread_time() - begin


def main() -> None:
    """Measure and write ``results/policies.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter traces; nothing is written")
    quick = parser.parse_args().quick
    length = 200_000 if quick else 2_000_000
    figures = {
        "misses": misses_table(length),
        "time_over_second_chance": costs(length, 3 if quick else 7),
    }
    if not quick:
        print(write_result("policies", figures))


if __name__ == "__main__":
    main()
