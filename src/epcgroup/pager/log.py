"""The pager's log: one line an event, never a wait for who reads it."""

import os
import select
import time
from typing import Final

#: Lines a second; more are counted and told of in one line, so that a broken client cannot fill a disk.
_LINES_PER_SECOND: Final = 100
#: A pipe that polls writable takes this much without blocking. Source: pipe(7), PIPE_BUF.
_MAX_LINE_BYTES: Final = 4096


class Log:
    """Appends lines to a file (or the standard error output) and drops them rather than block."""

    def __init__(self, path: str | None = None) -> None:
        self._fd = 2
        if path is not None:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._window = 0
        self._nr_lines = 0
        self.nr_dropped = 0

    def __call__(self, text: str) -> None:
        """Write one line."""
        now = time.time()
        if int(now) != self._window:
            self._window, self._nr_lines = int(now), 0
        self._nr_lines += 1
        if self._nr_lines > _LINES_PER_SECOND:
            self.nr_dropped += 1
            return
        stamp = time.strftime("%H:%M:%S", time.localtime(now))
        self._write(f"{stamp}.{int(now % 1 * 1000):03d} epcgroup.pager[{os.getpid()}]: {text}\n")

    def _write(self, line: str) -> None:
        try:
            if any(mask == select.POLLOUT for _, mask in self._poll.poll(0)):
                os.write(self._fd, line.encode(errors="replace")[:_MAX_LINE_BYTES])
                return
        except OSError:
            pass
        self.nr_dropped += 1

    def close(self) -> None:
        """Close the file."""
        if self._fd != 2:
            os.close(self._fd)
