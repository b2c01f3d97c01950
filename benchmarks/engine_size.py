"""What the engine's state costs: bytes a page, half a TiB of EPC, ten thousand groups."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine_rig import enclave_of
from epcgroup.engine import group
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from epcgroup.state.layout import Sizes

_CHUNK = 1 << 22
_HUGE_FRAMES = 1 << 27
_HUGE_PAGES = 1 << 28
_SMALL = (1, 1, 14)
_WIDE = (10, 10, 100)


def bytes_per_page() -> dict[str, float]:
    """Bytes of state for one more EPC page and for one more enclave page."""
    base = Sizes(1 << 20).nbytes
    return {
        "epc_page_bytes": (Sizes(1 << 21).nbytes - base) / (1 << 20),
        "enclave_page_bytes": (Sizes(1 << 20, nr_pages=1 << 23).nbytes - base) / (1 << 22),
    }


def _resident_gib() -> float:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) / 2**20


def huge() -> dict[str, Any]:
    """Touch 1 TiB of enclave address space on 512 GiB of EPC; every page of state is in use afterwards."""
    before = _resident_gib()
    epc = Epc.create(_HUGE_FRAMES, nr_enclaves=4, nr_enclave_pages=_HUGE_PAGES)
    tasks = [enclave_of(epc, at.ROOT, _HUGE_PAGES)]
    trace = np.arange(_CHUNK, dtype=np.uint32)
    begin = time.thread_time()
    faults = 0
    for first in range(0, _HUGE_PAGES, _CHUNK):
        faults += epc.run(trace + np.uint32(first), tasks).faults
    seconds = time.thread_time() - begin
    return {
        "epc_pages": _HUGE_FRAMES,
        "enclave_pages": _HUGE_PAGES,
        "rss_gib": round(_resident_gib(), 2),
        "rss_without_state_gib": round(before, 2),
        "faults_m_per_s": round(faults / seconds / 1e6, 1),
    }


def huge_alone() -> dict[str, Any]:
    """``huge`` in a process of its own: what other benchmarks have left in this one is no state."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(huge).result()


def _forest(shape: tuple[int, int, int]) -> tuple[Epc, list[int]]:
    """A machine with ``shape`` groups at each of three levels below the root; its leaves."""
    epc = Epc.create(1 << 14, nr_groups=12_000, nr_enclaves=4, nr_enclave_pages=1 << 17)
    leaves = []
    for _ in range(shape[0]):
        top = group.create(epc.state, at.ROOT)
        for _ in range(shape[1]):
            middle = group.create(epc.state, top)
            leaves += [int(group.create(epc.state, middle)) for _ in range(shape[2])]
    return epc, leaves


def _fault_ns(shape: tuple[int, int, int], limit_pages: int, rounds: int = 5) -> float:
    """Time of one fault with its reclaim, in one leaf among empty groups; the best of some rounds."""
    epc, leaves = _forest(shape)
    leaf = leaves[len(leaves) // 2]
    tasks = [enclave_of(epc, leaf, 1 << 16)]
    if limit_pages:
        epc.state.groups[leaf, at.GROUP_MAX] = limit_pages << 12
    trace = np.tile(np.arange(1 << 15, dtype=np.uint32), 2)
    epc.run(trace, tasks)
    times = []
    for _ in range(rounds):
        begin = time.thread_time()
        faults = epc.run(trace, tasks).faults
        times.append((time.thread_time() - begin) / faults * 1e9)
    return min(times)


def many_groups() -> dict[str, Any]:
    """A fault among 10,110 groups against one among 16, both four levels deep."""
    figures: dict[str, Any] = {}
    for name, limit in (("at_a_limit", 4096), ("machine_full", 0)):
        few, many = _fault_ns(_SMALL, limit), _fault_ns(_WIDE, limit)
        figures[name] = {
            "ratio": round(many / few, 2),
            "few_groups_ns": round(few, 1),
            "many_groups_ns": round(many, 1),
        }
    return figures
