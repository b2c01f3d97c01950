"""One process of a container: held at a gate until its group knows it, ended with everything it started.

What must not live here: pods and their phases (``podrun.py``).
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from epcgroup.errors import RunError
from epcgroup.node.strays import kill_strays

#: Wait for one line, then become the program; when the line never comes (we died) run nothing.
_GATE: Final = 'read -r _ || exit 125; exec "$@" </dev/null'
#: Source: include/uapi/linux/prctl.h.
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
#: Exit status of a shell that could not run the program. Source: POSIX, Shell Command Language, 2.8.2.
_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; for ``preexec_fn``."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_parent() -> None:
    """As :func:`die_with_parent`, by SIGTERM: for a process that has something to tidy up."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, as the first process of a container is.

    So a daemon stays below the process its group knows, and is charged to that group.
    """
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _be_nice(nice: int) -> None:
    """Take a nice value, for the process and for its session; more than we have needs privilege we may lack.

    Source: kernel/sched/autogroup.c: between sessions only the nice value of the session's group counts.
    """
    with suppress(OSError):
        os.nice(nice)
    with suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as file:
        file.write(str(nice))


def program(words: Sequence[str]) -> list[str]:
    """Return a command line with ``python`` replaced by the interpreter that runs this program."""
    return [sys.executable, *words[1:]] if words[0] in ("python", "python3") else list(words)


class GatedProcess:
    """A process in a session of its own that waits at a gate.

    Attributes:
        pid: its process id, known before the program runs and kept by it.
    """

    def __init__(
        self, words: Sequence[str], variables: Mapping[str, str], folder: Path, log: Path, nice: int = 0
    ) -> None:
        def prepare() -> None:
            die_with_parent()
            adopt_orphans()
            if nice:
                _be_nice(nice)

        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, "sh", *program(words)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(variables),
                cwd=folder,
                start_new_session=True,
                preexec_fn=prepare,
            )
        self.pid = self._process.pid
        self._variables = variables

    def release(self) -> None:
        """Open the gate: the program runs from here on."""
        gate = self._process.stdin
        if gate is None or gate.closed:
            raise RunError(f"process {self.pid} has been released before")
        with suppress(BrokenPipeError):
            gate.write(b"go\n")
            gate.flush()
        with suppress(BrokenPipeError):
            gate.close()

    def poll(self) -> int | None:
        """Return the exit status once it has ended (negative: the signal that ended it), else None.

        What it left running is killed, as the end of a container's first process does.
        """
        status = self._process.poll()
        if status is not None:
            self._end()
        return status

    def terminate(self) -> None:
        """Send SIGTERM to the program."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the program and everything it started, and reap it."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._end()

    def _end(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        kill_strays(self._variables)


def describe_exit(status: int) -> str:
    """Return an exit status in words."""
    if status == -signal.SIGBUS:
        return "killed by SIGBUS: its enclave memory could not be served; the pager's log says why"
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    if status in (_NOT_EXECUTABLE, _NOT_FOUND):
        return f"exit status {status}: the command could not be run"
    return f"exit status {status}"
