"""Which group a process belongs to: written to ``epc.procs``, else its cgroup2 path, else the root.

Asked from the kernel (``/proc``), never from the process. A number is told from a later process of the same
number by its start time.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from epcgroup.errors import InvalidLimitError, NoSuchGroupError, NoSuchProcessError
from epcgroup.face.epc import Epc
from epcgroup.state.layout import ROOT

_MAX_ANCESTORS: Final = 64
_MAX_DIGITS: Final = 11
_PRUNED_AT_ONCE: Final = 8
#: Fields of /proc/PID/stat after the name in parentheses. Source: proc_pid_stat(5).
_PARENT: Final = 1
_START_TIME: Final = 19


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if there is no such process."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[_START_TIME])


def ancestors(pid: int) -> Iterator[int]:
    """Yield a process and its ancestors, nearest first."""
    for _ in range(_MAX_ANCESTORS):
        if pid <= 0:
            return
        yield pid
        fields = _stat(pid)
        if fields is None:
            return
        pid = int(fields[_PARENT])


def cgroup2_path(pid: int) -> str | None:
    """Return the path of a process in the cgroup2 tree, if there is one."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("0::"):
            return line.removeprefix("0::")
    return None


class Membership:
    """Members of the groups; the engine keeps the table, so that readers of the shared state see it too."""

    def __init__(self, epc: Epc) -> None:
        self._epc = epc
        #: Start time of every member: tells it from a later process of the same number.
        self._started: dict[int, int] = {}

    def parse(self, text: str, writer: int) -> int:
        """Return the process a write to ``epc.procs`` names; ``0`` names the writer.

        Raises:
            InvalidLimitError: not a number (EINVAL).
            NoSuchProcessError: no such process (ESRCH).
        """
        word = text.strip()
        if not (word.isascii() and word.isdigit() and len(word) < _MAX_DIGITS):
            raise InvalidLimitError(f"{word!r} is not a process number")
        pid = int(word) or writer
        if start_time(pid) is None:
            raise NoSuchProcessError(f"there is no process {pid}")
        return pid

    def move(self, pid: int, group: int) -> None:
        """Put a live process into a group; children it has already stay where they are."""
        started = start_time(pid)
        if started is not None:
            self._epc.attach_process(pid, group)
            self._started[pid] = started

    def _live_group(self, pid: int) -> int:
        started = self._started.get(pid)
        if started is None:
            return 0
        if start_time(pid) != started:
            self.forget(pid)
            return 0
        return self._epc.group_of_process(pid)

    def group_of(self, pid: int) -> int:
        """Return the group of a process: written for it or an ancestor, its cgroup2 path, the root."""
        for ancestor in ancestors(pid) if self._started else ():
            group = self._live_group(ancestor)
            if group:
                return group
        path = cgroup2_path(pid)
        try:
            return self._epc.lookup(path or "/")
        except NoSuchGroupError:
            return ROOT

    def adopt(self, pid: int) -> int:
        """Return the group of a process and make it a member of its own, as a forked child would be."""
        group = self.group_of(pid)
        if group != ROOT and self._live_group(pid) != group:
            self.move(pid, group)
        return group

    def forget(self, pid: int) -> None:
        """A process has ended."""
        self._started.pop(pid, None)
        self._epc.detach_process(pid)

    def prune_some(self) -> None:
        """Look at a few members in turn."""
        for pid in list(self._started)[:_PRUNED_AT_ONCE]:
            started = self._started.pop(pid)
            self._started[pid] = started  # to the end of the row
            self._live_group(pid)

    def prune(self) -> None:
        """Forget members that have ended."""
        for pid in list(self._started):
            self._live_group(pid)
