"""Conformance cases 52 to 64: reclaim and killing in the second posting (v2), and what others do then."""

import pytest

from epcgroup.engine import oom
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome
from tests.conformance.playing import EVERY, Machine

_OK, _LIVELOCK = {"ret": "0"}, {"livelock": "1"}


def _used_100(*, young: bool) -> Machine:
    machine = Machine(1000, "v2")
    machine.do("mkdir /a")
    machine.build("E", "/a", 98)
    if young:
        machine.do("touch E 0-97")
    assert machine.pages("/a") == 100
    return machine


def test_case_52_limit_write_reclaims_to_the_limit() -> None:
    machine = _used_100(young=False)
    assert machine.do("max /a 50") == _OK
    assert machine.pages("/a") == 50
    assert machine.nr_written() == [32, 18]
    assert machine.victims() == [*range(32), *range(50, 68)]


def test_case_53_limit_write_over_young_pages() -> None:
    machine = _used_100(young=True)
    assert machine.do("max /a 50") == _OK
    assert machine.nr_written() == [0, 2, 32, 16]
    assert machine.pages("/a") == 50


@pytest.mark.parametrize(("limit", "left"), [(200, 184), (100, 84), (66, 50), (65, 49), (64, 48)])
def test_case_54_where_the_worker_stops(limit: int, left: int) -> None:
    machine = Machine(1000, "v2")
    machine.do("mkdir /a", f"max /a {limit}")
    machine.build("E", "/a", limit - 2, ready=True)
    assert machine.do("fault E 1000")["stop"] == "busy@1000"
    assert machine.do("work") == {"items": "1"}
    assert machine.pages("/a") == left


def test_case_55_six_empty_passes_are_enomem() -> None:
    machine = Machine(1000, "v2")
    machine.do("mkdir /a", "max /a 2")
    machine.build("E", "/a", 0)
    assert machine.do("add E 1") == {"ret": "-12", "count": "0"}
    assert machine.events("/a") == 6


def _two(nr_pages: int, *, ready: bool) -> Machine:
    machine = Machine(1000, "v2")
    machine.do("mkdir /a")
    machine.build("E1", "/a", nr_pages, ready=ready)
    machine.build("E2", "/a", nr_pages, ready=ready)
    return machine


def _killed(machine: Machine) -> list[str]:
    encls = machine.player.enclaves.values()
    return [encl.name for encl in encls if machine.player.is_killed(encl)]


def test_case_56_limit_0_evicts_all_then_kills_all() -> None:
    machine = _two(40, ready=True)
    assert machine.do("max /a 0") == _OK
    assert len(machine.victims()) == 80
    assert (machine.pages("/a"), _killed(machine)) == (0, ["E1", "E2"])


def test_case_56_the_first_enclave_is_killed_first() -> None:
    """The order cannot be seen in one write; the choice is asked step by step, then by a limit of 1."""
    machine = _two(40, ready=True)
    numbers = [machine.player.enclaves[name].number for name in ("E1", "E2")]
    group = machine.epc.lookup("/a")
    assert [oom.kill(machine.state, group) for _ in range(3)] == [*numbers, 0]
    machine = _two(40, ready=True)
    assert machine.do("max /a 1") == _OK
    assert (machine.pages("/a"), _killed(machine)) == (1, ["E1"])


def test_case_57_one_kill_may_be_enough() -> None:
    machine = _two(40, ready=False)
    assert machine.do("max /a 3") == _OK
    assert len(machine.victims()) == 80
    assert (machine.pages("/a"), _killed(machine)) == (2, ["E1"])
    assert (machine.has_secs("E2"), machine.enclave("E2", at.ENCLAVE_NR_VA)) == (True, 1)


def test_case_58_limit_below_guest_pages_never_returns() -> None:
    """A limit write cannot be interrupted in a script, so what a signal leaves is read off the write that
    was given up: the limit is stored, the guest keeps its pages, the unreclaimable list is empty (B6).
    """
    machine = Machine(1000, "v2")
    machine.do("mkdir /a", "proc p /a", "vepc V p 10", "vfault V 0-9")
    assert machine.word("/a", at.GROUP_NR_FIXED) == 10
    assert machine.do("max /a 5") == _LIVELOCK
    assert (machine.pages("/a"), machine.word("/a", at.GROUP_MAX)) == (10, 5 * 4096)
    assert machine.word("/a", at.GROUP_NR_FIXED) == 0


