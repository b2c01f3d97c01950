"""libCacheSim on the traces of ``benchmarks/engine.py``: the one place that imports it (extra ``bench``)."""

import importlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: One request of the format oracleGeneral: time, id (> 0), size, next reference (-2: unknown).
_REQUEST = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
ALGORITHMS = ("LRU", "Clock")


def load_peer() -> Any | None:  # noqa: ANN401  (the peer has no types)
    """Return the module, None if it is not installed."""
    try:
        return importlib.import_module("libcachesim")
    except ImportError:
        return None


def replay(
    peer: Any,  # noqa: ANN401
    trace: NDArray[np.uint32],
    cache_pages: int,
    rounds: int,
) -> dict[str, tuple[float, float]]:
    """Return (seconds of CPU, best of ``rounds``; miss ratio) of ``process_trace`` for each algorithm."""
    requests = np.zeros(len(trace), _REQUEST)
    requests["id"] = trace.astype(np.uint64) + 1
    requests["size"] = 1
    requests["next"] = -2
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.bin")
        requests.tofile(path)
        for name in ALGORITHMS:
            seconds, missed = [], 0.0
            for _ in range(rounds):
                reader = peer.TraceReader(str(path), peer.TraceType.ORACLE_GENERAL_TRACE)
                cache = getattr(peer, name)(cache_size=cache_pages)
                begin = time.process_time()
                missed = cache.process_trace(reader)[0]
                seconds.append(time.process_time() - begin)
            results[name] = min(seconds), missed
    return results
