"""The bulk path does exactly what single operations do, and what its C twin does."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import native_build, twin
from epcgroup.engine import invariants
from epcgroup.errors import NoSuchEnclaveError, NoSuchGroupError, UsageError
from epcgroup.face import run as bulk
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome

_BITS = 8
_PAGE = 4096


def _machine(series: str) -> tuple[Epc, list[tuple[int, int]]]:
    """Four groups, four levels deep, that want more than they may have and more than there is."""
    epc = Epc.create(512, series=series, nr_groups=32, nr_enclaves=8, nr_enclave_pages=8 << _BITS)
    tasks = []
    for index, limit in enumerate((90, 200, 140, 2**40)):
        path = ""
        for name in (f"/q{index // 2}", "/pod", f"/c{index}"):
            path += name
            if path not in epc.paths():
                epc.mkdir(path)
        if series != "mainline":
            epc.write(path, "misc.max", f"sgx_epc {limit * _PAGE}")
        outcome, enclave = epc.enclave_create(epc.lookup(path), 1 << _BITS)
        assert outcome is Outcome.CREATED
        epc.enclave_init(enclave)
        tasks.append((enclave, epc.lookup(path)))
    if series == "fair":
        epc.write("/q0/pod/c1", "epc.high", str(120 * _PAGE))
        epc.write("/q1/pod/c2", "epc.low", str(100 * _PAGE))
    return epc, tasks


def _trace(seed: int, length: int = 6000) -> NDArray[np.uint32]:
    """References of four streams, most of them to a few hot pages."""
    random = np.random.default_rng(seed)
    hot = random.random(length) < 0.7
    page = np.where(hot, random.integers(0, 60, length), random.integers(0, 1 << _BITS, length))
    return ((random.integers(0, 4, length) << _BITS) | page).astype(np.uint32)


class _Steps:
    """The same machine driven one operation at a time."""

    def __init__(self, epc: Epc, tasks: list[tuple[int, int]], idle: bool) -> None:
        self.epc, self.tasks, self.idle = epc, tasks, idle
        self.outcomes: list[Outcome] = []
        self.scanned = self.evictions = 0

    def act(self) -> None:
        self.scanned += len(self.epc.batch)
        self.evictions += self.epc.finish(self.epc.age())

    def refer(self, reference: int) -> None:
        enclave, group = self.tasks[reference >> _BITS]
        page = reference & ((1 << _BITS) - 1)
        while True:
            outcome = self.epc.fault(enclave, page, group)
            if outcome is Outcome.EVICT or (outcome is Outcome.BUSY and self.epc.isolate()):
                self.act()
                continue
            break
        self.outcomes.append(outcome)
        if outcome is Outcome.HIT:
            offset = self.epc.state.enclaves[enclave, at.ENCLAVE_OFFSET]
            self.epc.state.marks[offset + page] |= at.PAGE_ACCESSED
            return
        while self.idle and self.epc.isolate():
            self.act()


@pytest.mark.parametrize("series", ["fair", "v17", "mainline"])
@pytest.mark.parametrize("idle", [True, False])
def test_a_run_is_the_same_as_its_single_operations(series: str, idle: bool) -> None:
    (bulky, tasks), (slow, _) = _machine(series), _machine(series)
    steps = _Steps(slow, tasks, idle)
    for seed in range(3):
        trace = _trace(seed)
        counters = bulky.run(trace, tasks, page_bits=_BITS, idle=idle)
        before = steps.scanned, steps.evictions
        for reference in trace.tolist():
            steps.refer(reference)
        seen = steps.outcomes[-len(trace) :]
        assert counters.hits == seen.count(Outcome.HIT)
        assert counters.created == seen.count(Outcome.CREATED)
        assert counters.loaded == seen.count(Outcome.LOADED)
        assert counters.refused == seen.count(Outcome.REFUSED) + seen.count(Outcome.BUSY)
        assert counters.no_page == 0
        assert (counters.scanned, counters.evictions) == (
            steps.scanned - before[0],
            steps.evictions - before[1],
        )
        invariants.check(bulky.state)
        for ours, theirs in zip(bulky.state, slow.state, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert counters.faults > 0
    assert counters.evictions > 0
    assert counters.rotated > 0


@pytest.mark.parametrize("idle", [True, False])
def test_the_c_twin_leaves_every_byte_the_same(idle: bool) -> None:
    if not native_build.have_compiler():
        pytest.skip("needs gcc for the C twin")
    (ours, tasks), (theirs, _) = _machine("fair"), _machine("fair")
    library = twin.Twin()
    for seed in range(4):
        trace = _trace(seed, 20_000)
        counters = ours.run(trace, tasks, page_bits=_BITS, idle=idle)
        totals = np.zeros(bulk.NR_TOTALS, np.int64)
        library.run(theirs.state, trace, _BITS, bulk.streams_of(theirs.state, tasks), totals, idle)
        assert bulk.counters_of(totals) == counters
        for left, right in zip(ours.state, theirs.state, strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_run_is_the_same_in_plain_python() -> None:
    program = (
        "from tests.unit.face import test_face_run as here\n"
        "epc, tasks = here._machine('fair')\n"
        "print(epc.run(here._trace(1, 1500), tasks, page_bits=here._BITS))\n"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        ).stdout
        for disabled in ("1", "0")
    ]
    assert texts[0] == texts[1]
    assert texts[0].startswith("Counters(hits=")


def test_one_stream_needs_no_bits_for_its_name() -> None:
    epc, tasks = _machine("fair")
    counters = epc.run(np.array([1, 2, 1, 255], np.uint32), tasks[1:2])
    assert (counters.hits, counters.created, counters.loaded, counters.faults) == (1, 3, 0, 3)


def test_nothing_reclaimable_is_counted_as_refused() -> None:
    epc = Epc.create(64, nr_enclave_pages=64)
    group = epc.mkdir("/a")
    _, enclave = epc.enclave_create(group, 16)
    assert epc.run(np.arange(3, dtype=np.uint32), [(enclave, group)]).no_page == 3
    epc.enclave_init(enclave)
    epc.write("/a", "misc.max", f"sgx_epc {2 * _PAGE}")  # the SECS and a VA page
    counters = epc.run(np.arange(3, dtype=np.uint32), [(enclave, group)])
    assert (counters.refused, counters.faults, counters.hits) == (3, 0, 0)
    invariants.check(epc.state)


def test_what_is_no_trace_is_refused() -> None:
    epc, tasks = _machine("fair")
    good = np.zeros(4, np.uint32)
    with pytest.raises(UsageError, match="uint32"):
        epc.run(np.zeros(4, np.int64), tasks)
    with pytest.raises(UsageError, match="uint32"):
        epc.run(np.zeros(8, np.uint32)[::2], tasks)
    with pytest.raises(UsageError, match="page_bits"):
        epc.run(good, tasks, page_bits=33)
    with pytest.raises(NoSuchEnclaveError):
        epc.run(good, [(7, tasks[0][1])])
    with pytest.raises(NoSuchGroupError):
        epc.run(good, [(tasks[0][0], 30)])


@pytest.mark.parametrize("bad", [1 << _BITS, 4 << _BITS])
def test_a_reference_outside_stops_the_run(bad: int) -> None:
    epc, tasks = _machine("fair")
    with pytest.raises(UsageError, match="reference 2"):
        epc.run(
            np.array([0, 1, bad, 2], np.uint32), tasks[:1] if bad >> _BITS == 1 else tasks, page_bits=_BITS
        )
    assert epc.residents(tasks[0][0]).tolist() == [0, 1]


def test_a_batch_must_be_finished_first() -> None:
    epc, tasks = _machine("fair")
    epc.run(np.arange(60, dtype=np.uint32), tasks, page_bits=_BITS)
    epc.write("/q0/pod/c0", "epc.reclaim", str(10 * _PAGE))
    assert epc.isolate()
    with pytest.raises(UsageError, match="batch"):
        epc.run(np.zeros(1, np.uint32), tasks, page_bits=_BITS)
    epc.finish(epc.age())
    counters = epc.run(np.zeros(1, np.uint32), tasks, page_bits=_BITS)
    assert counters.hits + counters.loaded == 1