def test_case_59_a_killed_enclave_gives_its_charges_back_and_takes_nothing() -> None:
    """ENOMEM of mmap and EFAULT of the debugger are outside the language, which refuses every operation on a
    killed enclave but those that end it; the charges, of SECS and VA pages too, are gone at once.
    """
    machine = _two(40, ready=True)
    machine.do("proc q /a", "max /a 1")
    assert _killed(machine) == ["E1"]
    assert machine.enclave("E1", at.ENCLAVE_NR_VA) == 0
    assert not machine.has_secs("E1")
    for line in ("map E1 q", "touch E1 0", "add E1 1", "init E1", "modp E1 0 1"):
        assert machine.do(line) == {"err": "oomkilled"}
    assert machine.pages("/a") == 1


def test_case_59_a_killed_enclave_never_gets_a_page_on_demand() -> None:
    """B4: the kernel's fault handler asks nothing and crashes with SGX2; ours has a defined answer."""
    machine = _two(40, ready=True)
    machine.do("max /a 1")
    number = machine.player.enclaves["E1"].number
    assert machine.epc.fault(number, 3, at.ROOT) is Outcome.NO_PAGE
    assert (machine.pages("/a"), machine.has_secs("E1")) == (1, False)


def test_case_60_no_series_here_keeps_the_charges_of_a_victim_until_close() -> None:
    """V5 (charges of the victim's VA and SECS pages stay until its descriptor is closed) is not one of our
    series. In v2, the one that kills, the close of a victim changes no figure; where nothing kills, the close
    is what brings them back.
    """
    machine = _two(40, ready=True)
    machine.do("max /a 1")
    assert machine.do("unmap E1 pE1", "close E1") == _OK
    assert (machine.pages("/a"), list(machine.player.enclaves)) == (1, ["E2"])
    for series in ("v17", "fair"):
        machine = Machine(1000, series)
        machine.do("mkdir /a")
        machine.build("E1", "/a", 40, ready=True)
        machine.do("max /a 0", "work")
        machine.reclaim("/a", 40)
        assert machine.word("/a", at.STAT_EVENT_OOM_KILL) == 0
        assert machine.pages("/a") >= 1
        machine.do("unmap E1 pE1", "close E1")
        assert machine.pages("/a") == 0


@pytest.mark.parametrize(("series", "why"), [("v2", "busy"), ("v17", "sigbus"), ("fair", "sigbus")])
def test_case_61_fault_at_the_limit_with_nothing_reclaimable(series: str, why: str) -> None:
    machine = Machine(1000, series)
    machine.do("mkdir /a")
    machine.build("E", "/a", 0, ready=True)
    machine.do("max /a 2")  # later: fair does not admit an enclave that cannot be used
    for _ in range(20):
        assert machine.do("fault E 0")["stop"] == f"{why}@0"
        machine.do("work")
    assert machine.pages("/a") == 2


def test_case_62_shared_position_stops_at_the_end_of_the_tree() -> None:
    machine = Machine(1000, "v2")
    machine.do("mkdir /p", "mkdir /p/a", "mkdir /p/b", "mkdir /p/c")
    for name in ("a", "b", "c"):
        machine.build(name, f"/p/{name}", 20)
    assert [machine.reclaim("/p", 16) for _ in range(3)] == [[(f"/p/{name}", 16)] for name in ("a", "b", "c")]
    assert machine.reclaim("/p", 16) == [("/p/a", 12)]  # a 4, b 4, c 4
    assert [machine.inside(name) for name in ("a", "b", "c")] == [[], [], []]


def test_case_63_a_page_on_demand_blocks_its_list() -> None:
    """B1: neither a pass nor a limit write gets past it; the same enclave is reclaimed in v17."""
    machine = Machine(1000, "v2")
    machine.do("mkdir /a")
    machine.build("E", "/a", 0, ready=True)
    machine.do("touch E 0-39", "age E all")
    assert machine.reclaim("/a", 16) == []
    assert machine.do("max /a 20") == _LIVELOCK
    assert machine.pages("/a") == 42
    machine = Machine(1000, "v17")
    machine.do("mkdir /a")
    machine.build("E", "/a", 0, ready=True)
    machine.do("touch E 0-39", "age E all")
    assert machine.reclaim("/a", 16) == [("/a", 16)]
    assert machine.outside("E") == list(range(16))


@pytest.mark.parametrize("series", EVERY)
def test_case_64_young_in_one_of_two_address_spaces(series: str) -> None:
    """The newest mapping is asked first; the mark of the older one is cleared only by a later pass."""
    machine = Machine(1000, series)
    machine.do("mkdir /a", "proc q /a")
    machine.build("E", "/a", 1)
    machine.do("map E q", "touch E 0", "touch E 0 q")
    older, newer = machine.player.enclaves["E"].mappings
    ages = []
    for _ in range(3):
        machine.reclaim("/a", 1)
        ages.append((older.is_young(0), newer.is_young(0), machine.inside("E")))
    assert ages == [(True, False, [0]), (False, False, [0]), (False, False, [])]
