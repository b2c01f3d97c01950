"""libCacheSim as an oracle: where policies are the same, the same number of references must miss."""

import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.sim.policy.replay import replay
from epcgroup.sim.trace.format import PAGE_MASK, read_trace
from epcgroup.sim.trace.generate import ZIPF, ZIPF_SCAN, Recipe, generate

#: Our name of a policy → theirs.
POLICIES: Final = {"lru": "LRU", "fifo": "FIFO", "clock": "Clock"}
_TRACES: Final = {
    "Zipf 0.99": Recipe(ZIPF, 20_000, 1_000_000),
    "Zipf 0.99 with scans": Recipe(ZIPF_SCAN, 20_000, 1_000_000, window=20_000),
}
_CAPACITIES: Final = (1_000, 5_000)
#: A request of the format oracleGeneral: time, id (> 0), size, next reference (-2: unknown).
_REQUEST: Final = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])


@dataclass(frozen=True, slots=True)
class Count:
    """References of one trace that miss, by us and by them."""

    trace: str
    capacity_pages: int
    policy: str
    ours: int
    theirs: int


def counts() -> list[Count]:
    """Return all comparisons; none where libCacheSim is not installed (extra ``bench``)."""
    try:
        peer: Any = importlib.import_module("libcachesim")
    except ImportError:
        print("libcachesim is not installed (pip install 'epcgroup[bench]'): the oracle is left out")
        return []
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, recipe in _TRACES.items():
            pages = _trace(recipe, Path(folder))
            for capacity in _CAPACITIES:
                for policy, theirs in POLICIES.items():
                    cache = getattr(peer, theirs)(cache_size=capacity)
                    reader = peer.TraceReader(f"{folder}/peer.bin", peer.TraceType.ORACLE_GENERAL_TRACE)
                    missed = round(cache.process_trace(reader)[0] * len(pages))
                    found.append(Count(name, capacity, policy, replay(pages, capacity, policy), missed))
    return found


def _trace(recipe: Recipe, folder: Path) -> NDArray[np.uint32]:
    """Generate a trace, leave it in the folder in the peer's format, return its pages."""
    generate(recipe, folder / "trace.npy")
    pages = np.ascontiguousarray(read_trace(folder / "trace.npy").references & np.uint32(PAGE_MASK))
    requests = np.zeros(len(pages), _REQUEST)
    requests["id"], requests["size"], requests["next"] = pages.astype(np.uint64) + 1, 1, -2
    requests.tofile(folder / "peer.bin")
    return pages
