"""Programs come, page and go, in every way a program can go: every page and charge comes back."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import StartPager
from live_pager import LivePager, end, wait_until

from epcgroup.pager.state_file import default_path

pytestmark = pytest.mark.live


def test_content_survives_eviction_and_reload(live_pager: LivePager) -> None:
    puppet = live_pager.puppet(3000)
    puppet.ask("fill", 0, 3000, 1)
    assert puppet.ask("check", 0, 3000, 1) == 0
    statistics = live_pager.statistics()
    assert statistics["nr_evictions"] >= 2000
    assert statistics["faults"]["load"]["count"] > 0
    assert statistics["store"]["stored_bytes"] > 0
    assert puppet.leave() == 0
    wait_until(live_pager.is_empty)


@pytest.mark.parametrize("method", ["splice", "wp"])
@pytest.mark.parametrize("series", ["fair", "v17", "mainline"])
def test_every_method_and_series_keeps_content(start_pager: StartPager, method: str, series: str) -> None:
    pager = start_pager("--evict", method, "--series", series)
    puppet = pager.puppet(2000)
    for tag in (1, 2):
        puppet.ask("fill", 0, 2000, tag)
        assert puppet.ask("check", 0, 2000, tag) == 0
    statistics = pager.statistics()
    assert statistics["evict"] == method
    assert statistics["nr_evictions"] > 1000
    assert statistics["poisoned"] == {}


def test_untouched_pages_read_zero(live_pager: LivePager) -> None:
    puppet = live_pager.puppet(1500)
    assert puppet.ask("zeros", 0, 1500) == 0


def test_memfd_backing_works(start_pager: StartPager) -> None:
    pager = start_pager("--backing", "memfd", "--spin-us", "100")
    assert pager.ready["backing"] == "memfd"
    puppet = pager.puppet(2000)
    puppet.ask("fill", 0, 2000, 3)
    assert puppet.ask("check", 0, 2000, 3) == 0
    assert pager.statistics()["spin_us"] == 100


def test_kill_in_mid_fault_returns_everything(live_pager: LivePager) -> None:
    puppet = live_pager.puppet(4000)
    assert puppet.ask("spin", 0, 4000) == "spinning"
    wait_until(lambda: live_pager.statistics()["nr_evictions"] > 500)
    puppet.kill()
    wait_until(live_pager.is_empty)


def test_stopped_client_holds_nobody_up(live_pager: LivePager) -> None:
    stopped = live_pager.puppet(600)
    stopped.ask("fill", 0, 600, 1)
    os.kill(stopped.pid, signal.SIGSTOP)
    other = live_pager.puppet(2000)
    other.ask("fill", 0, 2000, 2)
    assert other.ask("check", 0, 2000, 2) == 0
    os.kill(stopped.pid, signal.SIGCONT)
    assert stopped.ask("check", 0, 600, 1) == 0


def test_kill_before_the_region_is_mapped_returns_everything(live_pager: LivePager) -> None:
    from raw_client import RawClient

    with RawClient(live_pager.socket) as client:
        client.hello(100)
        assert live_pager.statistics()["nr_live_enclaves"] == 1
    wait_until(live_pager.is_empty)


def test_forked_child_that_keeps_the_socket_keeps_no_enclave(live_pager: LivePager) -> None:
    puppet = live_pager.puppet(300)
    puppet.ask("fill", 0, 300, 1)
    child = puppet.ask("fork")
    try:
        puppet.kill()
        wait_until(live_pager.is_empty)
        held = [os.readlink(entry) for entry in Path(f"/proc/{child}/fd").iterdir()]
        assert any(what.startswith("socket:") for what in held)
    finally:
        os.kill(child, signal.SIGKILL)


def test_two_hundred_clients(start_pager: StartPager) -> None:
    from raw_client import RawClient

    pager = start_pager(epc="4Mi")
    clients = [RawClient(pager.socket) for _ in range(200)]
    try:
        for client in clients:
            client.connect_region(8)
        assert pager.statistics()["nr_live_enclaves"] == 200
        # They are this process: touching would fault here, so real programs touch meanwhile.
        puppet = pager.puppet(1500)
        puppet.ask("fill", 0, 1500, 9)
        assert puppet.ask("check", 0, 1500, 9) == 0
        puppet.leave()
    finally:
        for client in clients:
            client.close()
    wait_until(pager.is_empty)


def test_twelve_programs_at_once(start_pager: StartPager) -> None:
    pager = start_pager(epc="2Mi")
    puppets = [pager.puppet(100) for _ in range(12)]
    for round_ in range(2):
        for puppet in puppets:
            puppet.tell("fill", 0, 100, puppet.pid + round_)
        for puppet in puppets:
            puppet.ask("check", 0, 100, puppet.pid + round_)  # answer of fill
        for puppet in puppets:
            puppet.tell("check", 0, 100, puppet.pid + round_)
    assert pager.statistics()["nr_evictions"] > 0
    for puppet in puppets:
        end(puppet.process)
    wait_until(pager.is_empty)


def test_sigterm_ends_cleanly(start_pager: StartPager) -> None:
    pager = start_pager()
    state = pager.ready["state"]
    assert os.path.exists(state)
    pager.process.terminate()
    assert pager.process.wait(20) == 0
    assert not os.path.exists(state)
    assert not pager.socket.exists()
    assert "ends" in pager.log_text()


def test_second_pager_at_the_same_socket_is_refused(live_pager: LivePager) -> None:
    before = os.stat(live_pager.ready["state"])
    second = start_in_vain(live_pager.socket)
    assert "another pager serves" in second
    assert live_pager.statistics()["nr_live_enclaves"] == 0
    after = os.stat(live_pager.ready["state"])
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns), "its state is untouched"


def start_in_vain(socket: Path) -> str:
    """Start a pager that cannot serve; returns its last words."""
    command = [sys.executable, "-m", "epcgroup.pager", "--socket", str(socket), "--epc", "4Mi"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("place", ["s" * 120, "gone/pager.sock"])
def test_a_pager_that_cannot_listen_leaves_nothing(place: str, tmp_path: Path) -> None:
    socket = tmp_path / place
    assert "cannot listen" in start_in_vain(socket)
    assert not Path(default_path(str(socket))).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_stale_socket_is_replaced(start_pager: StartPager) -> None:
    pager = start_pager()
    pager.process.kill()
    pager.process.wait()
    assert pager.socket.exists()
    with LivePager(pager.folder) as again:
        assert again.statistics()["nr_enclaves"] == 0


def test_killed_pager_ends_its_client_and_never_shows_zeros(start_pager: StartPager) -> None:
    pager = start_pager()
    puppet = pager.puppet(3000)
    puppet.ask("fill", 0, 3000, 1)
    puppet.tell("check", 0, 3000, 1)
    pager.process.kill()
    answer = puppet.process.stdout.readline() if puppet.process.stdout else ""
    assert puppet.wait() < 0
    assert answer in ("", "0\n")
