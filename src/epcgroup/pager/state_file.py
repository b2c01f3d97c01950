"""The file that holds the engine's state, shared read-only with those who show it."""

import contextlib
import mmap
import os
from hashlib import sha256
from pathlib import Path

from epcgroup.errors import PlatformError
from epcgroup.units import format_size

#: A tmpfs on every Linux: a state file there never waits for a disk.
_FOLDER = Path("/dev/shm")


def default_path(socket_path: str) -> str:
    """Return the path for the pager at a socket: the same each time, so that a leftover is replaced."""
    name = f"epcgroup-{os.getuid()}-{sha256(os.path.abspath(socket_path).encode()).hexdigest()[:16]}.state"
    folder = _FOLDER if os.access(_FOLDER, os.W_OK) else Path(socket_path).absolute().parent
    return str(folder / name)


class StateFile:
    """A new, all-zero, sparse file of ``nbytes`` bytes, mapped; removed by ``close``."""

    def __init__(self, path: str, nbytes: int) -> None:
        self.path = path
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise PlatformError(f"cannot make the state file {path}: {error.strerror}") from error
        try:
            os.ftruncate(fd, nbytes)
            self.map = mmap.mmap(fd, nbytes)
        except OSError as error:
            self.close()
            what = f"a file of {format_size(nbytes)}: {error.strerror}"
            raise PlatformError(f"cannot make the state file {path}: {what}") from error
        finally:
            os.close(fd)

    def close(self) -> None:
        """Remove the file; who has it mapped keeps the last state."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
