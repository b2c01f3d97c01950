"""Kills: an enclave that the engine chose loses its memory; its program dies by SIGBUS, no other suffers."""

import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import StartPager
from live_pager import LivePager, Puppet, wait_until

from epcgroup.pager.seal import RECORD_BYTES

pytestmark = pytest.mark.live
#: Fills 4 VA pages, a small one needs 1: they are never written out. The SECS leaves with the last page, so
#: that an enclave at work needs 2 pages more, and one that never had a page holds 1 more.
BIG, SMALL = 2000, 20


@pytest.fixture(scope="module")
def pager(userfaultfd_here: None) -> Iterator[LivePager]:
    """One pager for all tests of this file."""
    with TemporaryDirectory(prefix="epcgroup-test-") as folder, LivePager(Path(folder)) as pager:
        yield pager


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


class Pod:
    """A group that kills, and one in it for each program."""

    def __init__(self, pager: LivePager, path: str, max_pages: int) -> None:
        self.pager = pager
        self.path = path
        self.programs: list[Puppet] = []
        pager.make_group(path, max_pages)
        with pager.control() as control:
            control.write(path, "epc.oom", "kill\n")

    def start(self, name: str, nr_pages: int) -> Puppet:
        self.pager.make_group(f"{self.path}/{name}")
        self.programs.append(self.pager.puppet(nr_pages, group=f"{self.path}/{name}"))
        return self.programs[-1]

    def end(self) -> None:
        """Every page and every charge comes back."""
        for program in self.programs:
            program.kill()
        wait_until(self.pager.is_empty)


@pytest.fixture
def make_pod(pager: LivePager, numbers: Iterator[int]) -> Iterator[Callable[[int], Pod]]:
    """A function that makes a pod with a limit, in pages."""
    pods: list[Pod] = []

    def make(max_pages: int) -> Pod:
        pods.append(Pod(pager, f"/pod{next(numbers)}", max_pages))
        return pods[-1]

    yield make
    for pod in pods:
        pod.end()


def _line(pager: LivePager, victim: Puppet) -> str:
    """The one line of the log about the kill of a program's enclave."""
    (line,) = (text for text in pager.log_text().splitlines() if f"(pid {victim.pid}) is killed, " in text)
    return line


def test_the_largest_dies_for_a_page_of_its_sibling_which_goes_on(make_pod: Callable[[int], Pod]) -> None:
    pod = make_pod(7)
    pager, path = pod.pager, pod.path
    before = pager.statistics()
    big = pod.start("big", BIG)
    assert big.ask("fill", 0, BIG, 1) == BIG
    small = pod.start("small", SMALL)
    assert small.ask("fill", 0, SMALL, 2) == SMALL
    assert pager.statistics()["store"]["stored_bytes"] >= (BIG - 1) * RECORD_BYTES
    pager.set_max(path, 6)
    wait_until(lambda: pager.current_pages(path) <= 6)
    assert small.ask("check", 0, SMALL, 2) == 0
    assert small.ask("fill", 0, SMALL, 3) == SMALL

    record = pager.read(path, "epc.kills")
    assert f" group={path}/big level={path} pages=" in record
    assert record in pager.read("/", "epc.kills")
    assert pager.read(f"{path}/small", "epc.kills") == ""
    assert "oom_kill 1\n" in pager.read(path, "epc.events")
    line = _line(pager, big)
    assert line.endswith(record.rstrip("\n"))
    assert f"(pid {small.pid}) asked" in line
    statistics = pager.statistics()
    assert statistics["nr_kills"] == before["nr_kills"] + 1
    assert statistics["store"]["stored_bytes"] <= SMALL * RECORD_BYTES
    assert pager.current_pages(f"{path}/big") == 0

    # It was asleep and knows nothing; any touch of what it had is a signal.
    assert big.ask("check", BIG - 1, 1, 1) is None
    assert big.wait() == -signal.SIGBUS
    assert small.ask("check", 0, SMALL, 3) == 0
    assert small.leave() == 0
    wait_until(pager.is_empty)
    assert pager.statistics()["nr_bypass"] == before["nr_bypass"]


def test_who_asks_may_be_the_one_that_dies(make_pod: Callable[[int], Pod]) -> None:
    pod = make_pod(7)
    small, big = pod.start("small", SMALL), pod.start("big", BIG)
    assert big.ask("fill", 0, BIG, 1) is None
    assert big.wait() == -signal.SIGBUS
    assert f"(pid {big.pid}) asked" in _line(pod.pager, big)
    assert small.ask("fill", 0, SMALL, 2) == SMALL
    assert small.ask("check", 0, SMALL, 2) == 0


def test_threads_in_the_middle_of_a_fault_die_too(make_pod: Callable[[int], Pod]) -> None:
    pod = make_pod(8)
    small, big = pod.start("small", SMALL), pod.start("big", BIG)
    assert big.ask("storm", 0, BIG) == "storming"
    with pod.pager.control() as control:
        wait_until(lambda: control.statistics()["groups"][f"{pod.path}/big"]["created"] == BIG)
    pod.pager.set_max(pod.path, 7)
    assert big.wait() == -signal.SIGBUS
    assert small.ask("fill", 0, SMALL, 2) == SMALL
    assert "oom_kill 1\n" in pod.pager.read(pod.path, "epc.events")


def test_pages_that_left_under_write_protection_are_a_signal_too(start_pager: StartPager) -> None:
    # The kernel remembers the protection of a page that is gone and takes that for a page.
    pager = start_pager("--evict", "wp")
    pod = Pod(pager, "/pod", 7)
    big = pod.start("big", BIG)
    assert big.ask("fill", 0, BIG, 1) == BIG
    small = pod.start("small", SMALL)
    pager.set_max(pod.path, 6)
    assert small.ask("fill", 0, SMALL, 2) == SMALL
    assert "oom_kill 1\n" in pager.read(pod.path, "epc.events")
    assert big.ask("check", 0, 1, 1) is None
    assert big.wait() == -signal.SIGBUS


def test_a_new_enclave_may_cost_another_its_life(make_pod: Callable[[int], Pod]) -> None:
    pod = make_pod(7)
    big = pod.start("big", BIG)
    assert big.ask("fill", 0, BIG, 1) == BIG
    assert pod.start("idle", SMALL).is_connected
    new = pod.start("new", SMALL)
    assert new.ask("fill", 0, SMALL, 2) == SMALL
    assert f"a new enclave of {pod.path}/new asked" in _line(pod.pager, big)
    assert big.ask("check", 0, 1, 1) is None
    assert big.wait() == -signal.SIGBUS


def test_without_the_policy_who_asks_is_refused(make_pod: Callable[[int], Pod]) -> None:
    pod = make_pod(7)
    with pod.pager.control() as control:
        control.write(pod.path, "epc.oom", "deny\n")
    small, big = pod.start("small", SMALL), pod.start("big", BIG)
    assert big.ask("fill", 0, BIG, 1) is None
    assert big.wait() == -signal.SIGBUS
    assert f"group {pod.path}/big is at its limit" in pod.pager.log_text()
    assert pod.pager.read(pod.path, "epc.kills") == ""
    assert small.ask("fill", 0, SMALL, 2) == SMALL


def test_an_enclave_that_can_never_fit_is_refused_with_its_floor(pager: LivePager) -> None:
    pager.make_group("/narrow", 5)
    puppet = pager.puppet(BIG, group="/narrow")
    assert puppet.wait() == 1
    said = puppet.error_text()
    assert "EpcExhaustedError: the pager refused: an enclave of 8192000 bytes" in said
    assert "(ENOMEM)" in said
    assert pager.is_empty()
