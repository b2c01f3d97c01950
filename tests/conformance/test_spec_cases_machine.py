"""Conformance cases 65 to 74: free lists, poison, guest EPC, VA pages, backing store, dying owners."""

import numpy as np
import pytest

from epcgroup.conformance.replay import replay
from epcgroup.engine import section
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from tests.conformance.playing import EVERY, LIMITED, Machine


def test_case_65_free_lists_are_fifo_and_nodes_cyclic() -> None:
    """Neither order shows in a script; it is read off the numbers of the pages taken."""
    epc = Epc.create(6, nr_groups=2, nr_enclaves=1, nr_enclave_pages=8, sections=[(2, 0), (2, 1), (2, 2)])
    state = epc.state
    state.machine[at.NODE] = 1
    assert [section.take(state) for _ in range(7)] == [3, 4, 5, 6, 1, 2, 0]
    for frame in (4, 1, 3, 2):
        section.give(state, frame)
    assert [section.take(state) for _ in range(5)] == [4, 3, 1, 2, 0]


@pytest.mark.parametrize("series", EVERY)
def test_case_66_a_poisoned_page_is_counted_free_and_never_handed_out(series: str) -> None:
    machine = Machine(100, series)
    machine.build("E", "/", 10)
    assert machine.do("poison E 0") == {"ret": "0"}
    frame = int(machine.state.pages[machine.enclave("E", at.ENCLAVE_OFFSET)])
    machine.do("unmap E pE", "close E")
    assert machine.epc.nr_free == 100
    taken = {section.take(machine.state) for _ in range(99)}
    assert taken == set(range(1, 101)) - {frame}
    assert section.take(machine.state) == 0
    assert machine.epc.nr_free == 1


@pytest.mark.parametrize("series", EVERY)
def test_case_67_memory_failure_on_a_page_twice(series: str) -> None:
    """There are no physical addresses here, so ENXIO becomes the language's refusal of what is not in EPC."""
    machine = Machine(100, series)
    machine.build("E", "/", 2)
    assert machine.do("poison E 5") == {"err": "notresident"}
    assert machine.do("poison E 0") == {"ret": "0"}
    before = machine.state.frames.copy(), machine.state.machine.copy()
    assert machine.do("poison E 0") == {"ret": "0"}
    assert (machine.state.frames == before[0]).all()
    assert (machine.state.machine == before[1]).all()


@pytest.mark.parametrize(("series", "evicted"), [("mainline", [1]), ("v2", [0, 1]), ("v17", [0, 1])])
def test_case_67_a_failed_page_in_use_stays_only_in_mainline(series: str, evicted: list[int]) -> None:
    """2.7: mainline of 2025 takes it off the list, the postings evict it like any other."""
    machine = Machine(100, series)
    machine.build("E", "/", 2)
    machine.do("poison E 0")
    machine.reclaim("/", 16)
    assert machine.outside("E") == evicted


@pytest.mark.parametrize("series", EVERY)
def test_case_68_every_page_is_clean_when_the_machine_starts(series: str) -> None:
    """Dirty pages at boot are not modelled: a machine is born behind its first pass, with one EREMOVE a page
    and all of them free. Before that there is no machine: every operation is refused, no page is given out.
    """
    lines = replay("mkdir /a\nboot 96\nhw\nstate\n", series).split("\n")
    assert lines[1] == "= err=notbooted"
    assert " eremove=96 " in next(line for line in lines if "ecreate=" in line)
    assert lines[-3].startswith("C /") or lines[-3].startswith("G ")
    assert "S free=96 ksgxd=sleep work=- warn=0" in lines


@pytest.mark.parametrize(("series", "why"), [("v2", "busy"), ("v17", "sigbus"), ("fair", "sigbus")])
def test_case_69_guest_fault_at_the_limit_with_nothing_reclaimable(series: str, why: str) -> None:
    """ "Retry not allowed" is the machine's business: a script's guest may always repeat its fault."""
    machine = Machine(1000, series)
    machine.do("mkdir /a", "max /a 10", "proc p /a", "vepc V p 64", "vfault V 0-9")
    assert machine.do("vfault V 10")["stop"] == f"{why}@10"


@pytest.mark.parametrize("series", LIMITED)
def test_case_69_guest_fault_at_the_limit_beside_an_enclave(series: str) -> None:
    machine = Machine(1000, series)
    machine.do("mkdir /a", "max /a 32", "proc p /a", "vepc V p 64", "vfault V 0-9")
    machine.build("E", "/a", 20)
    assert machine.do("vfault V 10")["stop"] == "busy@10"
    assert machine.queued() == ["/a"]
    machine.do("work")
    assert machine.do("vfault V 10")["load"] == "1"


