"""What the software EPC of this machine costs: the pager's work and what a program waits, page by page.

The client touches pages in C. The pager's work is the scheduler's account of its processor time; a batch is
timed by the pager itself; the time of a program is the client's clock. All of it on the live pager.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.calibration.bench import Running, processor_ns, running, wait_for
from epcgroup.client import Enclave
from epcgroup.node.pagerprocess import PagerOptions, PagerProcess
from epcgroup.units import PAGE_SIZE

_GROUP: Final = "/bench"
_NR_PAGES: Final = 4096
#: Pages the engine charges beside those touched: SECS, VA pages.
_OVERHEAD_PAGES: Final = 10
_EPC_BYTES: Final = 256 << 20
_SKEWED: Final = ("kv", "--size", "16Mi", "--value-size", "4000", "--rate", "2000")
_ENOUGH: Final = 500
#: Rounds over the same pages of which only the first one faults.
_MANY: Final = 20
#: So few pages that a batch is small.
_FEW_PAGES: Final = 2
#: A behaviour in which the fault that meets the limit carries the batch out itself.
_SERIES: Final = "v17"


@dataclass(frozen=True, slots=True)
class Touched:
    """One client that touched pages.

    Attributes:
        wall_ns: of a touch, on average.
        p50_ns: of a touch.
        pager_ns: processor time of the pager for a touch.
        statistics: of the pager at the end.
    """

    wall_ns: float
    p50_ns: float
    pager_ns: float
    statistics: dict[str, Any]


@contextmanager
def _pager(ager: str, limit_pages: int) -> Iterator[PagerProcess]:
    with tempfile.TemporaryDirectory(prefix="epcg-") as name:
        folder = Path(name)
        pager = PagerProcess(folder, folder / "log", PagerOptions(_EPC_BYTES, _SERIES, ager))
        try:
            pager.control.mkdir(_GROUP)
            pager.control.write(_GROUP, "misc.max", f"sgx_epc {limit_pages * PAGE_SIZE}")
            yield pager
        finally:
            pager.stop()


def touched(
    touches: int, *, limit_pages: int, ager: str = "fifo", pages: int = _NR_PAGES, more: Sequence[str] = ()
) -> Touched:
    """Let a client touch pages in a fixed random order in a group of ``limit_pages``."""
    words = [sys.executable, "-m", "benchmarks.toucher", "--pages", str(pages), "--touches", str(touches)]
    with _pager(ager, limit_pages + _OVERHEAD_PAGES) as pager:
        client = subprocess.Popen(
            [*words, *more, "--socket", str(pager.socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        pager.control.write(_GROUP, "epc.procs", str(client.pid))
        before_ns = processor_ns(pager.pid)
        output, _ = client.communicate("go\n", timeout=120)
        spent_ns = processor_ns(pager.pid) - before_ns
        if client.returncode:
            raise SystemExit(f"the touching client failed with {client.returncode}")
        answer = json.loads(output)
        return Touched(
            1e9 / answer["per_second"], answer["p50_ns"], spent_ns / touches, pager.control.statistics()
        )


def open_ns(nr: int = 20) -> float:
    """Return how long it takes to open an enclave, of two pages."""
    with _pager("fifo", 1 << 16) as pager:
        times = []
        for _ in range(nr):
            start = time.perf_counter_ns()
            with Enclave(2 * PAGE_SIZE, socket=pager.socket):
                times.append(time.perf_counter_ns() - start)
        return statistics.median(times)


@dataclass(frozen=True, slots=True)
class Costs:
    """Times of the live pager in ns, and what checks them.

    Attributes:
        hit: a touch of a page that is there.
        first_touch: what a program waits for a new page.
        service: the pager's work for it.
        load_more: how much longer the pager works on a page that was evicted.
        evict: the pager's work to write one page out.
        batch: ... for a batch, whatever its size.
        soft: ... to give back a page that was being tried for age (ager ``refault``).
        open_enclave: what a program waits for its enclave.
        cycle: what a program waits for a page that was evicted, its share of evictions included.
    """

    hit: float
    first_touch: float
    service: float
    load_more: float
    evict: float
    batch: float
    soft: float
    open_enclave: float
    cycle: float


def _p50_ns(run: Touched, what: str) -> int:
    """Return the pager's own time for faults of a kind."""
    return int(run.statistics["faults"][what]["p50_ns"])


def _pages_a_batch(run: Touched) -> float:
    return float(run.statistics["nr_evictions"] / run.statistics["nr_batches"])


def _soft_ns() -> int:
    """Return the pager's time for a touch of a page it tried: of a store with popular and unpopular items."""
    with running(_SKEWED, limit_pages=1024, ager="refault") as program:
        program.wait_until_working()
        wait_for(lambda: _nr_soft(program) >= _ENOUGH, "touches of pages that are tried")
        return int(program.look().statistics["faults"]["soft"]["p50_ns"])


def _nr_soft(program: Running) -> int:
    return int(program.pager.control.statistics()["faults"]["soft"]["count"])


def once() -> Costs:
    """Measure everything once."""
    first = touched(_NR_PAGES, limit_pages=2 * _NR_PAGES)
    many = touched(_MANY * _NR_PAGES, limit_pages=2 * _NR_PAGES)
    large = touched(5 * _NR_PAGES, limit_pages=_NR_PAGES // 4)
    small = touched(_NR_PAGES, limit_pages=_FEW_PAGES, pages=64)
    per_page = (_p50_ns(large, "reclaim") - _p50_ns(small, "reclaim")) / (
        _pages_a_batch(large) - _pages_a_batch(small)
    )
    return Costs(
        hit=many.p50_ns,
        first_touch=first.p50_ns,
        service=min(first.pager_ns, first.p50_ns),
        load_more=max(_p50_ns(large, "load") - _p50_ns(large, "zero"), 0),
        evict=per_page,
        batch=max(_p50_ns(large, "reclaim") - per_page * _pages_a_batch(large), 0.0),
        soft=_soft_ns(),
        open_enclave=open_ns(),
        cycle=large.wall_ns,
    )


def measure(rounds: int = 5) -> Costs:
    """Measure so many times: the median of each, of the pager's processor time the least."""
    print("measuring the software EPC ...", flush=True)
    runs = [once() for _ in range(rounds)]
    found = {key: statistics.median(getattr(run, key) for run in runs) for key in Costs.__slots__}
    return replace(Costs(**found), service=min(run.service for run in runs))
