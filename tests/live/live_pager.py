"""A real pager in a process of its own, and programs that are its clients, for tests; always cleaned up."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from epcgroup.abi.control import ControlClient

START_SECONDS = 90.0  # the first start on a machine compiles the engine
ANSWER_SECONDS = 30.0
PUPPET = Path(__file__).with_name("puppet.py")


def wait_until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:  # noqa: ANN401
    """Return the first true value of a condition; fails when the time is up."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        select.select([], [], [], 0.005)
    return value


def read_line(process: subprocess.Popen[str], seconds: float) -> str:
    """Return the next line of a process; empty if it ended."""
    assert process.stdout is not None
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    assert poll.poll(seconds * 1000), "no answer in time"
    return process.stdout.readline()


def end(process: subprocess.Popen[str]) -> int:
    """Kill and reap a process of ours, whatever it does."""
    if process.poll() is None:
        process.kill()
    code = process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                continue
    return code


class LivePager:
    """``python -m epcgroup.pager``, or a program that takes the same options, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        epc: str = "4Mi",
        program: tuple[str, ...] = ("-m", "epcgroup.pager"),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.socket = folder / "pager.sock"
        self.log = folder / "pager.log"
        command = [sys.executable, *program, "--socket", str(self.socket), "--epc", epc]
        self.process = subprocess.Popen(
            [*command, "--log", str(self.log), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._puppets: list[Puppet] = []
        try:
            self.ready: dict[str, Any] = json.loads(read_line(self.process, START_SECONDS))
        except BaseException:
            end(self.process)
            raise

    def control(self) -> ControlClient:
        """Return a new control connection."""
        return ControlClient(self.socket)

    def statistics(self) -> dict[str, Any]:
        """Return the statistics now."""
        with self.control() as control:
            return control.statistics()

    def read(self, path: str, file: str) -> str:
        """Return the text of a file of a group."""
        with self.control() as control:
            return control.read(path, file)

    def make_group(self, path: str, max_pages: int | None = None) -> None:
        """Make a group and give it a limit."""
        with self.control() as control:
            control.mkdir(path)
            if max_pages is not None:
                control.write(path, "misc.max", f"sgx_epc {max_pages * 4096}")

    def set_max(self, path: str, max_pages: int) -> None:
        """Change the limit of a group."""
        with self.control() as control:
            control.write(path, "misc.max", f"sgx_epc {max_pages * 4096}")

    def current_pages(self, path: str) -> int:
        """Return what is charged to a group."""
        return int(self.read(path, "epc.current")) // 4096

    def puppet(self, nr_pages: int, group: str | None = None, user: int | None = None) -> "Puppet":
        """Start a program with an enclave, in a group."""
        puppet = Puppet(self, nr_pages, group, user)
        self._puppets.append(puppet)
        return puppet

    def log_text(self) -> str:
        """Return the log so far."""
        return self.log.read_text() if self.log.exists() else ""

    def is_empty(self) -> bool:
        """Whether every page and charge is back."""
        statistics = self.statistics()
        return bool(
            statistics["nr_live_enclaves"] == 0
            and statistics["nr_free_pages"] * 4096 == self.ready["epc_bytes"]
            and statistics["store"]["stored_bytes"] == 0
            and self.current_pages("/") == 0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for puppet in self._puppets:
            end(puppet.process)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            finally:
                end(self.process)
        end(self.process)
        Path(self.ready["state"]).unlink(missing_ok=True)  # a killed pager leaves it
        if kind is None:
            assert self.process.returncode in (0, -9), self.log_text()


class Puppet:
    """A program that does what it is told, see ``puppet.py``; it is started in a group by its own pid."""

    def __init__(self, pager: LivePager, nr_pages: int, group: str | None, user: int | None) -> None:
        as_user = [] if user is None else [str(user)]
        # The shell waits until its pid is in the group and then becomes the program.
        self.process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                'read _ && exec "$@"',
                "sh",
                sys.executable,
                str(PUPPET),
                str(nr_pages),
                *as_user,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "EPCG_SOCKET": str(pager.socket)},
            stderr=subprocess.PIPE,
        )
        if group is not None:
            with pager.control() as control:
                control.write(group, "epc.procs", str(self.process.pid))
        self.tell("go")
        self.greeting = read_line(self.process, ANSWER_SECONDS)
        self.is_connected = bool(self.greeting)

    @property
    def pid(self) -> int:
        """Process number."""
        return self.process.pid

    def tell(self, *order: object) -> None:
        """Give an order and do not wait."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def ask(self, *order: object) -> Any:  # noqa: ANN401
        """Give an order and return its answer; None if the program died of it."""
        self.tell(*order)
        line = read_line(self.process, ANSWER_SECONDS)
        return json.loads(line) if line else None

    def error_text(self) -> str:
        """Return what the program said on its standard error; it must have ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def wait(self) -> int:
        """Wait for the end of the program and return its exit code (negative: signal)."""
        return self.process.wait(ANSWER_SECONDS)

    def leave(self) -> int:
        """Let the program end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()
