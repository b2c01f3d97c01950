"""Conformance cases 36 to 51: reclaim in the last posted series (v17), and what others say to the same."""

import pytest

from epcgroup.state import layout as at
from tests.conformance.playing import LIMITED, Machine

_ADDED = {"ret": "0", "count": "1"}
_NO_MEMORY = {"ret": "-12", "step": "create"}


def _full(limit: int, series: str = "v17", nr_pages: int = 1000) -> Machine:
    """/a exactly at its limit: one initialised enclave E of old pages."""
    machine = Machine(nr_pages, series)
    machine.do("mkdir /a", f"max /a {limit}")
    machine.build("E", "/a", limit - 2, ready=True)
    assert (machine.pages("/a"), machine.events("/a")) == (limit, 0)
    return machine


def _refused_then_served(limit: int, left: int, nr_passes: int) -> Machine:
    machine = _full(limit)
    assert machine.do("fault E 1000")["stop"] == "busy@1000"
    assert (machine.events("/a"), machine.queued()) == (1, ["/a"])
    assert machine.do("work") == {"items": "1"}
    assert (len(machine.player.batches), machine.pages("/a")) == (nr_passes, left)
    assert machine.do("fault E 1000")["load"] == "1"
    return machine


def test_case_36_worker_leaves_152_of_200() -> None:
    machine = _refused_then_served(200, 152, nr_passes=3)
    assert machine.events("/a") == 1


@pytest.mark.parametrize(("limit", "left", "nr_passes"), [(129, 81, 3), (128, 112, 1), (100, 84, 1)])
def test_case_37_worker_has_a_margin_above_128(limit: int, left: int, nr_passes: int) -> None:
    machine = _refused_then_served(limit, left, nr_passes)
    assert machine.events("/a") == 1


def _lowered(*, ready: bool) -> Machine:
    """Usage 100, limit lowered to 50: nothing has happened."""
    machine = Machine(1000, "v17")
    machine.do("mkdir /a")
    machine.build("E", "/a", 98, ready=ready)
    assert machine.do("max /a 50") == {"ret": "0"}
    assert (machine.pages("/a"), machine.events("/a"), machine.queued()) == (100, 0, [])
    return machine


def test_case_38_lowered_limit_waits_for_the_next_page() -> None:
    machine = _lowered(ready=False)
    assert machine.do("add E 1") == _ADDED
    assert machine.victims() == list(range(64))
    assert (machine.pages("/a"), machine.events("/a")) == (37, 4)


def test_case_39_lowered_limit_and_a_fault() -> None:
    machine = _lowered(ready=True)
    assert machine.do("fault E 500")["stop"] == "busy@500"
    assert machine.events("/a") == 1
    machine.do("work")
    assert (machine.nr_written(), machine.pages("/a")) == ([16] * 4, 36)
    assert machine.do("fault E 500")["load"] == "1"


@pytest.mark.parametrize("series", LIMITED)
def test_case_40_all_pages_young(series: str) -> None:
    machine = Machine(1000, series)
    machine.do("mkdir /a", "max /a 42")
    machine.build("E", "/a", 40)
    machine.do("touch E 0-39")
    assert machine.do("add E 1") == _ADDED
    assert machine.nr_written() == [0, 0, 8]
    assert machine.victims() == list(range(8))
    assert machine.pages("/a") == 35
    assert machine.events("/a") == 3


def test_case_41_one_list_a_pass_in_turns() -> None:
    machine = Machine(1000, "v17")
    machine.do("mkdir /p", "mkdir /p/a", "mkdir /p/b", "mkdir /p/c")
    for name in ("a", "b", "c"):
        machine.build(name, f"/p/{name}", 20)
    seen = [each for _ in range(6) for each in machine.reclaim("/p", 1)]
    assert seen == [(f"/p/{name}", nr) for nr in (16, 4) for name in ("a", "b", "c")]


def test_case_42_global_pass_of_16_takes_20() -> None:
    machine = Machine(1000, "v17")
    machine.do("mkdir /a", "mkdir /b")
    machine.build("A", "/a", 10)
    machine.build("B", "/b", 10)
    assert machine.reclaim("/", 16) == [("/a", 10), ("/b", 10)]
    assert (machine.inside("A"), machine.inside("B")) == ([], [])


def _family(nr_b: int, nr_c: int, limit: int, *, ready: bool = False) -> Machine:
    """/p with enclaves B in /p/b and C in /p/c; the limit is on /p."""
    machine = Machine(1000, "v17")
    machine.do("mkdir /p", "mkdir /p/b", "mkdir /p/c")
    machine.build("B", "/p/b", nr_b - 2)
    if nr_c:
        machine.build("C", "/p/c", nr_c - 2, ready=ready)
    machine.do(f"max /p {limit}")
    return machine


def test_case_43_parent_full_the_child_pays_alone() -> None:
    machine = _family(60, 40, 100)
    assert machine.do("add C 1") == _ADDED
    assert machine.outside("B") == []
    assert [machine.pages(path) for path in ("/p", "/p/b", "/p/c")] == [85, 60, 25]
    assert (machine.events("/p"), machine.events("/p/c"), machine.peak("/p/c")) == (1, 0, 41)


def test_case_44_parent_full_an_empty_child_gets_nothing() -> None:
    machine = _family(60, 0, 60)
    machine.do("proc c /p/c")
    assert machine.do("enclave C c") == _NO_MEMORY
    assert (machine.pages("/p/b"), machine.outside("B")) == (60, [])


