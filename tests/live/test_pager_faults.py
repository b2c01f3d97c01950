"""What goes wrong is detected, named, and ends in SIGBUS for the program that asked, never in wrong bytes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import StartPager
from live_pager import LivePager, Puppet, wait_until
from raw_client import RawClient

from epcgroup.abi.control import ControlClient

pytestmark = pytest.mark.live
FORGING = (str(Path(__file__).with_name("forging_pager.py")),)


class Forger(ControlClient):
    def forge(self, how: str, **more: int) -> list[int]:
        return list(self._ask("forge", how=how, **more)["evicted"])  # type: ignore[arg-type]


@pytest.fixture
def forging(start_pager: StartPager) -> LivePager:
    return start_pager("--ager", "fifo", epc="2Mi", program=FORGING)


@pytest.fixture
def forger(forging: LivePager) -> Iterator[Forger]:
    with Forger(forging.socket) as forger:
        yield forger


@pytest.fixture
def victim(forging: LivePager) -> Puppet:
    puppet = forging.puppet(1000)
    puppet.ask("fill", 0, 1000, 5)
    return puppet


def assert_detected(pager: LivePager, puppet: Puppet, page: int) -> None:
    assert puppet.ask("check", page, 1, 5) is None
    assert puppet.wait() == -signal.SIGBUS
    assert f"page {page} is poisoned (seal)" in pager.log_text()
    assert pager.statistics()["poisoned"] == {"seal": 1}
    wait_until(pager.is_empty)


@pytest.mark.parametrize("how", ["flip", "truncate"])
def test_changed_page_is_detected(forging: LivePager, forger: Forger, victim: Puppet, how: str) -> None:
    page = forger.forge("evicted")[10]
    forger.forge(how, page=page)
    assert_detected(forging, victim, page)


def test_swapped_pages_are_detected(forging: LivePager, forger: Forger, victim: Puppet) -> None:
    page, other = forger.forge("evicted")[10:12]
    forger.forge("swap", page=page, other=other)
    assert_detected(forging, victim, page)


def test_replayed_page_is_detected(forging: LivePager, forger: Forger, victim: Puppet) -> None:
    page = forger.forge("evicted")[10]
    forger.forge("save", page=page)
    assert victim.ask("check", page, 1, 5) == 0  # loads it; it is then evicted again, under a new version
    victim.ask("fill", 0, 1000, 5)
    wait_until(lambda: victim.ask("fill", 300, 600, 5) and page in forger.forge("evicted"))
    forger.forge("replay", page=page)
    assert_detected(forging, victim, page)


def test_unforged_pages_still_open(forging: LivePager, forger: Forger, victim: Puppet) -> None:
    page = forger.forge("evicted")[10]
    forger.forge("flip", page=page)
    forger.forge("flip", page=page)
    assert victim.ask("check", page, 1, 5) == 0


def test_full_store_refuses_and_says_so(start_pager: StartPager) -> None:
    pager = start_pager("--store-bytes", "1Mi", epc="1Mi")
    puppet = pager.puppet(2000)
    assert puppet.ask("fill", 0, 2000, 1) is None
    assert puppet.wait() == -signal.SIGBUS
    assert "the store of sealed pages is full (raise --store-bytes)" in pager.log_text()
    wait_until(pager.is_empty)
    assert pager.statistics()["nr_store_full"] > 0
    assert pager.puppet(400).ask("fill", 0, 400, 2) == 400


def test_full_store_leaves_resident_pages_alone(start_pager: StartPager) -> None:
    pager = start_pager("--store-bytes", "512Ki", epc="1Mi")
    first = pager.puppet(100)
    first.ask("fill", 0, 100, 1)
    second = pager.puppet(2000)
    assert second.ask("fill", 0, 2000, 1) is None
    second.wait()
    wait_until(lambda: pager.statistics()["nr_live_enclaves"] == 1)
    assert first.ask("check", 0, 100, 1) == 0


def test_page_the_program_removed_is_lost_with_a_line(live_pager: LivePager) -> None:
    puppet = live_pager.puppet(50)
    puppet.ask("fill", 0, 50, 1)
    assert puppet.ask("remove", 7, 1) == 0
    assert puppet.ask("check", 7, 1, 1) is None
    assert puppet.wait() == -signal.SIGBUS
    assert "page 7 is poisoned (removed)" in live_pager.log_text()
    wait_until(live_pager.is_empty)


def test_audit_finds_removed_pages_without_a_touch(live_pager: LivePager) -> None:
    puppet = live_pager.puppet(50)
    puppet.ask("fill", 0, 50, 1)
    before = live_pager.current_pages("/")
    puppet.ask("remove", 3, 4)
    wait_until(lambda: live_pager.statistics()["nr_removed"] == 4)
    assert live_pager.current_pages("/") == before - 4
    assert puppet.ask("check", 20, 30, 1) == 0


def test_pages_written_behind_the_pagers_back_are_thrown_out(live_pager: LivePager) -> None:
    with RawClient(live_pager.socket) as client:
        client.connect_region(16)
        os.pwrite(client.fds[0], b"x" * 8192, 4096 * 3)
        wait_until(lambda: live_pager.statistics()["nr_bypass"] == 2)
        assert os.fstat(client.fds[0]).st_blocks == 0
        assert "behind the pager's back" in live_pager.log_text()


def test_log_names_enclave_page_and_reason(live_pager: LivePager) -> None:
    live_pager.make_group("/tight", 40)
    puppet = live_pager.puppet(100, group="/tight")
    puppet.ask("fill", 0, 30, 1)
    live_pager.set_max("/tight", 0)
    wait_until(lambda: live_pager.current_pages("/tight") <= 2)
    assert puppet.ask("fill", 50, 1, 1) is None
    assert puppet.wait() == -signal.SIGBUS
    log = live_pager.log_text()
    assert f"(pid {puppet.pid}) page 50 is poisoned (refused): group /tight is at its limit" in log
    assert live_pager.statistics()["poisoned"] == {"refused": 1}
