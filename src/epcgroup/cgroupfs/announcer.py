"""Tells waiting programs that a file has changed: poll wakes up, inotify sees ``IN_MODIFY``.

The counters change in the pager, in shared memory, and nobody calls us: a thread looks every 10 ms, which is
also the pace to which the kernel holds its own notifications. inotify knows only what goes through the mount,
so the thread writes one byte to the changed file, as a program would; the server recognises the thread and
swallows the byte.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

from epcgroup.cgroupfs.handles import HandleTable
from epcgroup.cgroupfs.served import ServedTree

#: Source: kernel/cgroup/cgroup.c, ``CGROUP_FILE_NOTIFY_MIN_INTV`` (DIV_ROUND_UP(HZ, 100)).
_TICK_SECONDS: Final = 0.01
#: A round may take this share of one CPU; after a dear one (many groups at their limits) the pause is longer.
_SHARE: Final = 0.05
#: How often it is asked whether the pager still runs.
_CHECK_SECONDS: Final = 0.25
_log = logging.getLogger(__name__)


class Announcer:
    """The thread that announces changes of a served tree; ``wake`` wakes the waiter behind a poll handle."""

    def __init__(
        self, tree: ServedTree, handles: HandleTable, mountpoint: str, wake: Callable[[int], None]
    ) -> None:
        self._tree = tree
        self._handles = handles
        self._mountpoint = mountpoint
        self._wake = wake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
        self._thread_id = 0
        self._writes = True

    def start(self) -> None:
        """Begin to look; called when the mount is there."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking, without waiting: the thread may just be asking the very server that stops it."""
        self._stop.set()

    def is_caller(self, thread_id: int) -> bool:
        """Tell whether a request comes from the announcer, by the thread id FUSE gives for a caller."""
        return thread_id != 0 and thread_id == self._thread_id

    def _run(self) -> None:
        # SIGTERM must reach the server's loop, which it ends; here it would be slept through.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        self._thread_id = threading.get_native_id()
        pause = _TICK_SECONDS
        next_check = 0.0
        while not self._stop.wait(pause):
            start = time.perf_counter()
            if start >= next_check:
                next_check = start + _CHECK_SECONDS
                self._end_without_keeper()
            self._announce()
            pause = max(_TICK_SECONDS, (time.perf_counter() - start) / _SHARE)

    def _end_without_keeper(self) -> None:
        """End the mount when the pager is gone: standing figures must not pass for living ones."""
        if not self._tree.is_served():
            _log.warning("the pager is gone: unmounting %s", self._mountpoint)
            self._stop.set()
            os.kill(os.getpid(), signal.SIGTERM)

    def _announce(self) -> None:
        changed = self._tree.changed_files()
        for waiter in self._handles.take_waiters(
            lambda handle: self._tree.event_count(handle.path, handle.identity, handle.file)
        ):
            self._wake(waiter)
        for path, file in changed:
            if self._writes and not self._stop.is_set():
                self._touch(f"{self._mountpoint}{path.rstrip('/')}/{file}")

    def _touch(self, name: str) -> None:
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as cause:
            # Anything else is a group, or the mount, that is just going away.
            if isinstance(cause, PermissionError):
                self._writes = False
                _log.warning("inotify will see no changes: cannot write %s: %s", name, cause.strerror)
            return
        try:
            os.write(fd, b"\n")
        except OSError as cause:
            _log.debug("announcing %s: %s", name, cause.strerror)
        finally:
            os.close(fd)
