"""A page that takes the place of another in a batch: the laws hold, sums stay, and just that page leaves."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.engine import invariants, reclaim
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome, PageState
from epcgroup.state.series import SERIES
from tests.unit.engine.driving import Driver, enclave_in, machine

#: V2 without its fault B1: pages made on demand would never be scanned.
_SERIES = SERIES | {"v2": replace(SERIES["v2"], sgx2=1, unmarked_blocks=0)}


def _frame(epc: Epc, enclave: int, page: int) -> int:
    return int(epc.state.pages[epc.state.enclaves[enclave, at.ENCLAVE_OFFSET] + page])


def _batch(series: str) -> tuple[Driver, int, int]:
    """Two groups of 60 pages and a batch isolated on behalf of the first: it is full, or the machine is."""
    driver = machine(
        140 if series == "mainline" else 400, "/a", "/b", series=_SERIES[series], nr_enclave_pages=256
    )
    first, second = (enclave_in(driver, path, 60, 100) for path in ("/a", "/b"))
    if series == "mainline":
        assert driver.epc.isolate()
        return driver, first, second
    driver.limit("/a", driver.pages("/a"))
    if driver.epc.isolate():
        return driver, first, second
    outcome = driver.epc.fault(first, 60, driver.epc.lookup("/a"))
    assert outcome is Outcome.EVICT or driver.epc.isolate()
    return driver, first, second


def _order(epc: Epc, path: str) -> list[list[int]]:
    return epc.oldest(epc.lookup(path), 1000).tolist()  # type: ignore[no-any-return]


def _scanned(epc: Epc) -> list[int]:
    return epc.state.groups[:, at.STAT_SCANNED].tolist()  # type: ignore[no-any-return]


def test_the_page_named_leaves_and_the_other_returns_to_the_head() -> None:
    driver, enclave, _ = _batch("v17")
    epc = driver.epc
    taken, listed = epc.batch[0].tolist(), _order(epc, "/a")
    wanted = _frame(epc, enclave, listed[5][1])
    assert reclaim.exchange(epc.state, 0, wanted)
    invariants.check(epc.state)
    assert epc.batch[0].tolist()[:2] == listed[5]
    assert _order(epc, "/a") == [taken[:2], *listed[:5], *listed[6:]]
    driver.act()
    assert epc.page_state(enclave, listed[5][1]) is PageState.EVICTED
    assert epc.page_state(enclave, taken[1]) is PageState.RESIDENT


def test_from_the_last_row_to_the_first_the_order_is_kept() -> None:
    driver, enclave, _ = _batch("v17")
    epc = driver.epc
    taken, listed = epc.batch[:, :2].tolist(), _order(epc, "/a")
    assert len(taken) == 16
    for row in reversed(range(16)):
        assert reclaim.exchange(epc.state, row, _frame(epc, enclave, listed[-1 - row][1]))
    assert epc.batch[:, :2].tolist() == listed[:-17:-1]
    assert _order(epc, "/a") == taken + listed[:-16]


def test_pages_of_two_rows_change_places() -> None:
    driver, enclave, _ = _batch("fair")
    epc = driver.epc
    before, order, scanned = epc.batch.tolist(), _order(epc, "/a"), _scanned(epc)
    assert len(before) > 1
    assert reclaim.exchange(epc.state, 0, _frame(epc, enclave, before[1][1]))
    assert epc.batch.tolist() == [before[1], before[0], *before[2:]]
    assert reclaim.exchange(epc.state, 0, _frame(epc, enclave, before[1][1]))  # its own: nothing to do
    assert epc.batch.tolist() == [before[1], before[0], *before[2:]]
    assert (_order(epc, "/a"), _scanned(epc)) == (order, scanned)
    invariants.check(epc.state)


@pytest.mark.parametrize("series", sorted(set(SERIES) - {"mainline"}))
def test_pages_of_other_lists_free_and_overhead_pages_are_left_alone(series: str) -> None:
    driver, enclave, other = _batch(series)
    epc = driver.epc
    state = epc.state
    free = int(np.nonzero(state.frames[1:, at.FRAME_GROUP] == 0)[0][0]) + 1
    secs, area = (int(state.enclaves[enclave, word]) for word in (at.ENCLAVE_SECS, at.ENCLAVE_VA_HEAD))
    before = [array.copy() for array in state]
    for frame in (0, free, secs, area, _frame(epc, other, 59)):
        assert not reclaim.exchange(state, 0, frame)
    for left, right in zip(before, state, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_single_list_lends_pages_of_any_group() -> None:
    driver, first, second = _batch("mainline")
    epc = driver.epc
    before = _scanned(epc)
    a, b = epc.lookup("/a"), epc.lookup("/b")
    assert epc.batch[0].tolist() == [first, 0, a]
    assert reclaim.exchange(epc.state, 0, _frame(epc, second, 59))
    invariants.check(epc.state)
    assert epc.batch[0].tolist() == [second, 59, b]
    change = np.array(_scanned(epc)) - before
    assert (change[a], change[b], change.sum()) == (-1, 1, 0)
    driver.act()
    assert epc.page_state(second, 59) is PageState.EVICTED


@settings(max_examples=60, deadline=None)
@given(
    series=st.sampled_from(sorted(SERIES)),
    swaps=st.lists(st.tuples(st.integers(0, 63), st.integers(0, 140)), max_size=40),
    outcomes=st.lists(st.integers(0, 2), min_size=64, max_size=64),
    ends=st.sampled_from(["finish", "release first", "release second"]),
)
def test_any_exchanges_keep_the_laws(
    series: str, swaps: list[tuple[int, int]], outcomes: list[int], ends: str
) -> None:
    driver, first, second = _batch(series)
    epc = driver.epc
    listed, sizes = epc.state.groups[:, at.GROUP_NR_LRU].copy(), len(epc.batch)
    scanned = sum(_scanned(epc))
    for row, frame in swaps:
        row %= sizes
        before = epc.batch.tolist()
        done = reclaim.exchange(epc.state, row, frame)
        invariants.check(epc.state)
        assert done or epc.batch.tolist() == before
        held = int(epc.state.machine[at.BATCH + at.BATCH_COLUMNS * row + 3])
        assert done == (held == frame)
    np.testing.assert_array_equal(listed, epc.state.groups[:, at.GROUP_NR_LRU])
    assert sum(_scanned(epc)) == scanned
    batch = epc.batch.tolist()
    if ends != "finish":
        epc.enclave_release(first if ends == "release first" else second)
        invariants.check(epc.state)
    gone = {"finish": 0, "release first": first, "release second": second}[ends]
    expected = sum(out == 0 and row[0] != gone for row, out in zip(batch, outcomes, strict=False))
    assert epc.finish(np.array(outcomes[:sizes], np.uint8)) == expected
    invariants.check(epc.state)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_returned_pages_stand_in_their_old_order(data: st.DataObject) -> None:
    driver, enclave, _ = _batch("v17")
    epc = driver.epc
    rows, listed = epc.batch[:, :2].tolist(), _order(epc, "/a")
    wanted = data.draw(st.lists(st.sampled_from(range(len(listed))), unique=True, max_size=len(rows)))
    for row, place in reversed(list(zip(range(len(rows)), wanted, strict=False))):
        assert reclaim.exchange(epc.state, row, _frame(epc, enclave, listed[place][1]))
    after = _order(epc, "/a")
    returned = rows[: len(wanted)]
    assert after[: len(returned)] == returned
    remaining = [listed.index(page) for page in after[len(returned) :]]
    assert all(left < right for left, right in pairwise(remaining))