def test_case_45_parent_full_a_fault_is_never_served() -> None:
    machine = _family(61, 40, 1000, ready=True)
    machine.reclaim("/p/c", 1)
    assert machine.do("fault C 0-14")["load"] == "15"
    machine.do("max /p 100")
    assert [machine.pages(path) for path in ("/p", "/p/b", "/p/c")] == [100, 61, 39]
    assert machine.outside("C") == [15]
    before = len(machine.player.batches)
    for nr_tries in range(1, 6):
        assert machine.do("fault C 15")["stop"] == "busy@15"
        machine.do("work")
        assert machine.events("/p") == nr_tries
    assert len(machine.player.batches) == before


@pytest.mark.parametrize(("series", "answer"), [("v17", _NO_MEMORY), ("fair", {"ret": "0"})])
def test_case_46_full_machine_and_an_empty_group(series: str, answer: dict[str, str]) -> None:
    """``fair`` repairs this one (S8)."""
    machine = Machine(100, series)
    machine.do("mkdir /b", "mkdir /c", "proc c /c")
    machine.build("B", "/b", 98)
    assert machine.epc.nr_free == 0
    assert machine.do("enclave C c") == answer


def test_case_46_mainline_succeeds_and_so_does_the_root() -> None:
    machine = Machine(100, "mainline")
    machine.do("mkdir /b", "mkdir /c", "proc c /c")
    machine.build("B", "/b", 98)
    assert machine.do("enclave C c") == {"ret": "0"}
    machine = Machine(100, "v17")
    machine.do("mkdir /b", "proc r /")
    machine.build("B", "/b", 98)
    assert machine.do("enclave R r") == {"ret": "0"}
    assert machine.victims() == list(range(16))


@pytest.mark.parametrize("series", ["mainline", "v2", "v17"])
def test_case_47_ksgxd_from_31_to_79_free(series: str) -> None:
    machine = Machine(1000, series)
    machine.build("E", "/", 965)
    assert (machine.epc.nr_free, machine.ksgxd_runs) == (32, False)
    machine.do("add E 1")
    assert (machine.epc.nr_free, machine.ksgxd_runs) == (31, True)
    assert machine.do("ksgxd") == {"ret": "0", "was": "run", "rounds": "3"}
    assert (machine.epc.nr_free, machine.ksgxd_runs) == (79, False)


@pytest.mark.parametrize("series", LIMITED)
def test_case_48_refused_charge_does_not_wake_ksgxd(series: str) -> None:
    """Few pages are free because a guest holds them; the only listed page came after its allocation."""
    machine = Machine(100, series)
    machine.do("mkdir /a", "proc g /", "vepc V g 70", "vfault V 0-69")
    machine.build("E", "/a", 1, ready=True)
    machine.do("max /a 3")
    assert (machine.epc.nr_free, machine.ksgxd_runs) == (27, False)
    assert machine.do("fault E 1")["stop"] == "busy@1"
    assert not machine.ksgxd_runs
    machine.do("max /a max")
    assert machine.do("fault E 1")["load"] == "1"
    assert machine.ksgxd_runs


@pytest.mark.parametrize(("series", "why"), [("v2", "sigbus"), ("v17", "sigbus"), ("mainline", "busy")])
def test_case_49_signal_turns_a_retry_into_sigbus(series: str, why: str) -> None:
    """In mainline the machine is full instead: the same fault is to be repeated."""
    machine = Machine(100 if series == "mainline" else 1000, series)
    machine.do("mkdir /a", "max /a 100")
    machine.build("E", "/a", 98, ready=True)
    machine.do("signal pE 1")
    assert machine.do("fault E 500")["stop"] == f"{why}@500"


def test_case_50_va_pages_are_the_floor() -> None:
    machine = Machine(65536, "v17", nr_enclave_pages=1 << 17)
    machine.do("mkdir /a", "max /a 512")
    machine.build("E", "/a", 65544, size=1 << 17, ready=True)
    assert (machine.enclave("E", at.ENCLAVE_NR_VA), machine.pages("/a")) == (129, 506)
    machine.do("max /a 128")
    assert machine.do("fault E 0")["stop"] == "busy@0"
    machine.do("work")
    assert machine.pages("/a") == 129
    assert machine.do("fault E 0")["stop"] == "sigbus@0"


def test_case_51_edmm_call_at_the_limit_of_an_ancestor() -> None:
    machine = _family(61, 39, 1000, ready=True)
    machine.reclaim("/p/c", 1)
    machine.do("max /p 84")
    assert machine.do("modp C 0 1") == {"ret": "-11", "count": "0"}


def test_case_51_edmm_call_at_the_own_limit_with_young_pages() -> None:
    """One direct pass at most; it only rotates."""
    machine = Machine(1000, "v17")
    machine.do("mkdir /a")
    machine.build("E", "/a", 40, ready=True)
    machine.reclaim("/a", 16)
    machine.do("touch E 16-39", f"max /a {machine.pages('/a')}")
    before = len(machine.player.batches)
    assert machine.do("modp E 0 1") == {"ret": "-11", "count": "0"}
    assert machine.nr_written()[before:] == [0]


def test_case_51_edmm_call_with_nothing_to_reclaim() -> None:
    machine = Machine(1000, "v17")
    machine.do("mkdir /a")
    machine.build("E", "/a", 1, ready=True)
    machine.reclaim("/a", 16)
    machine.do("max /a 2")
    assert machine.do("modp E 0 1") == {"ret": "-14", "count": "0"}
