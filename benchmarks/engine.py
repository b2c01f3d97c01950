"""The engine's bulk path against a C twin and against libCacheSim; its size; its growth with the machine.

usage: python -m benchmarks.engine [--quick] [--huge]

``--huge`` is not run every time: ``results/engine.json`` keeps its figures, with the machine of that run.

Every ratio comes from one run on one machine, the sides by turns. The twin works on the engine's arrays:
counters and all bytes of both states are compared after every round. libCacheSim: ``pip install '.[bench]'``.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks import engine_peer, engine_rig, engine_size, native_build
from benchmarks.machine import write_result
from benchmarks.twin import Twin
from epcgroup.face import run as bulk
from epcgroup.face.epc import Epc
from epcgroup.units import PAGE_SIZE

SIZES = (15, 20, 24)
HITS = (0.5, 0.9, 0.99, 0.999)
CACHE_PAGES = 100_000
NR_OBJECTS = 1_000_000


@numba.njit(cache=True)
def _modify(table: NDArray[np.int32], places: NDArray[np.uint32]) -> None:
    for place in places:
        table[place] |= 1


def _seconds(call: Callable[[], object]) -> float:
    begin = time.thread_time()
    call()
    return time.thread_time() - begin


class Pair:
    """Two equal machines, one run by the engine, one by the C twin (if there is a compiler)."""

    def __init__(self, nr_epc_pages: int) -> None:
        self.rig = engine_rig.machine(nr_epc_pages)
        self.twin = Twin() if native_build.have_compiler() else None
        self.other = engine_rig.machine(nr_epc_pages) if self.twin else self.rig
        self.streams = bulk.streams_of(self.other.epc.state, self.other.tasks)
        self.counters = bulk.counters_of(np.zeros(bulk.NR_TOTALS, np.int64))

    def run(self, trace: NDArray[np.uint32]) -> tuple[float, float]:
        """Run both; returns seconds of ours and of the twin (nan without it)."""

        def ours() -> None:
            self.counters = self.rig.epc.run(trace, self.rig.tasks, page_bits=self.rig.page_bits)

        seconds = _seconds(ours)
        if self.twin is None:
            return seconds, float("nan")
        twin, state, totals = self.twin, self.other.epc.state, np.zeros(bulk.NR_TOTALS, np.int64)
        theirs = _seconds(lambda: twin.run(state, trace, self.rig.page_bits, self.streams, totals, True))
        if bulk.counters_of(totals) != self.counters:
            raise SystemExit(f"counters differ: {self.counters} and {bulk.counters_of(totals)} of the twin")
        return seconds, theirs

    def compare(self) -> None:
        """Compare the states, byte by byte."""
        for name, left in self.rig.epc.state._asdict().items():
            if not np.array_equal(left, getattr(self.other.epc.state, name)):
                raise SystemExit(f"the states differ in {name}")


def one_cell(
    pair: Pair, hits: float, rounds: int, length: int, random: np.random.Generator
) -> dict[str, Any]:
    """One size and one share of hits: ratio of times, and what the references did."""
    rig = pair.rig
    # The hand must go round twice: after a fill the list is in the order of memory, which is too good.
    nr_pages = rig.epc.capacity_pages
    warm = 2 * nr_pages if hits == HITS[0] else nr_pages // 2
    pair.run(engine_rig.references(rig, max(length, warm), hits, random))
    table = np.zeros(rig.limit_pages * engine_rig.NR_GROUPS, np.int32)
    times, limits = [], []
    total = faults = scanned = evictions = 0
    for _ in range(rounds):
        trace = engine_rig.references(rig, length, hits, random)
        times.append(pair.run(trace))
        places = random.integers(0, len(table), length, dtype=np.uint32)
        limits.append(_seconds(lambda places=places: _modify(table, places)))  # type: ignore[misc]
        total += length
        faults += pair.counters.faults
        scanned += pair.counters.scanned
        evictions += pair.counters.evictions
    pair.compare()
    ours, theirs = (statistics.median(row[side] for row in times) for side in (0, 1))
    return {
        "time_over_c": round(statistics.median(left / right for left, right in times), 2),
        "time_over_random_writes": round(ours / statistics.median(limits), 2),
        "hit_ratio": round(1 - faults / total, 4),
        "scanned_per_eviction": round(scanned / max(1, evictions), 2),
        "m_accesses_per_s": round(length / ours / 1e6, 1),
        "c_m_accesses_per_s": round(length / theirs / 1e6, 1),
        "ns_per_fault": round(ours * rounds / max(1, faults) * 1e9),
    }


def against_c(sizes: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """All cells; prints each as it is measured."""
    print(f"{'pages':>6} {'hits':>7} {'time/C':>7} {'/random':>8} {'M/s':>7} {'C M/s':>7} {'ns/fault':>9}")
    results: dict[str, Any] = {}
    for size in sizes:
        random = np.random.default_rng(size)
        pair = Pair(1 << size)
        pair.run(engine_rig.filling(pair.rig))
        for hits in HITS:
            row = one_cell(pair, hits, rounds, 1 << (22 if size > 20 else 21), random)
            results[f"2^{size} pages, {hits:.1%} hits"] = row
            print(
                f"  2^{size} {row['hit_ratio']:7.2%} {row['time_over_c']:7.2f}"
                f" {row['time_over_random_writes']:8.2f} {row['m_accesses_per_s']:7.1f}"
                f" {row['c_m_accesses_per_s']:7.1f} {row['ns_per_fault']:9d}",
                flush=True,
            )
    return results


def _one_group(trace: NDArray[np.uint32]) -> tuple[float, float]:
    """Seconds and miss ratio of the engine with one group that may hold CACHE_PAGES pages, from empty."""
    nr_pages = int(trace.max()) + 1
    overhead = 2 + len(np.unique(trace)) // 512  # the SECS, and a VA page for every 512 pages
    epc = Epc.create(CACHE_PAGES + 2 * overhead, nr_groups=2, nr_enclaves=2, nr_enclave_pages=nr_pages)
    group = epc.mkdir("/one")
    epc.write("/one", "misc.max", f"sgx_epc {(CACHE_PAGES + overhead) * PAGE_SIZE}")
    tasks = [engine_rig.enclave_of(epc, group, nr_pages)]
    counters = []
    seconds = _seconds(lambda: counters.append(epc.run(trace, tasks)))
    return seconds, counters[0].faults / len(trace)


def against_peer(length: int, rounds: int) -> dict[str, Any]:
    """libCacheSim's LRU and Clock on Zipf and Zipf with scans, one group of 100,000 pages."""
    peer = engine_peer.load_peer()
    if peer is None:
        return {"left_out": "libcachesim is not installed (extra `bench`)"}
    random = np.random.default_rng(7)
    plain = engine_rig.zipf(length, NR_OBJECTS, random)
    traces = {"zipf": plain, "zipf_and_scans": engine_rig.with_scans(plain, NR_OBJECTS, random)}
    results: dict[str, Any] = {}
    for name, trace in traces.items():
        runs = [_one_group(trace) for _ in range(rounds)]
        ours = min(seconds for seconds, _ in runs)
        row: dict[str, Any] = {
            "miss_ratio": round(runs[0][1], 4),
            "m_accesses_per_s": round(length / ours / 1e6, 1),
        }
        for algorithm, (seconds, missed) in engine_peer.replay(peer, trace, CACHE_PAGES, rounds).items():
            row[f"times_faster_than_{algorithm}"] = round(seconds / ours, 1)
            row[f"{algorithm}_miss_ratio"] = round(missed, 4)
            row[f"{algorithm}_m_accesses_per_s"] = round(length / seconds / 1e6, 1)
        results[name] = row
        print(name, row, flush=True)
    return results


def main() -> None:
    """Measure everything, print it, write ``results/engine.json``."""
    parser = argparse.ArgumentParser(description="The engine against C, against libCacheSim, and its size.")
    parser.add_argument("--quick", action="store_true", help="small machines and short traces only")
    parser.add_argument("--huge", action="store_true", help="also 512 GiB of EPC (5 GB of memory, minutes)")
    arguments = parser.parse_args()
    sizes, rounds, length = (SIZES[:1], 3, 1 << 20) if arguments.quick else (SIZES, 5, 8_000_000)
    figures: dict[str, Any] = {"against_c": against_c(sizes, rounds)}
    figures["against_libcachesim"] = against_peer(length, 3)
    figures["size"] = engine_size.bytes_per_page()
    figures["ten_thousand_groups"] = engine_size.many_groups()
    if arguments.huge:
        figures["huge"] = engine_size.huge_alone()
    print({key: value for key, value in figures.items() if not key.startswith("against")})
    path = write_result("engine", figures, kept=("huge",))
    worst = max(row["time_over_c"] for row in figures["against_c"].values())
    print(f"slowest cell: {worst} x the C twin; counters and states identical; written to {path.name}")


if __name__ == "__main__":
    main()
