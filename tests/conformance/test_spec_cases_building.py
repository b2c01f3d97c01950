"""Conformance cases 24 to 35: building enclaves under a limit, SECS and VA pages, signals."""

import pytest

from epcgroup.engine import allocate, enclave
from epcgroup.state import layout as at
from tests.conformance.playing import EVERY, Machine


def _limited(series: str, limit: int, *, nr_pages: int = 1000, nr_enclave_pages: int = 1 << 16) -> Machine:
    """A machine with /a under a limit and a process p in it."""
    machine = Machine(nr_pages, series, nr_enclave_pages=nr_enclave_pages)
    machine.do("mkdir /a", f"max /a {limit}", "proc p /a")
    return machine


def test_case_24_limit_0_creates_nothing() -> None:
    machine = _limited("v17", 0)
    assert machine.do("enclave E p") == {"ret": "-12", "step": "create"}
    assert (machine.pages("/a"), machine.events("/a")) == (0, 1)


def test_case_25_limit_1_gives_the_va_page_back() -> None:
    machine = _limited("v17", 1)
    assert machine.do("enclave E p") == {"ret": "-12", "step": "create"}
    assert (machine.pages("/a"), machine.events("/a"), machine.peak("/a")) == (0, 1, 1)


def test_case_26_limit_2_creates_and_adds_nothing() -> None:
    machine = _limited("v17", 2)
    assert machine.do("enclave E p") == {"ret": "0"}
    assert machine.files("/a")["misc.current"] == r"sgx_epc 8192\n"
    assert machine.do("add E 1") == {"ret": "-12", "count": "0"}
    assert machine.files("/a")["misc.current"] == r"sgx_epc 8192\n"


def test_case_27_limit_3_each_page_evicts_the_one_before() -> None:
    machine = _limited("v17", 3)
    machine.do("enclave E p")
    for nr_added in range(1, 8):
        assert machine.do("add E 1") == {"ret": "0", "count": "1"}
        assert machine.files("/a")["misc.current"] == r"sgx_epc 12288\n"
        assert machine.events("/a") == nr_added - 1
        assert machine.inside("E") == [nr_added - 1]


def _full_of_overhead(machine: Machine, limit: int) -> None:
    """ADD_PAGES until nothing but SECS and VA pages can stay: (limit - 2) * 512 - 1 pages."""
    nr_added = (limit - 2) * 512 - 1
    assert machine.do("enclave E p 16384") == {"ret": "0"}
    assert machine.do("add E 16384") == {"ret": "-12", "count": str(nr_added)}


@pytest.mark.parametrize("limit", [3, 4, 10, 20])
def test_case_28_building_ends_when_only_overhead_is_left(limit: int) -> None:
    machine = _limited("v17", limit)
    _full_of_overhead(machine, limit)
    assert (machine.pages("/a"), machine.enclave("E", at.ENCLAVE_NR_VA)) == (limit - 1, limit - 2)


@pytest.mark.parametrize("series", ["v2", "v17"])
def test_case_29_limit_20_takes_100_pages(series: str) -> None:
    machine = _limited(series, 20)
    machine.do("enclave E p")
    assert machine.do("add E 100") == {"ret": "0", "count": "100"}
    assert (machine.pages("/a"), machine.events("/a")) == (6, 6)
    assert machine.outside("E") == list(range(96))
    assert machine.inside("E") == [96, 97, 98, 99]


@pytest.mark.parametrize("series", EVERY)
def test_case_30_page_512_costs_two_pages(series: str) -> None:
    machine = Machine(1000, series)
    machine.do("mkdir /a")
    machine.build("E", "/a", 511)
    free, held = machine.epc.nr_free, machine.pages("/a")
    assert machine.enclave("E", at.ENCLAVE_PAGE_COUNT) == 512
    assert machine.do("add E 1") == {"ret": "0", "count": "1"}
    assert (free - machine.epc.nr_free, machine.pages("/a") - held) == (2, 2)


