"""Conformance cases 75 to 78: what the first controller did with soft limits, as series ``fair`` does it.

That controller (SEAN) is not one of our series. ``fair`` has its aims under names of its own: ``epc.high``,
``epc.low``, ``epc.events``; each test says where ours differs. The kernel's series have none of these files.
"""

import pytest

from epcgroup.errors import UsageError
from epcgroup.state import files
from tests.conformance.playing import PAGE, RECORDED, Machine
from tests.unit.engine.driving import Driver, enclave_in, machine


def _high(driver: Driver, path: str, nr_pages: int) -> None:
    driver.epc.write(path, "epc.high", str(nr_pages * PAGE))


def test_case_75_usage_over_high_is_reclaimed_back_and_nothing_is_refused() -> None:
    """SEAN reclaims in the task that charged; ours in the item, so the charge does not wait either."""
    driver = machine(1000, "/a")
    _high(driver, "/a", 40)
    enclave_in(driver, "/a", 98)
    assert (driver.pages("/a"), driver.events("/a")["max"]) == (100, 0)
    driver.background()
    assert driver.pages("/a") == 40
    assert (driver.events("/a")["max"], driver.events("/a")["oom"]) == (0, 0)
    assert driver.events("/a")["high"] > 0


def test_case_75_exactly_at_high_nothing_is_reclaimed() -> None:
    driver = machine(1000, "/a")
    _high(driver, "/a", 40)
    enclave_in(driver, "/a", 38)
    driver.background()
    assert (driver.pages("/a"), driver.written) == (40, [])


@pytest.mark.parametrize("series", RECORDED)
def test_case_75_the_kernels_series_have_no_soft_limits(series: str) -> None:
    plain = Machine(100, series)
    plain.do("mkdir /a")
    listed = files.listing(plain.state, plain.epc.lookup("/a"))
    assert {"epc.high", "epc.low", "epc.reclaim"}.isdisjoint(listed)


def test_case_76_a_protected_sibling_is_spared_until_all_are_protected() -> None:
    """/p is over high; B is below its low, C has none: C is emptied first, then B gives too and counts it."""
    driver = machine(1000, "/p", "/p/b", "/p/c")
    driver.epc.write("/p/b", "epc.low", str(60 * PAGE))
    b = enclave_in(driver, "/p/b", 40)
    c = enclave_in(driver, "/p/c", 40)
    _high(driver, "/p", 50)
    driver.background()
    assert 50 - 8 < driver.pages("/p") <= 50  # a batch takes up to an eighth of what is listed
    assert {enclave for enclave, _ in driver.written} == {c}
    assert driver.events("/p/b")["low"] == 0
    _high(driver, "/p", 30)
    driver.background()
    assert 30 - 8 < driver.pages("/p") <= 30
    assert len(driver.epc.residents(c)) == 0
    assert 0 < len(driver.epc.residents(b)) < 40
    assert driver.events("/p/b")["low"] > 0


def test_case_77_global_reclaim_begins_with_groups_above_high() -> None:
    """Ours then goes on with the others."""
    plain = Machine(1000, "fair")
    plain.do("mkdir /calm", "mkdir /over")
    plain.build("C", "/calm", 60)
    plain.build("O", "/over", 100)
    plain.epc.write("/over", "epc.high", str(80 * PAGE))
    assert [plain.reclaim("/", 16) for _ in range(3)] == [[("/over", 16)], [("/over", 16)], [("/calm", 16)]]


def test_case_77_without_any_high_a_walk_finds_pages() -> None:
    driver = machine(200, "/a")
    enclave_in(driver, "/a", 167)
    assert driver.epc.nr_free == 31
    driver.background()
    assert driver.epc.nr_free >= 64


@pytest.mark.parametrize("file", ["epc.stat", "epc.events", "misc.events"])
def test_case_78_counters_cannot_be_reset(file: str) -> None:
    """SEAN's files took any write as a reset; ours take none: two readers cannot disturb each other."""
    driver = machine(1000, "/a")
    driver.limit("/a", 40)
    enclave_in(driver, "/a", 100)
    before = driver.epc.read("/a", file)
    assert any(int(line.split()[1]) for line in before.splitlines())
    with pytest.raises(UsageError):
        driver.epc.write("/a", file, "0")
    assert driver.epc.read("/a", file) == before