@pytest.mark.parametrize("series", EVERY)
def test_case_70_guest_pages_stay_charged_until_close(series: str) -> None:
    """REMOVE_ALL (which keeps the pages) is no operation here; nothing but the close lowers the usage."""
    machine = Machine(1000, series)
    machine.do("mkdir /a", "proc p /a", "vepc V p 64", "vfault V 0-9")
    assert machine.reclaim("/a", 16) == []
    assert machine.do("vfault V 0-9") == {"hit": "10", "load": "0"}
    assert (machine.pages("/a"), machine.epc.nr_free) == (10, 990)
    assert machine.do("vclose V") == {"ret": "0"}
    assert (machine.pages("/a"), machine.epc.nr_free) == (0, 1000)


@pytest.mark.parametrize("series", EVERY)
def test_case_71_slots_are_free_again_after_a_reload(series: str) -> None:
    """Single slots are not kept: the laws demand evicted pages <= 512 a VA page. 600 pages in two VA pages go
    out and come back three times without a VA page more.
    """
    machine = Machine(2000, series)
    machine.do("mkdir /a")
    machine.build("E", "/a", 600, ready=True)
    for _ in range(3):
        while machine.inside("E"):
            machine.reclaim("/a", 16)
        assert (machine.pages("/a"), len(machine.outside("E"))) == (2, 600)
        assert machine.do("touch E 0-599")["load"] == "600"
        machine.do("age E all")
        assert machine.pages("/a") == 603
    assert machine.enclave("E", at.ENCLAVE_NR_VA) == 2


@pytest.mark.parametrize(("series", "nr_va"), [("mainline", 3), ("v2", 3), ("v17", 3), ("fair", 2)])
def test_case_72_removed_pages_leave_their_va_pages(series: str, nr_va: int) -> None:
    """One more VA page at the next multiple of 512, spare slots or not; ``fair`` uses the spare ones."""
    machine = Machine(3000, series)
    machine.do("mkdir /a")
    machine.build("E", "/a", 1023, size=2048, ready=True)
    machine.do("trim E 0 600", "accept E 0-599")
    assert machine.do("remove E 0 600") == {"ret": "0", "count": "600"}
    assert machine.enclave("E", at.ENCLAVE_NR_VA) == 2
    assert machine.enclave("E", at.ENCLAVE_PAGE_COUNT) == 424
    machine.do("fault E 1100-1187")
    held = machine.pages("/a")
    assert machine.enclave("E", at.ENCLAVE_PAGE_COUNT) == 512
    assert machine.enclave("E", at.ENCLAVE_NR_VA) == 2
    machine.do("fault E 1188")
    assert machine.enclave("E", at.ENCLAVE_NR_VA) == nr_va
    assert machine.pages("/a") - held == nr_va - 1


@pytest.mark.parametrize("series", EVERY)
def test_case_73_without_backing_memory_a_page_rotates(series: str) -> None:
    machine = Machine(1000, series)
    machine.do("mkdir /a")
    machine.build("E", "/a", 20)
    machine.do("failback 1")
    scanned = machine.word("/a", at.STAT_SCANNED)
    machine.reclaim("/a", 16)
    nr_scanned = machine.word("/a", at.STAT_SCANNED) - scanned
    assert machine.victims()[0] == 1
    assert 0 in machine.inside("E")
    assert machine.epc.oldest(machine.epc.lookup("/a"), 20)[-1].tolist()[1] == 0
    assert nr_scanned == len(machine.victims()) + 1  # tried, so it counts


@pytest.mark.parametrize("series", EVERY)
def test_case_74_owner_dies_while_its_pages_are_isolated(series: str) -> None:
    """One thread has no reference count of 0 on a list; what a dying owner leaves is a batch without pages:
    it ends with nothing written, nothing put back, nothing charged.
    """
    machine = Machine(100, series)
    machine.build("E", "/", 66)
    machine.do("add E 1")
    epc, number = machine.epc, machine.player.enclaves["E"].number
    assert (epc.nr_free, machine.ksgxd_runs) == (31, True)
    nr_isolated = epc.isolate()
    assert nr_isolated > 0
    epc.enclave_release(number)
    assert epc.finish(np.zeros(nr_isolated, np.uint8)) == 0
    assert (epc.nr_free, epc.isolate(), len(epc.oldest(at.ROOT, 9))) == (100, 0, 0)
