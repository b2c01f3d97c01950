"""Machines and traces of ``benchmarks/engine.py``: 16 groups four levels deep, hot and cold pages."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from epcgroup.face.epc import Epc
from epcgroup.state.outcome import Outcome
from epcgroup.units import PAGE_SIZE

NR_GROUPS = 16
#: Pages an enclave may touch, in units of its limit.
SPREAD = 8
#: Pages it touches often, in units of its limit.
HOT = 0.6
#: What share of the references goes to hot pages, for each share of hits wanted.
ASKED = {0.5: 0.63, 0.9: 0.9, 0.99: 0.99, 0.999: 0.999}


@dataclass(frozen=True)
class Rig:
    """One machine; ``tasks`` are (enclave, group) of each stream of its traces."""

    epc: Epc
    tasks: list[tuple[int, int]]
    page_bits: int
    limit_pages: int


def enclave_of(epc: Epc, group: int, nr_pages: int) -> tuple[int, int]:
    """Make and initialise an enclave in a machine with room; returns the task (enclave, group)."""
    outcome, enclave = epc.enclave_create(group, nr_pages)
    if outcome is not Outcome.CREATED:
        raise SystemExit("the engine refused an enclave on an empty machine")
    epc.enclave_init(enclave)
    return enclave, group


def machine(nr_epc_pages: int) -> Rig:
    """Sixteen containers in four pods of two classes; their limits add up to the EPC."""
    limit = nr_epc_pages // NR_GROUPS
    page_bits = (SPREAD * limit - 1).bit_length()
    epc = Epc.create(nr_epc_pages, nr_groups=64, nr_enclaves=32, nr_enclave_pages=NR_GROUPS << page_bits)
    tasks = []
    for index in range(NR_GROUPS):
        path = ""
        for name in (f"/class{index // 8}", f"/pod{index // 4}", f"/container{index}"):
            path += name
            if path not in epc.paths():
                epc.mkdir(path)
        epc.write(path, "misc.max", f"sgx_epc {limit * PAGE_SIZE}")
        tasks.append(enclave_of(epc, epc.lookup(path), 1 << page_bits))
    return Rig(epc, tasks, page_bits, limit)


def filling(rig: Rig) -> NDArray[np.uint32]:
    """References that touch as many pages of each enclave as its limit has, stream after stream by turns."""
    page = np.arange(rig.limit_pages, dtype=np.uint32).reshape(-1, 1)
    stream = np.arange(NR_GROUPS, dtype=np.uint32) << np.uint32(rig.page_bits)
    turns: NDArray[np.uint32] = np.bitwise_or(page, stream).ravel()
    return turns


def references(rig: Rig, length: int, hits: float, random: np.random.Generator) -> NDArray[np.uint32]:
    """References of all streams at random: uniform over the hot pages, or uniform over the cold ones."""
    hot = int(HOT * rig.limit_pages)
    page = random.integers(0, hot, length, dtype=np.uint32)
    cold = np.nonzero(random.random(length, dtype=np.float32) >= ASKED[hits])[0]
    page[cold] = random.integers(hot, SPREAD * rig.limit_pages, len(cold), dtype=np.uint32)
    stream = random.integers(0, NR_GROUPS, length, dtype=np.uint32) << np.uint32(rig.page_bits)
    trace: NDArray[np.uint32] = np.bitwise_or(page, stream)
    return trace


def zipf(length: int, nr_objects: int, random: np.random.Generator) -> NDArray[np.uint32]:
    """Zipf(1.0) over a random order of ``nr_objects`` pages."""
    weights = np.cumsum(1 / np.arange(1, nr_objects + 1))
    ranks = np.searchsorted(weights, random.random(length) * weights[-1])
    pages: NDArray[np.uint32] = random.permutation(nr_objects).astype(np.uint32)[ranks]
    return pages


def with_scans(trace: NDArray[np.uint32], nr_objects: int, random: np.random.Generator) -> NDArray[np.uint32]:
    """Return the trace with three of ten windows of 200,000 replaced by a scan over as many other pages."""
    mixed = trace.copy()
    window = 200_000
    position = 0
    for first in range(0, len(trace), window):
        if random.random() < 0.3:
            size = len(mixed[first : first + window])
            mixed[first : first + window] = nr_objects + (position + np.arange(size)) % nr_objects
            position += size
    return mixed
