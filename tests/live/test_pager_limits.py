"""Limits hold while programs run; who evicted whom is counted."""

import json
import signal

import pytest
from conftest import StartPager
from live_pager import LivePager, wait_until

from epcgroup.abi.control import ControlClient
from epcgroup.errors import (
    GroupBusyError,
    GroupExistsError,
    InvalidLimitError,
    NoSuchFileError,
    NoSuchGroupError,
    NoSuchProcessError,
    UsageError,
)

pytestmark = pytest.mark.live


@pytest.mark.parametrize("series", ["fair", "v17"])
def test_group_never_holds_more_than_its_limit(start_pager: StartPager, series: str) -> None:
    pager = start_pager("--series", series)
    pager.make_group("/pod", 300)
    puppet = pager.puppet(900, group="/pod")
    puppet.tell("fill", 0, 900, 1)
    with pager.control() as control:
        while control.statistics()["groups"]["/pod"]["created"] < 900:
            assert int(control.read("/pod", "epc.current")) <= 300 * 4096
    assert json.loads(puppet.process.stdout.readline() if puppet.process.stdout else "null") == 900
    assert puppet.ask("check", 0, 900, 1) == 0
    assert int(pager.read("/pod", "epc.peak")) <= 300 * 4096


def test_neighbour_inside_its_limit_is_not_paged(live_pager: LivePager) -> None:
    live_pager.make_group("/good", 400)
    live_pager.make_group("/greedy", 400)
    good = live_pager.puppet(300, group="/good")
    good.ask("fill", 0, 300, 1)
    greedy = live_pager.puppet(1500, group="/greedy")
    for tag in (1, 2):
        greedy.ask("fill", 0, 1500, tag)
        assert good.ask("check", 0, 300, 1) == 0
    groups = live_pager.statistics()["groups"]
    assert groups["/good"]["reclaimed"] == 0
    assert groups["/good"]["soft"] == 0
    assert groups["/greedy"]["reclaimed"] > 2000
    text = live_pager.read("/greedy", "epc.reclaimed_by")
    assert text == f"/greedy {groups['/greedy']['reclaimed_by']['/greedy']}\n"
    assert live_pager.read("/good", "epc.reclaimed_by") == ""


def test_mainline_lets_the_greedy_evict_the_good(start_pager: StartPager) -> None:
    pager = start_pager("--series", "mainline")
    pager.make_group("/good")
    pager.make_group("/greedy")
    good = pager.puppet(300, group="/good")
    good.ask("fill", 0, 300, 1)
    greedy = pager.puppet(2000, group="/greedy")
    greedy.ask("fill", 0, 2000, 1)
    assert good.ask("check", 0, 300, 1) == 0
    by = pager.statistics()["groups"]["/good"]["reclaimed_by"]
    assert by.get("/greedy", 0) >= 200


def test_limit_lowered_below_usage_is_worked_off(live_pager: LivePager) -> None:
    live_pager.make_group("/pod", 600)
    puppet = live_pager.puppet(500, group="/pod")
    puppet.ask("fill", 0, 500, 1)
    assert live_pager.current_pages("/pod") > 450
    live_pager.set_max("/pod", 200)
    wait_until(lambda: live_pager.current_pages("/pod") <= 200)
    assert puppet.ask("check", 0, 500, 1) == 0
    assert live_pager.current_pages("/pod") <= 200


def test_limit_zero_refuses_an_enclave_with_a_reason(live_pager: LivePager) -> None:
    live_pager.make_group("/none", 0)
    puppet = live_pager.puppet(10, group="/none")
    assert not puppet.is_connected
    assert puppet.wait() == 1
    assert "the limit of /none is 0: make the enclave smaller or the limit larger" in puppet.error_text()
    assert live_pager.is_empty()


