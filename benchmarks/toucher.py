"""A client that touches enclave pages and times each touch in C; prints one JSON object.

usage: python -m benchmarks.toucher --socket PATH --pages N [--order ORDER] [--touches N] ... (see --help)

Waits for one line on standard input before it connects, so that whoever started it can put it into a group.
"""

import argparse
import ctypes
import json
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.native_build import touch_library
from epcgroup.client import Enclave
from epcgroup.units import PAGE_SIZE


def _order(name: str, nr_pages: int, touches: int) -> npt.NDArray[np.uint32]:
    pages = np.arange(nr_pages, dtype=np.uint32)
    if name == "permutation":
        # One fixed random order again and again: with a limit below it, first in first out misses always.
        np.random.default_rng(1).shuffle(pages)
    return np.ascontiguousarray(np.resize(pages, touches))


def _address(enclave: Enclave) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(enclave.memory))


def touch(enclave: Enclave, order: str, nr_pages: int, touches: int, think_ns: int) -> dict[str, Any]:
    """Touch pages in the given order and return percentiles of a touch (ns) and the rate (1/s)."""
    pages = _order(order, nr_pages, touches)
    latency_ns = np.zeros(touches, dtype=np.uint32)
    address = _address(enclave)
    total_ns = touch_library().touch_pages(
        address, pages.ctypes.data, touches, think_ns, latency_ns.ctypes.data
    )
    # The first round fills the limit; what counts is the steady state behind it.
    steady = latency_ns[nr_pages:] if touches > nr_pages else latency_ns
    p50, p90, p99 = (int(value) for value in np.percentile(steady, [50, 90, 99]))
    return {
        "touches": touches,
        "p50_ns": p50,
        "p90_ns": p90,
        "p99_ns": p99,
        "per_second": round(touches / (total_ns / 1e9)),
    }


def stress(enclave: Enclave, nr_pages: int, threads: int, hot_pages: int, seconds: float) -> dict[str, Any]:
    """Run the concurrent writers and return operations, lost updates and final mismatches."""
    result = (ctypes.c_uint64 * 3)()
    failed = touch_library().stress(
        _address(enclave), nr_pages, threads, hot_pages, int(seconds * 1e9), ctypes.addressof(result)
    )
    if failed:
        raise SystemExit("a thread could not be started")
    return {"operations": result[0], "lost": result[1], "mismatch": result[2]}


def main() -> None:
    """Parse arguments, wait for the go, touch, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--pages", type=int, required=True)
    parser.add_argument("--order", choices=["sequential", "permutation"], default="permutation")
    parser.add_argument("--touches", type=int, default=0)
    parser.add_argument("--think-ns", type=int, default=0)
    parser.add_argument("--stress-threads", type=int, default=0)
    parser.add_argument("--hot-pages", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()
    touch_library()
    sys.stdin.readline()
    with Enclave(size=args.pages * PAGE_SIZE, socket=args.socket) as enclave:
        if args.stress_threads:
            answer = stress(enclave, args.pages, args.stress_threads, args.hot_pages, args.seconds)
        else:
            answer = touch(enclave, args.order, args.pages, args.touches or args.pages, args.think_ns)
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
