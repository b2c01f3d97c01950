"""Processes a container has left outside of its session, found by the variables it was started with.

What must not live here: the process of a container itself (``process.py``).
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

#: Together they name one container of one run.
_MARKS: Final = ("EPCG_SOCKET", "EPCG_POD", "EPCG_CONTAINER")
#: What one round has killed may have started more before it died.
_MAX_ROUNDS: Final = 8


def kill_strays(variables: Mapping[str, str]) -> None:
    """Kill every process that was started with the same marks; nothing happens where there are none."""
    if not all(name in variables for name in _MARKS):
        return
    marks = {os.fsencode(f"{name}={variables[name]}") for name in _MARKS}
    for _ in range(_MAX_ROUNDS):
        found = list(_marked(marks))
        for pidfd in found:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        if not found:
            return


def _marked(marks: set[bytes]) -> Iterator[int]:
    """Open a pidfd of every live process with all marks: a number may be another's by the time it is used."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            pidfd = os.pidfd_open(int(name))
        except OSError:
            continue
        if marks <= _environment(name):
            yield pidfd
        else:
            os.close(pidfd)


def _environment(name: str) -> set[bytes]:
    try:
        return set(Path(f"/proc/{name}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()
