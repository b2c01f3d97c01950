"""Parameters of the models of kv, btree, scan and matmul, measured from the programs as they run.

Processor time comes from the scheduler's account of the program, operations from its own reports, pages from
the faults the pager counts. Runs that differ in one thing give the price of that thing.
"""

import statistics
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from benchmarks.calibration.bench import Running, processor_ns, running
from benchmarks.calibration.figure import Figure
from epcgroup.client.report import Report
from epcgroup.units import PAGE_SIZE
from epcgroup.workloads.btree.tree import ORDER
from epcgroup.workloads.kv.slab import SLAB_BYTES, chunk_sizes
from epcgroup.workloads.kv.store import HEADER_BYTES

#: Time a program is looked at. Long enough for ten reports, short enough for a dozen programs.
_SECONDS: Final = 1.5
_SETTLE_S: Final = 0.3
#: Keys of a leaf that sorted inserts leave behind (``Tree._split`` moves one key of ORDER on).
KEYS_PER_LEAF: Final = ORDER - 1
_KEY_BYTES: Final = 4
_ROUNDS: Final = 3
#: What a load phase takes only grows when others disturb: the least of so many counts.
_LOADS: Final = 3

_SMALL, _LARGE = 1000, 16000
_KV: Final = ("kv", "--size", "32Mi", "--items", "1500", "--zipf", "0")
_BURST: Final = 25


def watched(program: Running, seconds: float = _SECONDS) -> tuple[float, float]:
    """Return (processor ns an operation, faults an operation) of a program in its working phase."""
    program.wait_until_working()
    time.sleep(_SETTLE_S)
    before = program.look()
    time.sleep(seconds)
    after = program.look()
    operations = program.operations_between(before, after)
    if not operations:
        raise SystemExit("a workload did nothing while it was looked at")
    spent = after.processor_ns - before.processor_ns
    return spent / operations, (after.faults - before.faults) / operations


def processor_ns_of(words: Sequence[str]) -> float:
    """Return the processor time of one operation of a workload in a roomy EPC."""
    with running(words) as program:
        return watched(program)[0]


def load_ns_of(words: Sequence[str]) -> int:
    """Return the processor time of a workload in ordinary memory until it works: the least of some runs."""
    return min(_load_ns(words) for _ in range(_LOADS))


def _load_ns(words: Sequence[str]) -> int:
    with running([*words, "--plain", "--rate", "1"]) as program:
        program.wait_until_working()
        return processor_ns(program.process.pid)


def first_line(lines: Sequence[Report]) -> Report:
    """Return the first report of the working phase."""
    return next(line for line in lines if line.phase == "run")


def start_ns_of(words: Sequence[str]) -> int:
    """Return the time from the start of a workload until its enclave is open."""
    with running(words) as program:
        return program.wait_until_open()


