"""Conformance cases 10 to 23: charges, events, peaks, migration, removed groups.

Cases of the controller alone run in mainline too, through ``sev``.
"""

from collections.abc import Callable

import pytest

from epcgroup.state import layout as at
from tests.conformance.playing import EVERY, LIMITED, PAGE, RECORDED, Machine

_REFUSED, _OK = {"ret": "-16"}, {"ret": "0"}


class _Controller:
    """The controller's own interface in one series; amounts in pages (mainline: units of ``sev``)."""

    def __init__(self, series: str, *paths: str, capacity: int = 100) -> None:
        self.machine = Machine(256, series, checked=False)  # charges without pages break a law
        self.name, self.unit, index = ("sev", 1, 0) if series == "mainline" else ("sgx_epc", PAGE, 2)
        self.machine.do(f"cap {self.name} {capacity * self.unit}")
        for path in paths:
            self.machine.do(f"mkdir {path}")
        self._index = index

    def _counter(self, which: int) -> int:
        return at.counter(self._index, which)

    def limit(self, path: str, pages: int) -> None:
        self.machine.do(f'write {path} misc.max "{self.name} {pages * self.unit}"')

    def charge(self, path: str) -> dict[str, str]:
        return self.machine.do(f"charge {path} {self.name} {self.unit}")

    def usage(self, path: str) -> int:
        return self.machine.word(path, self._counter(at.USAGE)) // self.unit

    def events(self, *paths: str) -> list[int]:
        return [self.machine.word(path, self._counter(at.EVENTS)) for path in paths]

    def local(self, *paths: str) -> list[int]:
        return [self.machine.word(path, self._counter(at.EVENTS_LOCAL)) for path in paths]

    def peak(self, path: str) -> int:
        return self.machine.word(path, self._counter(at.PEAK)) // self.unit


@pytest.mark.parametrize("series", EVERY)
def test_case_10_third_charge_over_a_limit_of_two(series: str) -> None:
    controller = _Controller(series, "/a")
    controller.limit("/a", 2)
    assert [controller.charge("/a") for _ in range(3)] == [_OK, _OK, _REFUSED]
    assert (controller.usage("/a"), controller.events("/a")) == (2, [1])


@pytest.mark.parametrize("series", EVERY)
def test_case_11_usage_may_equal_the_limit(series: str) -> None:
    controller = _Controller(series, "/a")
    controller.limit("/a", 1)
    assert controller.charge("/a") == _OK
    assert (controller.usage("/a"), controller.events("/a")) == (1, [0])


def _three_levels(series: str) -> _Controller:
    """A > B (limit 2) > C; the third charge of C has been refused."""
    controller = _Controller(series, "/a", "/a/b", "/a/b/c")
    controller.limit("/a/b", 2)
    assert [controller.charge("/a/b/c") for _ in range(3)] == [_OK, _OK, _REFUSED]
    return controller


def test_case_12_v2_counts_the_refuser_and_all_above() -> None:
    assert _three_levels("v2").events("/a/b", "/a", "/", "/a/b/c") == [1, 1, 1, 0]


@pytest.mark.parametrize("series", ["mainline", "v17", "fair"])
def test_case_13_root_is_not_counted_and_local_is_the_refuser_only(series: str) -> None:
    controller = _three_levels(series)
    assert controller.events("/a/b", "/a", "/a/b/c", "/") == [1, 1, 0, 0]
    assert controller.local("/a/b", "/a", "/a/b/c", "/") == [1, 0, 0, 0]


@pytest.mark.parametrize("series", EVERY)
def test_case_14_refusal_by_the_root_shows_nowhere(series: str) -> None:
    controller = _Controller(series, "/a", "/b", capacity=4)
    assert [controller.charge("/a") for _ in range(3)] == [_OK] * 3
    assert [controller.charge("/b") for _ in range(2)] == [_OK, _REFUSED]
    assert controller.events("/a", "/b") == [0, 0]
    assert controller.local("/a", "/b") == [0, 0]
    invisible = controller.events("/") if series == "v2" else controller.local("/")
    assert invisible == [1]


@pytest.mark.parametrize("series", ["mainline", "v17", "fair"])
def test_case_15_a_group_with_the_whole_capacity_refuses_itself(series: str) -> None:
    controller = _Controller(series, "/a", capacity=4)
    assert [controller.charge("/a") for _ in range(5)] == [_OK] * 4 + [_REFUSED]
    assert (controller.events("/a"), controller.local("/a")) == ([1], [1])


@pytest.mark.parametrize("series", ["mainline", "v17", "fair"])
def test_case_16_peak_keeps_a_charge_the_parent_refused(series: str) -> None:
    controller = _Controller(series, "/p", "/p/c")
    controller.limit("/p", 10)
    assert [controller.charge("/p/c") for _ in range(11)] == [_OK] * 10 + [_REFUSED]
    assert (controller.peak("/p/c"), controller.peak("/p"), controller.usage("/p/c")) == (11, 10, 10)


