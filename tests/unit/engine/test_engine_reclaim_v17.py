"""Series v17, case by case: figures computed on the kernel's own code (cases 24 to 47 of the description)."""

import pytest

from epcgroup.engine import allocate, background, enclave, fault, reclaim
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome
from tests.unit.engine.driving import PAGE, Driver, enclave_in, machine


def _built(driver: Driver, path: str, nr: int, size: int = 1 << 14) -> tuple[int, int, int]:
    """An enclave built with ADD_PAGES before EINIT: (enclave, pages added, answer of the last)."""
    group = driver.epc.lookup(path)
    outcome, made = driver.create(group, size, ready=False)
    assert outcome is Outcome.CREATED
    return made, *_add(driver, path, made, 0, nr)


def _add(driver: Driver, path: str, made: int, first: int, nr: int) -> tuple[int, int]:
    group = driver.epc.lookup(path)
    for index in range(first, first + nr):
        while True:
            answer = int(enclave.add(driver.epc.state, made, index, group, False))
            if answer != allocate.EVICT:
                break
            driver.act()
        if answer != enclave.CREATED:
            return index - first, answer
    return nr, enclave.CREATED


@pytest.mark.parametrize(("limit", "held"), [(0, 0), (1, 0)])
def test_no_room_for_an_enclave(limit: int, held: int) -> None:
    driver = machine(1000, "/a", series="v17")
    driver.limit("/a", limit)
    assert driver.create(driver.epc.lookup("/a"), 256)[0] is Outcome.REFUSED
    assert driver.pages("/a") == held
    assert driver.word("/a", at.GROUP_EVENTS) == 1
    assert driver.word("/a", at.GROUP_PEAK) == limit * PAGE


@pytest.mark.parametrize("limit", [3, 4, 10])
def test_building_ends_when_only_overhead_is_left(limit: int) -> None:
    driver = machine(1000, "/a", series="v17")
    driver.limit("/a", limit)
    made, added, answer = _built(driver, "/a", 1 << 13)
    assert (added, answer) == ((limit - 2) * 512 - 1, allocate.REFUSED)
    assert driver.pages("/a") == limit - 1
    driver.epc.enclave_release(made)
    assert driver.pages("/a") == 0
    assert driver.word("/a", at.GROUP_PEAK) == limit * PAGE


def test_adding_past_the_limit() -> None:
    driver = machine(1000, "/a", series="v17")
    driver.limit("/a", 20)
    made, added, _ = _built(driver, "/a", 100)
    assert added == 100
    assert (driver.pages("/a"), len(driver.written)) == (6, 96)
    assert driver.word("/a", at.GROUP_EVENTS) == 6
    assert len(driver.epc.residents(made)) == 4


@pytest.mark.parametrize(("limit", "left"), [(200, 152), (129, 81), (128, 112), (100, 84)])
def test_where_the_item_stops(limit: int, left: int) -> None:
    driver = machine(1000, "/a", series="v17")
    driver.limit("/a", limit)
    made = enclave_in(driver, "/a", limit - 2)
    group = driver.epc.lookup("/a")
    assert driver.pages("/a") == limit
    assert driver.epc.fault(made, 1000, group) is Outcome.BUSY
    driver.background()
    assert driver.pages("/a") == left
    assert driver.epc.fault(made, 1000, group) is Outcome.CREATED


def test_limit_lowered_under_usage() -> None:
    driver = machine(1000, "/a", series="v17")
    made, _, _ = _built(driver, "/a", 98)
    driver.limit("/a", 50)
    assert not driver.epc.has_work()
    assert _add(driver, "/a", made, 98, 1) == (1, enclave.CREATED)
    assert (driver.pages("/a"), driver.word("/a", at.GROUP_EVENTS)) == (37, 4)
    assert driver.written == [(made, page) for page in range(64)]


def test_all_pages_young() -> None:
    driver = machine(1000, "/a", series="v17")
    driver.limit("/a", 42)
    made, _, _ = _built(driver, "/a", 40)
    driver.young = {(made, page) for page in range(40)}
    assert _add(driver, "/a", made, 40, 1) == (1, enclave.CREATED)
    assert [len(batch) for batch in driver.batches] == [16, 16, 16]
    assert driver.written == [(made, page) for page in range(8)]
    assert (driver.pages("/a"), driver.word("/a", at.GROUP_EVENTS)) == (35, 3)


def _pass(driver: Driver, path: str, want: int) -> list[tuple[str, int]]:
    """One reclaim(path, want): (group, pages) of each batch."""
    state = driver.epc.state
    group = driver.epc.lookup(path)
    done: list[tuple[str, int]] = []
    reclaim.begin(state, at.CONTEXT_KSGXD, group, want)
    while reclaim.step(state, at.CONTEXT_KSGXD, 0):
        done.append((driver.epc.path_of(int(driver.epc.batch[0, 2])), len(driver.epc.batch)))
        driver.act()
    return done


