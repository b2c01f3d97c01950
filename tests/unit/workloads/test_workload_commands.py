import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from epcgroup.client import Report, read_reports

PROGRAMS = ("scan", "btree", "matmul", "kv")


def start(path: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", f"epcgroup.workloads.{arguments[0]}", *arguments[1:]]
    environment = os.environ | {"EPCG_STATS": str(path)}
    environment.pop("EPCG_SOCKET", None)
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def reports(path: Path) -> list[Report]:
    return list(read_reports(path.read_bytes())) if path.exists() else []


def wait_for(path: Path, process: "subprocess.Popen[str]", wanted: Callable[[Report], bool]) -> None:
    """Wait until a program reports something, or has ended."""
    deadline = time.monotonic() + 60
    while process.poll() is None and not any(map(wanted, reports(path))):
        assert time.monotonic() < deadline
        os.sched_yield()


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_sigterm_ends_it_with_a_last_report(name: str, tmp_path: Path) -> None:
    path = tmp_path / "stats"
    with start(path, name, "--plain", "--size", "8Mi") as process:
        wait_for(path, process, lambda report: report.phase == "run" and report.operations > 0)
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 0, text
    seen = reports(path)
    assert seen[-1].phase == "done"
    assert [report.operations for report in seen] == sorted(report.operations for report in seen)
    assert seen[-1].checksum_errors == 0
    assert seen[-1].verified_bytes > 0
    for earlier, later in pairwise(seen):
        later.latency.subtract(earlier.latency)  # raises if totals ever went back


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_damaged_memory_makes_it_fail(name: str, tmp_path: Path) -> None:
    path = tmp_path / "stats"
    rate = ("--rate", "3000") if name == "kv" else ()
    size = ("--size", "4Mi", "--corrupt-after", "4" if name == "matmul" else "5000")
    with start(path, name, "--plain", *size, *rate) as process:
        # Until it has been noticed, however slow this machine is; btree ends by itself then.
        wait_for(path, process, lambda report: report.checksum_errors > 0)
        process.terminate()
        _, text = process.communicate(timeout=60)
    assert process.returncode == 65, text
    assert reports(path)[-1].checksum_errors > 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_a_pager_it_says_what_to_do(name: str, tmp_path: Path) -> None:
    with start(tmp_path / "stats", name, "--size", "1Mi") as process:
        _, text = process.communicate(timeout=60)
    assert process.returncode == 69
    assert "EPCG_SOCKET" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("kv", "--plain", "--value-size", "4"), "--value-size 4: expected 12 to"),
        (("kv", "--plain", "--size", "4Ki"), "a store needs at least"),
        (("matmul", "--plain", "--size", "4Ki"), "a layer of width 512"),
    ],
)
def test_options_that_cannot_be_are_named(arguments: tuple[str, ...], text: str, tmp_path: Path) -> None:
    with start(tmp_path / "stats", *arguments) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 64
    assert text in said


def test_a_size_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    with start(tmp_path / "stats", "scan", "--size", "64MB") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "'64MB' is not a size" in said
