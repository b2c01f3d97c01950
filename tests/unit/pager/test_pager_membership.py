"""Which group a process is in, asked from the kernel."""

import os
import subprocess
import sys

import pytest

from epcgroup.errors import GroupBusyError, InvalidLimitError, NoSuchProcessError
from epcgroup.face.epc import Epc
from epcgroup.pager import membership as memberships
from epcgroup.pager.membership import Membership


@pytest.fixture
def epc() -> Epc:
    return Epc.create(256, nr_groups=16, nr_enclaves=4, nr_enclave_pages=1024)


@pytest.fixture
def membership(epc: Epc) -> Membership:
    return Membership(epc)


def test_own_entry_then_ancestors_then_root(epc: Epc, membership: Membership) -> None:
    assert membership.group_of(os.getpid()) == 1
    group = epc.mkdir("/a")
    membership.move(os.getppid(), group)
    assert membership.group_of(os.getpid()) == group
    other = epc.mkdir("/b")
    membership.move(os.getpid(), other)
    assert membership.group_of(os.getpid()) == other


def test_adopted_process_becomes_a_member(epc: Epc, membership: Membership) -> None:
    group = epc.mkdir("/a")
    membership.move(os.getppid(), group)
    assert membership.adopt(os.getpid()) == group
    assert epc.group_of_process(os.getpid()) == group
    with pytest.raises(GroupBusyError):
        epc.rmdir("/a")


def test_ended_process_is_forgotten(epc: Epc, membership: Membership) -> None:
    group = epc.mkdir("/a")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    membership.move(child.pid, group)
    assert epc.read("/a", "epc.procs") == f"{child.pid}\n"
    child.communicate(b"\n")
    membership.prune_some()
    assert epc.read("/a", "epc.procs") == ""
    epc.rmdir("/a")


def test_zombie_is_no_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert memberships.start_time(child.pid) is None
    child.wait()


def test_number_used_again_is_another_process(epc: Epc, membership: Membership) -> None:
    group = epc.mkdir("/a")
    membership.move(os.getpid(), group)
    membership._started[os.getpid()] -= 1
    assert membership.group_of(os.getpid()) == 1


def test_parse(membership: Membership) -> None:
    assert membership.parse(f" {os.getpid()}\n", 1) == os.getpid()
    assert membership.parse("0\n", os.getpid()) == os.getpid()
    for text in ("", "me", "-1", "1 2", "٣", "9" * 30):
        with pytest.raises(InvalidLimitError):
            membership.parse(text, 1)
    with pytest.raises(NoSuchProcessError):
        membership.parse("4194304", 1)


def test_kernel_cgroup_path_is_used_if_it_is_in_the_tree(
    epc: Epc, membership: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memberships, "cgroup2_path", lambda pid: "/kube/pod")
    assert membership.group_of(os.getpid()) == 1
    epc.mkdir("/kube")
    group = epc.mkdir("/kube/pod")
    assert membership.group_of(os.getpid()) == group
