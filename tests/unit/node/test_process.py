"""Processes of containers: the gate, how they end, what they leave."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from epcgroup.node.process import GatedProcess, describe_exit, program

SH = {"PATH": os.environ["PATH"]}


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def start(tmp_path: Path, script: str) -> GatedProcess:
    return GatedProcess(["/bin/sh", "-c", script], SH, tmp_path, tmp_path / "log")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_nothing_runs_before_the_gate_opens_and_the_pid_stays(tmp_path: Path) -> None:
    process = start(tmp_path, "echo $$; pwd")
    assert process.poll() is None
    assert (tmp_path / "log").read_text() == ""
    process.release()
    until(lambda: process.poll() is not None)
    assert (tmp_path / "log").read_text().split() == [str(process.pid), str(tmp_path)]
    assert process.poll() == 0


def test_a_gate_that_is_shut_for_good_runs_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "echo ran")
    process.kill()
    assert process.poll() == -signal.SIGKILL
    assert (tmp_path / "log").read_text() == ""


def test_the_program_has_no_standard_input(tmp_path: Path) -> None:
    process = start(tmp_path, "read x; echo status $?")
    process.release()
    until(lambda: process.poll() is not None)
    assert (tmp_path / "log").read_text() == "status 1\n"


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep 300 & echo $!")
    process.release()
    until(lambda: process.poll() is not None)
    child = int((tmp_path / "log").read_text())
    until(lambda: not is_alive(child))
    assert process.poll() == 0


def test_a_daemon_is_adopted_by_the_container_and_ends_with_it(tmp_path: Path) -> None:
    variables = SH | {"EPCG_SOCKET": str(tmp_path), "EPCG_POD": "p", "EPCG_CONTAINER": "c"}
    script = "(setsid sh -c 'echo $$ >daemon.new; mv daemon.new daemon; exec sleep 60' &); read x <fifo"
    os.mkfifo(tmp_path / "fifo")
    process = GatedProcess(["/bin/sh", "-c", script], variables, tmp_path, tmp_path / "log")
    process.release()
    until((tmp_path / "daemon").exists)
    daemon = int((tmp_path / "daemon").read_text())
    until(lambda: parent_of(daemon) == process.pid)
    (tmp_path / "fifo").write_text("go\n")
    until(lambda: process.poll() is not None)
    until(lambda: not is_alive(daemon))
    assert process.poll() == 0


def test_terminate_is_a_request_and_kill_is_not(tmp_path: Path) -> None:
    process = start(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    process.release()
    until(lambda: (tmp_path / "log").read_text() == "ready\n")
    process.terminate()
    assert process.poll() is None
    process.kill()
    assert process.poll() == -signal.SIGKILL


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    process = GatedProcess(["/nonexistent/program"], SH, tmp_path, tmp_path / "log")
    process.release()
    until(lambda: process.poll() is not None)
    assert "could not be run" in describe_exit(process.poll() or 0)


@pytest.mark.parametrize(
    ("status", "words"),
    [(3, "exit status 3"), (-9, "killed by SIGKILL"), (-7, "SIGBUS: its enclave memory could not be served")],
)
def test_exits_in_words(status: int, words: str) -> None:
    assert words in describe_exit(status)


def test_niceness_is_the_process_and_the_sessions(tmp_path: Path) -> None:
    show = "nice; cat /proc/self/autogroup 2>/dev/null || echo nice 7"
    process = GatedProcess(["/bin/sh", "-c", show], SH, tmp_path, tmp_path / "log", nice=7)
    process.release()
    until(lambda: process.poll() is not None)
    first, second = (tmp_path / "log").read_text().splitlines()
    assert int(first) >= 7
    assert second.endswith("nice 7")


def test_python_is_the_interpreter_that_runs_us() -> None:
    assert program(["python", "-c", "1"])[0] == sys.executable
    assert program(["pythonic"]) == ["pythonic"]
