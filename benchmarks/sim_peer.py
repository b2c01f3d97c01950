"""The simulator against libCacheSim on a trace in the form of its samples (time, object, size, next access).

Ratios of processor time: end to end, from the text to the misses of a cache of ``CACHE_PAGES``; and of a
replay, each from its own binary form. Sizes of objects are left out on both sides: one object, one page. Here
every object is a request too, whose latency is counted; there is nothing but hits and misses.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from benchmarks import engine_peer
from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Program, Scenario
from epcgroup.sim.trace.format import PAGE_MASK, read_trace
from epcgroup.sim.trace.tables import import_twitter
from epcgroup.units import PAGE_SIZE

CACHE_PAGES = 100_000


def _seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def _plain(path: Path, folder: Path) -> Path:
    """Return the text of a trace: libCacheSim's Python package reads no packed CSV."""
    if path.suffix != ".zst":
        return path
    out = folder / path.stem
    with path.open("rb") as packed, out.open("wb") as plain:
        zstandard.ZstdDecompressor().copy_stream(packed, plain)
    return out


def _simulate(trace: Path, policy: str) -> int:
    """Return the pages loaded or created by a pod that may hold ``CACHE_PAGES``."""
    nr_pages = read_trace(trace, check=False).nr_pages
    pod = PodSpec(
        "pod", (ContainerSpec("main", Program(nr_pages, trace=str(trace))),), 0, CACHE_PAGES * PAGE_SIZE
    )
    capacity = (CACHE_PAGES + 10_000) * PAGE_SIZE
    result = simulate(Scenario(capacity, (pod,), 10**15, sample_ns=10**15, policy=policy))
    return int(result.pods[-1, 0, 4])


def _csv_lru(peer: Any, text: Path) -> float:  # noqa: ANN401
    """Return the miss ratio of libCacheSim's LRU on the text."""
    form = peer.ReaderInitParam(ignore_obj_size=True, has_header=True, has_header_set=True, delimiter=",")
    form.time_field, form.obj_id_field, form.obj_size_field = 1, 2, 3
    reader = peer.TraceReader(str(text), peer.TraceType.CSV_TRACE, form)
    return float(peer.LRU(cache_size=CACHE_PAGES).process_trace(reader)[0])


def compare(path: Path, rounds: int) -> dict[str, Any]:
    """Return the ratios for a CSV or CSV.zst file."""
    peer = engine_peer.load_peer()
    if peer is None:
        return {"left_out": "libcachesim is not installed (extra `bench`)"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text, trace = _plain(path, folder), folder / "trace.npy"
        _import_and_simulate(text, trace)  # compiles
        pairs = []
        for _ in range(rounds):
            trace.unlink()  # or the time it takes to give back the last one's memory would count
            ours = _seconds(lambda: _import_and_simulate(text, trace))
            pairs.append(_seconds(lambda: _csv_lru(peer, text)) / ours)
        references: NDArray[np.uint32] = read_trace(trace).references & np.uint32(PAGE_MASK)
        for policy in ("second-chance", "lru"):
            _simulate(trace, policy)  # compiles
        replays = {
            policy: min(_seconds(lambda policy=policy: _simulate(trace, policy)) for _ in range(rounds))  # type: ignore[misc]
            for policy in ("second-chance", "lru")
        }
        binary = engine_peer.replay(peer, references, CACHE_PAGES, rounds)
        misses = _simulate(trace, "lru") / len(references)
    figures = {
        "references": len(references),
        "end_to_end": round(statistics.median(pairs), 2),
        "end_to_end_rounds": [round(pair, 2) for pair in pairs],
        "replay_second_chance_over_lru": round(binary["LRU"][0] / replays["second-chance"], 2),
        "replay_lru_over_lru": round(binary["LRU"][0] / replays["lru"], 2),
        "replay_second_chance_over_clock": round(binary["Clock"][0] / replays["second-chance"], 2),
        "miss_ratio_lru": [round(misses, 4), round(binary["LRU"][1], 4)],
    }
    print(f"{'against libCacheSim':<28}{figures}")
    return figures


def _import_and_simulate(text: Path, trace: Path) -> None:
    import_twitter(text, trace)
    _simulate(trace, "second-chance")