@pytest.mark.parametrize("series", ["v17", "fair"])
def test_case_17_peak_never_falls_and_cannot_be_reset(series: str) -> None:
    machine = Machine(256, series)
    machine.do("mkdir /a")
    machine.build("E", "/a", 20)
    machine.do("close E", "exit pE")
    assert (machine.pages("/a"), machine.peak("/a")) == (0, 22)
    assert machine.do('write /a misc.peak "sgx_epc 0"') == {"ret": "-13"}
    assert machine.peak("/a") == 22


@pytest.mark.parametrize("series", [*LIMITED, "fair"])
def test_case_18_freeing_everything_leaves_the_events(series: str) -> None:
    machine = Machine(256, series)
    machine.do("mkdir /p", "mkdir /p/a", "max /p/a 20")
    machine.build("E", "/p/a", 40)
    before = machine.events("/p/a"), machine.events("/p")
    assert min(before) > 0
    machine.do("exit pE")
    assert [machine.pages(path) for path in ("/p/a", "/p", "/")] == [0, 0, 0]
    assert (machine.events("/p/a"), machine.events("/p")) == before


@pytest.mark.parametrize("series", EVERY)
def test_case_19_migration_moves_the_task_not_the_pages(series: str) -> None:
    machine = Machine(256, series)
    machine.do("mkdir /a", "mkdir /b")
    machine.build("E", "/a", 40, ready=True)
    machine.reclaim("/a", 16)
    evicted = machine.outside("E")[0]
    held = machine.pages("/a")
    machine.do("move pE /b")
    assert (machine.pages("/a"), machine.pages("/b")) == (held, 0)
    assert machine.do("fault E 500")["load"] == "1"
    assert machine.do(f"fault E {evicted}")["load"] == "1"
    assert (machine.pages("/a"), machine.pages("/b")) == (held, 2)
    if series != "mainline":
        number = machine.player.enclaves["E"].number
        assert machine.epc.oldest(machine.epc.lookup("/b"), 9).tolist() == [[number, 500], [number, evicted]]


@pytest.mark.parametrize("series", EVERY)
def test_case_20_fault_on_a_resident_page_is_free(series: str) -> None:
    """The faulting task's group has a limit of 0; the page is another group's."""
    machine = Machine(256, series)
    machine.do("mkdir /a", "mkdir /b", "max /b 0", "proc q /b")
    machine.build("E", "/a", 10, ready=True)
    held = machine.pages("/a")
    machine.do("map E q")
    assert machine.do("touch E 0-9 q") == {"hit": "0", "load": "10"}
    assert (machine.pages("/a"), machine.pages("/b"), machine.events("/b")) == (held, 0, 0)


def _removed(series: str) -> Machine:
    """/p with a removed group of 22 pages below it; the task stands in /p."""
    machine = Machine(256, series)
    machine.do("mkdir /p", "mkdir /p/a")
    machine.build("E", "/p/a", 20)
    assert machine.do("rmdir /p/a") == _REFUSED
    assert machine.do("move pE /p", "rmdir /p/a") == _OK
    return machine


@pytest.mark.parametrize("series", EVERY)
def test_case_21_removed_group_stays_charged_above(series: str) -> None:
    machine = _removed(series)
    assert machine.do("cat /p/a misc.current") == {"err": "nocg"}
    assert machine.pages("/p") == 22
    machine.do("unmap E pE", "close E")
    assert machine.pages("/p") == 0


@pytest.mark.parametrize("series", [*LIMITED, "fair"])
def test_case_22_removed_group_is_still_reclaimed(series: str) -> None:
    machine = _removed(series)
    machine.reclaim("/p", 16)
    assert machine.outside("E") == list(range(16))
    assert machine.pages("/p") == 6


def _by_item(machine: Machine) -> None:
    assert machine.do("fault E 1000")["stop"] == "busy@1000"
    assert machine.do("work") == {"items": "1"}


def _by_pass(machine: Machine) -> None:
    machine.reclaim("/a", 16)


@pytest.mark.parametrize(
    ("series", "evict"), [*((series, _by_item) for series in LIMITED), *((s, _by_pass) for s in RECORDED)]
)
@pytest.mark.parametrize(("nr_pages", "falls"), [(98, 65536), (16, 65536 + PAGE)])
def test_case_23_current_falls_by_what_was_evicted(
    series: str, evict: Callable[[Machine], None], nr_pages: int, falls: int
) -> None:
    """Sixteen pages; with the last page of an initialised enclave the SECS goes too."""
    machine = Machine(256, series)
    machine.do("mkdir /a", f"max /a {nr_pages + 2}")
    machine.build("E", "/a", nr_pages, ready=True)
    before = machine.word("/a", at.GROUP_USAGE)
    evict(machine)
    assert before - machine.word("/a", at.GROUP_USAGE) == falls