def test_round_robin_one_list_a_step() -> None:
    driver = machine(1000, "/p", "/p/a", "/p/b", "/p/c", series="v17")
    for path in ("/p/a", "/p/b", "/p/c"):
        _built(driver, path, 20)
    seen = [_pass(driver, "/p", 1) for _ in range(6)]
    assert seen == [
        [("/p/a", 16)],
        [("/p/b", 16)],
        [("/p/c", 16)],
        [("/p/a", 4)],
        [("/p/b", 4)],
        [("/p/c", 4)],
    ]


def test_a_pass_of_sixteen_may_scan_more() -> None:
    driver = machine(1000, "/a", "/b", series="v17")
    _built(driver, "/a", 10)
    _built(driver, "/b", 10)
    assert _pass(driver, "/", 16) == [("/a", 10), ("/b", 10)]


def test_parent_full_only_own_pages_go() -> None:
    driver = machine(1000, "/p", "/p/b", "/p/c", series="v17")
    _built(driver, "/p/b", 58)
    made, _, _ = _built(driver, "/p/c", 38)
    driver.limit("/p", 100)
    assert _add(driver, "/p/c", made, 38, 1)[0] == 1
    assert [driver.pages(path) for path in ("/p", "/p/b", "/p/c")] == [85, 60, 25]
    assert [driver.word(path, at.GROUP_EVENTS) for path in ("/p", "/p/c")] == [1, 0]
    assert driver.word("/p/c", at.GROUP_PEAK) == 41 * PAGE


def test_a_fault_that_is_never_served() -> None:
    """S2: the parent is full because of a sibling; the item compares own usage and does nothing."""
    driver = machine(1000, "/p", "/p/b", "/p/c", series="v17")
    made = enclave_in(driver, "/p/c", 38)
    _built(driver, "/p/b", 58)
    driver.limit("/p", 100)
    group = driver.epc.lookup("/p/c")
    for attempt in range(5):
        assert driver.epc.fault(made, 500, group) is Outcome.BUSY
        driver.background()
        assert driver.word("/p", at.GROUP_EVENTS) == attempt + 1
    assert not driver.written


def test_ksgxd_wakes_and_sleeps() -> None:
    driver = machine(1000, series="v17")
    made, _, _ = _built(driver, "/", 965)
    assert (driver.epc.nr_free, driver.epc.has_work()) == (32, False)
    _add(driver, "/", made, 965, 1)
    assert (driver.epc.nr_free, driver.epc.has_work()) == (31, True)
    assert driver.background() == 3
    assert (driver.epc.nr_free, driver.epc.has_work()) == (79, False)


def test_secs_comes_back_first_and_stays() -> None:
    driver = machine(1000, "/a", series="v17")
    made = enclave_in(driver, "/a", 1)
    assert _pass(driver, "/a", 1) == [("/a", 1)]
    assert driver.pages("/a") == 1  # the VA page; the SECS left with its last child
    driver.limit("/a", 2)
    assert driver.epc.fault(made, 0, driver.epc.lookup("/a")) is Outcome.REFUSED
    assert driver.pages("/a") == 2


def test_uninitialised_enclave_keeps_its_secs() -> None:
    driver = machine(1000, "/a", series="v17")
    made, _, _ = _built(driver, "/a", 4)
    _pass(driver, "/a", 1)
    assert driver.pages("/a") == 2
    assert driver.epc.state.enclaves[made, at.ENCLAVE_SECS] > 0


def test_signals() -> None:
    driver = machine(1000, "/a", series="v17")
    driver.limit("/a", 10)
    made = enclave_in(driver, "/a", 8)
    group = driver.epc.lookup("/a")
    assert fault.access(driver.epc.state, made, 100, group, True) == Outcome.INTERRUPTED  # S3
    fair = machine(1000, "/a")
    fair.limit("/a", 10)
    made = enclave_in(fair, "/a", 8)
    assert fair.pages("/a") == 10
    assert fault.access(fair.epc.state, made, 100, fair.epc.lookup("/a"), True) == Outcome.EVICT


def test_removed_group_is_still_reclaimed() -> None:
    driver = machine(1000, "/p", "/p/a", series="v17")
    made = enclave_in(driver, "/p/a", 20)
    number = driver.epc.lookup("/p/a")
    driver.epc.rmdir("/p/a")
    assert driver.pages("/p") == 22
    assert driver.epc.path_of(number) == "/p/a"
    assert _pass(driver, "/p", 16) == [("/p/a", 16)]
    driver.epc.enclave_release(made)
    assert driver.pages("/p") == 0
    assert driver.epc.state.groups[number, at.GROUP_STATE] == at.GROUP_NONE


def test_item_of_a_freed_group_is_cancelled() -> None:
    driver = machine(1000, "/a", series="v17")
    driver.limit("/a", 20)
    made = enclave_in(driver, "/a", 18)
    assert driver.epc.fault(made, 100, driver.epc.lookup("/a")) is Outcome.BUSY
    driver.epc.rmdir("/a")
    assert background.has_work(driver.epc.state)
    driver.epc.enclave_release(made)
    assert not background.has_work(driver.epc.state)