def pages_of_item(value_bytes: int) -> float:
    """Return the pages an item of the store lies on, on average over the chunks of a slab."""
    item = HEADER_BYTES + _KEY_BYTES + value_bytes
    sizes = chunk_sizes()
    chunk = sizes[bisect_left(sizes, item)]
    starts = range(0, SLAB_BYTES - chunk + 1, chunk)
    return statistics.mean((start + item - 1) // PAGE_SIZE - start // PAGE_SIZE + 1 for start in starts)


def pages_in(mebibytes: int) -> int:
    """Return the pages of a size in MiB."""
    return (mebibytes << 20) // PAGE_SIZE


def _kv(value: int, *, sets: int, burst: int) -> list[str]:
    words = [*_KV, "--value-size", str(value), "--set-ratio", str(sets), "--burst", str(burst)]
    return [*words, "--rate", "1500"]


def _kv_fill(value: int) -> float:
    return min(_fill_ns(value) for _ in range(_LOADS))


def _fill_ns(value: int) -> float:
    # Its generator reports from the first item on.
    with running([*_kv(value, sets=0, burst=1), "--plain"]) as program:
        program.wait_until_working()
        lines = program.lines()
        return (first_line(lines).t_ns - lines[0].t_ns) / int(_KV[4])


def kv() -> dict[str, Figure]:
    """Measure the store: what a wake-up, a request, a page of a value cost."""
    single = processor_ns_of(_kv(_SMALL, sets=0, burst=1))
    get = processor_ns_of(_kv(_SMALL, sets=0, burst=_BURST))
    get_large = processor_ns_of(_kv(_LARGE, sets=0, burst=_BURST))
    set_small = processor_ns_of(_kv(_SMALL, sets=1, burst=_BURST))
    set_large = processor_ns_of(_kv(_LARGE, sets=1, burst=_BURST))
    more_pages = (_LARGE - _SMALL) / PAGE_SIZE
    wake = max(single - get, 0.0) / (1 - 1 / _BURST)
    page, set_page = (get_large - get) / more_pages, (set_large - set_small) / more_pages
    fill, fill_large = _kv_fill(_SMALL), _kv_fill(_LARGE)
    small_pages = _SMALL / PAGE_SIZE
    return {
        "wake_ns": Figure(wake, "ns", "a wake-up of the store: epoll, receive, send; once a burst"),
        "get_ns": Figure(get - wake / _BURST - small_pages * page, "ns", "a get, without its pages"),
        "set_ns": Figure(
            set_small - wake / _BURST - small_pages * set_page, "ns", "a set, without its pages"
        ),
        "get_page_ns": Figure(page, "ns", "reading one page of a value and sending it"),
        "set_page_ns": Figure(set_page, "ns", "receiving one page of a value and storing it"),
        "fill_ns": Figure(
            fill - small_pages * (fill_large - fill) / more_pages, "ns", "an item of the load phase"
        ),
        "fill_page_ns": Figure((fill_large - fill) / more_pages, "ns", "... one page of its value"),
        "start_ns": Figure(start_ns_of(_kv(_SMALL, sets=0, burst=1)), "ns", "from exec to the open enclave"),
        **_kv_pages(),
    }


def _kv_pages() -> dict[str, Figure]:
    """Pages of a request: a group of few pages faults for nearly each of them."""
    limit = 96
    with running([*_kv(_LARGE, sets=0, burst=1), "--rate", "300"], limit_pages=limit) as program:
        faults = watched(program)[1]
    item = pages_of_item(_LARGE)
    found = faults / (1 - limit / (int(_KV[4]) * item))
    return {
        "pages_per_get": Figure(
            found,
            "pages",
            f"a get of {_LARGE} bytes, from faults in {limit} pages; by the store's layout {item + 1:.2f}",
        )
    }


def btree() -> dict[str, Figure]:
    """Measure the tree: look-ups, inserts, the load phase."""
    words = ["btree", "--size", "64Mi", "--keys", "200000"]
    lookup = processor_ns_of([*words, "--insert-ratio", "0"])
    insert = processor_ns_of([*words, "--insert-ratio", "1"])
    small, large = (load_ns_of(["btree", "--size", "64Mi", "--keys", str(n)]) for n in (100_000, 300_000))
    with running([*words, "--insert-ratio", "0", "--rate", "1000"], limit_pages=48) as program:
        faults = watched(program)[1]
    return {
        "lookup_ns": Figure(lookup, "ns", "a look-up, all levels"),
        "insert_ns": Figure(insert, "ns", "an insert between two keys, splits included"),
        "load_page_ns": Figure(
            (large - small) * KEYS_PER_LEAF / 200_000, "ns", f"the load phase, a leaf of {KEYS_PER_LEAF} keys"
        ),
        "start_ns": Figure(start_ns_of(words), "ns", "from exec to the open enclave"),
        "pages_per_lookup": Figure(
            faults,
            "pages",
            "faults of a look-up in 48 pages, first in first out; from its source: one leaf of 810, and now"
            " and then the header, the root and 4 inner nodes",
        ),
    }


def scan() -> dict[str, Figure]:
    """Measure the greedy neighbour: one page checked and stamped."""
    words = ["scan", "--size", "16Mi"]
    with running([*words, "--rate", "2000"], limit_pages=256) as program:
        faults = watched(program)[1]
    return {
        "visit_ns": Figure(processor_ns_of(words), "ns", "one page checked and stamped: an operation"),
        "start_ns": Figure(start_ns_of(words), "ns", "from exec to the open enclave"),
        "pages_per_visit": Figure(faults, "pages", "faults in 256 of 4096 pages; from its source: 1"),
    }


def matmul() -> dict[str, Figure]:
    """Measure the network: a request, a page of weights, making the weights."""
    small, large = ["matmul", "--size", "8Mi"], ["matmul", "--size", "32Mi"]
    request = processor_ns_of(["matmul", "--size", "16Ki", "--width", "64"])
    page = (processor_ns_of(large) - request) / pages_in(32)
    fill = (load_ns_of(large) - load_ns_of(small)) / (pages_in(32) - pages_in(8))
    with running(small, limit_pages=1024) as program:
        faults = watched(program)[1]
    return {
        "request_ns": Figure(request, "ns", "a request through one small layer: what is not its pages"),
        "page_ns": Figure(page, "ns", "one page of weights multiplied, weights larger than the caches"),
        "fill_page_ns": Figure(fill, "ns", "one page of weights made and copied at the start"),
        "start_ns": Figure(start_ns_of(small), "ns", "from exec to the open enclave"),
        "pages_per_request": Figure(
            faults, "pages", "faults of a request over 2048 pages in 1024; from its source: 2048"
        ),
    }


WORKLOADS: Final = {"kv": kv, "btree": btree, "scan": scan, "matmul": matmul}


def measure(rounds: int = _ROUNDS) -> dict[str, dict[str, Figure]]:
    """Measure all workloads so many times; the median of each figure."""
    found: dict[str, dict[str, Figure]] = {}
    for name, measured in WORKLOADS.items():
        print(f"measuring {name} ...", flush=True)
        runs = [measured() for _ in range(rounds)]
        found[name] = {
            key: figure.having(max(statistics.median(run[key].value for run in runs), 0))
            for key, figure in runs[0].items()
        }
    return found
