"""Every workload in a group that may hold a quarter of its memory: pages come and go, no byte is wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live_pager import LivePager, end, wait_until

from epcgroup.client import Report, read_reports

pytestmark = [pytest.mark.live, pytest.mark.slow]
SIZE_PAGES = 2048
LIMIT_PAGES = SIZE_PAGES // 4
PROGRAMS = ("scan", "btree", "matmul", "kv")
#: Enough operations to page everything in and out; they differ much in how many pages one touches.
ENOUGH = {"scan": 3 * SIZE_PAGES, "btree": 500, "matmul": 5, "kv": 200}


def start(pager: LivePager, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start a workload in group /g by way of a shell whose pid is put there first."""
    pager.make_group("/g", LIMIT_PAGES)
    command = [sys.executable, "-m", f"epcgroup.workloads.{arguments[0]}", "--size", "8Mi", *arguments[1:]]
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'read _ && exec "$@"', "sh", *command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EPCG_SOCKET": str(pager.socket), "EPCG_STATS": str(folder / "stats")},
    )
    with pager.control() as control:
        control.write("/g", "epc.procs", str(process.pid))
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process


def last(folder: Path) -> Report:
    path = folder / "stats"
    seen = list(read_reports(path.read_bytes())) if path.exists() else []
    return seen[-1] if seen else Report(0)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_quarter_of_its_memory_is_enough(name: str, live_pager: LivePager, tmp_path: Path) -> None:
    process = start(live_pager, tmp_path, name)
    try:
        wait_until(lambda: process.poll() is not None or last(tmp_path).operations >= ENOUGH[name], 90)
        assert live_pager.current_pages("/g") <= LIMIT_PAGES
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=60)
    finally:
        end(process)
    assert process.returncode == 0, text
    report = last(tmp_path)
    assert (report.phase, report.checksum_errors, report.errors) == ("done", 0, 0)
    assert report.verified_bytes > 0
    statistics = live_pager.statistics()
    assert statistics["nr_evictions"] > SIZE_PAGES - LIMIT_PAGES
    wait_until(live_pager.is_empty)


@pytest.mark.parametrize("name", PROGRAMS)
def test_damage_done_while_paging_is_found(name: str, live_pager: LivePager, tmp_path: Path) -> None:
    rate = ("--rate", "1000") if name == "kv" else ()
    after = {"matmul": "3", "kv": "6000"}.get(name, "2500")
    process = start(live_pager, tmp_path, name, "--corrupt-after", after, "--duration", "12", *rate)
    try:
        wait_until(lambda: process.poll() is not None or last(tmp_path).checksum_errors, 60)
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=60)
    finally:
        end(process)
    assert process.returncode == 65, text
    assert "checksum" in text


def test_a_workload_whose_pager_dies_ends_and_says_why(live_pager: LivePager, tmp_path: Path) -> None:
    process = start(live_pager, tmp_path, "kv", "--rate", "2000")
    try:
        wait_until(lambda: last(tmp_path).operations > 100, 60)
        live_pager.process.kill()
        _, text = process.communicate(timeout=20)
    finally:
        end(process)
    assert process.returncode == -signal.SIGIO
    assert "the pager died" in text
    # Its generator notices that the store is gone and ends by itself.
    deadline = time.monotonic() + 20
    while last(tmp_path).phase != "done":
        assert time.monotonic() < deadline
        os.sched_yield()
