"""Open files of the file server, and who waits for them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: A file that was never read counts as changed. Source: fs/kernfs/file.c, ``of->event`` starts below
#: ``on->event``.
NEVER_READ: Final = -2


@dataclass(slots=True, eq=False)
class Handle:
    """One open file or directory: which one, what its reader has seen, and the waiter's poll handle."""

    path: str
    file: str
    identity: int
    #: What the reader gets until it seeks back to 0; None before the first read.
    text: bytes | None = None
    #: ``event_count`` at the last read.
    seen: int = NEVER_READ
    #: libfuse's ``struct fuse_pollhandle *``; None when nobody waits.
    waiter: int | None = None
    #: ``event_count`` the waiter was told.
    told: int = NEVER_READ


class HandleTable:
    """All open files by number.

    The server's thread opens, reads and closes; the announcer's thread only takes waiters, under the lock.
    ``drop_waiter`` frees a poll handle nobody needs any more.
    """

    __slots__ = ("_drop_waiter", "_handles", "_lock", "_next")

    def __init__(self, drop_waiter: Callable[[int], None]) -> None:
        self._handles: dict[int, Handle] = {}
        self._lock = threading.Lock()
        self._next = 1
        self._drop_waiter = drop_waiter

    def __getitem__(self, number: int) -> Handle:
        return self._handles[number]

    def __len__(self) -> int:
        return len(self._handles)

    def add(self, handle: Handle) -> int:
        """Keep an open file and return its number, which is never used again."""
        number = self._next
        self._next += 1
        with self._lock:
            self._handles[number] = handle
        return number

    def remove(self, number: int) -> None:
        """Forget a file that was closed."""
        with self._lock:
            handle = self._handles.pop(number)
            waiter, handle.waiter = handle.waiter, None
        if waiter is not None:
            self._drop_waiter(waiter)

    def wait(self, handle: Handle, waiter: int, told: int) -> None:
        """Note that somebody waits until the event count of the file is no longer ``told``."""
        with self._lock:
            older, handle.waiter = handle.waiter, waiter
            handle.told = told
        if older is not None:
            self._drop_waiter(older)

    def take_waiters(self, count_of: Callable[[Handle], int]) -> list[int]:
        """Return, and forget, the poll handles of all files whose event count has moved on."""
        with self._lock:
            moved = [
                handle
                for handle in self._handles.values()
                if handle.waiter is not None and count_of(handle) != handle.told
            ]
            waiters = [handle.waiter for handle in moved if handle.waiter is not None]
            for handle in moved:
                handle.waiter = None
        return waiters