@pytest.mark.parametrize("series", EVERY)
def test_case_31_secs_stays_until_einit_and_the_last_child(series: str) -> None:
    machine = Machine(1000, series)
    machine.do("mkdir /a")
    machine.build("E", "/a", 4)
    while machine.inside("E"):
        machine.reclaim("/a", 16)
    assert (machine.has_secs("E"), machine.pages("/a")) == (True, 2)
    machine.do("init E", "fault E 0")
    machine.reclaim("/a", 16)
    assert (machine.inside("E"), machine.has_secs("E"), machine.pages("/a")) == ([], False, 1)


def test_case_32_secs_is_loaded_and_stays_when_the_page_is_refused() -> None:
    machine = Machine(1000, "v17")
    machine.do("mkdir /a")
    machine.build("E", "/a", 1, ready=True)
    machine.reclaim("/a", 16)
    assert (machine.pages("/a"), machine.has_secs("E")) == (1, False)
    machine.do("max /a 2")
    assert machine.do("fault E 0") == {"hit": "0", "load": "0", "stop": "sigbus@0"}
    assert (machine.pages("/a"), machine.has_secs("E"), machine.outside("E")) == (2, True, [0])


def test_case_33_limit_3_fault_item_fault() -> None:
    machine = _limited("v17", 3)
    machine.do("enclave E p", "add E 2", "init E")
    assert (machine.pages("/a"), machine.outside("E")) == (3, [0])
    assert machine.do("fault E 0")["stop"] == "busy@0"
    assert machine.queued() == ["/a"]
    before = len(machine.player.batches)
    assert machine.do("work") == {"items": "1"}
    assert len(machine.player.batches) == before + 1
    assert (machine.pages("/a"), machine.has_secs("E"), machine.inside("E")) == (1, False, [])
    assert machine.do("fault E 0")["load"] == "1"
    assert (machine.pages("/a"), machine.events("/a")) == (3, 2)


@pytest.mark.parametrize("series", EVERY)
def test_case_34_signal_before_the_first_page(series: str) -> None:
    machine = Machine(1000, series)
    machine.do("mkdir /a")
    machine.build("E", "/a", 5)
    machine.do("signal pE 1")
    assert machine.do("add E 5") == {"ret": "-512", "count": "0"}
    assert machine.inside("E") == [0, 1, 2, 3, 4]
    machine.do("signal pE 0")
    assert machine.do("add E 5") == {"ret": "0", "count": "5"}


@pytest.mark.parametrize("series", ["v2", "v17", "fair"])
def test_case_34_signal_after_some_pages(series: str) -> None:
    """A script cannot raise a signal inside one call, so the second half of the case (returns 0 with a
    short count) belongs to the loop around the engine. What the engine owes it: a page is one step, a step
    under a signal answers INTERRUPTED instead of reclaiming, and every page before it stays.
    """
    machine = _limited(series, 20)
    machine.do("enclave E p", "add E 18")
    made = machine.player.enclaves["E"].number
    group = machine.epc.lookup("/a")
    assert enclave.add(machine.state, made, 18, group, True) == allocate.INTERRUPTED
    assert (machine.pages("/a"), machine.inside("E"), machine.victims()) == (20, list(range(18)), [])


def test_case_35_release_leaves_the_peak() -> None:
    machine = _limited("v17", 4)
    _full_of_overhead(machine, 4)
    machine.do("exit p")
    assert (machine.pages("/a"), machine.peak("/a")) == (0, 4)


def test_case_35_peak_of_a_child_below_the_limit() -> None:
    machine = Machine(1000, "v17")
    machine.do("mkdir /p", "max /p 4", "mkdir /p/c", "proc p /p/c")
    _full_of_overhead(machine, 4)
    machine.do("exit p")
    assert (machine.pages("/p"), machine.peak("/p"), machine.peak("/p/c")) == (0, 4, 5)