def test_limit_of_nothing_but_overhead_is_sigbus(start_pager: StartPager) -> None:
    pager = start_pager("--series", "v17")  # ours does not admit such an enclave
    pager.make_group("/bare", 2)
    puppet = pager.puppet(10, group="/bare")
    assert puppet.is_connected
    assert puppet.ask("fill", 0, 1, 1) is None
    assert puppet.wait() == -signal.SIGBUS


def test_moving_a_process_moves_its_new_charges(live_pager: LivePager) -> None:
    live_pager.make_group("/from")
    live_pager.make_group("/to")
    puppet = live_pager.puppet(100, group="/from")
    puppet.ask("fill", 0, 40, 1)
    with live_pager.control() as control:
        control.write("/to", "epc.procs", f"{puppet.pid}\n")
        assert control.read("/to", "epc.procs") == f"{puppet.pid}\n"
        assert control.read("/from", "epc.procs") == ""
    puppet.ask("fill", 40, 60, 1)
    assert live_pager.current_pages("/from") == 42
    assert live_pager.current_pages("/to") == 60


def test_child_of_a_member_belongs_to_its_group(live_pager: LivePager) -> None:
    import os

    live_pager.make_group("/family")
    with live_pager.control() as control:
        control.write("/family", "epc.procs", str(os.getpid()))
    puppet = live_pager.puppet(20)
    puppet.ask("fill", 0, 20, 1)
    assert live_pager.current_pages("/family") == 22
    pids = live_pager.read("/family", "epc.procs").split()
    assert str(puppet.pid) in pids


def test_group_with_processes_cannot_be_removed(live_pager: LivePager) -> None:
    live_pager.make_group("/busy")
    puppet = live_pager.puppet(20, group="/busy")
    puppet.ask("fill", 0, 20, 1)
    with live_pager.control() as control:
        with pytest.raises(GroupBusyError):
            control.rmdir("/busy")
        puppet.kill()
        wait_until(lambda: control.statistics()["nr_live_enclaves"] == 0)
        control.rmdir("/busy")
        assert control.paths() == ["/"]


def test_control_errors_carry_their_class(live_pager: LivePager) -> None:
    live_pager.make_group("/a", 100)
    with live_pager.control() as control:
        with pytest.raises(GroupExistsError):
            control.mkdir("/a")
        with pytest.raises(NoSuchGroupError):
            control.read("/b", "misc.max")
        with pytest.raises(NoSuchFileError):
            control.read("/a", "misc.nothing")
        with pytest.raises(UsageError):
            control.write("/a", "misc.max", "sgx_epc lots")
        with pytest.raises(NoSuchProcessError):
            control.write("/a", "epc.procs", "4194305")
        with pytest.raises(InvalidLimitError):
            control.write("/a", "epc.procs", "me")
        assert control.write("/a", "misc.max", "sgx_epc max\n") == 12
        assert control.read("/a", "misc.max") == "sgx_epc max\n"


def test_long_replies_arrive(start_pager: StartPager) -> None:
    pager = start_pager()
    with pager.control() as control:
        for number in range(400):
            control.mkdir(f"/{'n' * 100}{number}")
        statistics = control.statistics()
        assert len(control.paths()) == len(statistics["groups"]) == 401
        assert len(json.dumps(statistics)) > 64 * 1024


def test_nothing_is_compiled_while_serving_and_memory_is_bounded(start_pager: StartPager) -> None:
    pager = start_pager(epc="2Mi")
    puppet = pager.puppet(2000)
    puppet.ask("fill", 0, 2000, 1)
    assert puppet.ask("check", 0, 2000, 1) == 0
    statistics = pager.statistics()
    assert statistics["nr_compilations"] == 0
    kept = statistics["store"]["stored_bytes"] + statistics["store"]["parked_pages"] * 4112
    assert statistics["resident_bytes"] - kept <= 90e6


def test_shutdown_by_control(start_pager: StartPager) -> None:
    pager = start_pager()
    with ControlClient(pager.socket) as control:
        control.shutdown()
    assert pager.process.wait(20) == 0
