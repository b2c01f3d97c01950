"""The tree of a running pager: changes go through its control socket, reads come from its shared state."""

import os
import select
import threading
from collections.abc import Mapping
from typing import Final, Self

from epcgroup.abi.control import ControlClient
from epcgroup.cgroupfs.shared import SharedState
from epcgroup.cgroupfs.tree import check_name, split_path
from epcgroup.errors import GroupBusyError

#: Files the engine does not know or does not decide: the pager answers them itself.
_PAGER_FILES: Final[Mapping[str, int]] = {"epc.procs": 0o644, "epc.reclaimed_by": 0o444}


class PagerTree:
    """The tree of the pager that serves ``socket``; also what the file server serves.

    May be used by several threads.

    Raises:
        PagerDiedError: no pager answers there.
        PeerRefusedError: only root and the pager's own user may.
        UsageError: its shared state cannot be read from here.
    """

    __slots__ = ("_control", "_lock", "_process", "_state", "hello")

    def __init__(self, socket: str | os.PathLike[str]) -> None:
        self._lock = threading.Lock()
        self._control = ControlClient(socket)
        self._process = -1
        try:
            #: What the pager said of itself (version, pid, series, epc_bytes, state).
            self.hello = self._control.hello()
            self._state = SharedState(str(self.hello["state"]))
            self._process = os.pidfd_open(int(self.hello["pid"]))
        except BaseException:
            self._control.close()
            raise

    def close(self) -> None:
        """Let go of the pager; closing twice is harmless."""
        self._control.close()
        if self._process >= 0:
            os.close(self._process)
            self._process = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_served(self) -> bool:
        """Tell whether the pager still runs; without it the counters stand still and writes fail."""
        if self._process < 0:
            return False
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return not poll.poll(0)

    def mkdir(self, path: str) -> None:
        """Make a group; see :meth:`epcgroup.cgroupfs.tree.Tree.mkdir`."""
        split_path(path)
        with self._lock:
            self._control.mkdir(path)

    def rmdir(self, path: str) -> None:
        """Remove a group; see :meth:`epcgroup.cgroupfs.tree.Tree.rmdir`."""
        if not split_path(path):
            raise GroupBusyError("/: the root group is always there")
        with self._lock:
            self._control.rmdir(path)

    def paths(self) -> list[str]:
        """Return the paths of all groups, parents before their children, the root first."""
        return self._state.paths()

    def read(self, path: str, file: str) -> str:
        """Return the text of a file; see :meth:`epcgroup.cgroupfs.tree.Tree.read`."""
        if file not in _PAGER_FILES:
            return self._state.read(path, file)
        self._state.identity(path)
        with self._lock:
            return self._control.read(path, file)

    def write(self, path: str, file: str, text: str) -> int:
        """Write a file as one command; see :meth:`epcgroup.cgroupfs.tree.Tree.write`."""
        split_path(path)
        with self._lock:
            return self._control.write(path, check_name(file), text)

    def children(self, path: str) -> list[str]:
        """Return the sorted names of the groups directly below a group."""
        return self._state.children(path)

    def identity(self, path: str) -> int:
        """Return the number of a group's creation."""
        return self._state.identity(path)

    def files(self, path: str) -> dict[str, int]:
        """Return name → permission bits of a group's files."""
        return {**self._state.files(path), **_PAGER_FILES}

    def event_count(self, path: str, identity: int, file: str) -> int:
        """Return a number that differs whenever the file has announced a change."""
        return self._state.event_count(path, identity, file)

    def changed_files(self) -> list[tuple[str, str]]:
        """Return (path, file) of every file that announced a change since the last call."""
        return self._state.changed_files()
