"""The file server as a child process: start it, know that it serves, end it with its mount."""

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Self

from epcgroup.cgroupfs import libfuse
from epcgroup.errors import PlatformError

_READY_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0


class Mount:
    """A pager's tree mounted at ``mountpoint``, which is made if it is not there.

    Args:
        socket: the pager's socket.
        mountpoint: where; must be an empty directory or absent.
        log: file that takes what the server has to complain about; None: our own standard error.

    Raises:
        NotSupportedError: the host has no libfuse or no /dev/fuse; the message says how to get it.
        PlatformError: the server did not begin to serve.
    """

    __slots__ = ("_process", "mountpoint")

    def __init__(
        self, socket: str | os.PathLike[str], mountpoint: str | os.PathLike[str], log: IO[bytes] | None = None
    ) -> None:
        libfuse.check()
        self.mountpoint = Path(mountpoint)
        self.mountpoint.mkdir(parents=True, exist_ok=True)
        words = [
            sys.executable,
            "-m",
            "epcgroup.cgroupfs",
            "--socket",
            os.fspath(socket),
            str(self.mountpoint),
        ]
        # Its own session: a Ctrl-C at the terminal must not end the mount under those who still write to it.
        self._process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        try:
            self._await_ready()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id of the file server."""
        return self._process.pid

    def _await_ready(self) -> None:
        output = self._process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], _READY_SECONDS)
        if ready and output.readline() == b"ready\n":
            return
        raise PlatformError(
            f"the file server did not mount {self.mountpoint}"
            + (f" within {_READY_SECONDS:.0f} s" if not ready else "; it says why on its standard error")
        )

    def close(self) -> None:
        """Unmount and end the server; closing twice is harmless."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            _detach(self.mountpoint)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _detach(mountpoint: Path) -> None:
    """Take away the mount that a killed server has left behind; nothing happens if there is none."""
    words = ["umount", "-q", "-l"] if os.geteuid() == 0 else ["fusermount3", "-u", "-q", "-z"]
    with suppress(FileNotFoundError):
        subprocess.run(
            [*words, str(mountpoint)],
            check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
