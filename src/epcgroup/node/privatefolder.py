"""The private folder of a run: gone with it; where the run was killed, gone with a later one.

The run holds a lock of its folder, which the kernel drops with the process however that ends. So a folder
that can be locked belongs to nobody any more.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

#: No other folder of ours begins like this.
_PREFIX: Final = "epcg."
#: The path of a socket has at most 107 bytes; the rest is for the names below. Source: unix(7).
_LONGEST_PLACE: Final = 50
_SHORT_PLACE: Final = "/tmp"
#: A folder that has just been made may not be locked yet; what ends with a killed run may need a moment.
_LEAST_AGE_S: Final = 60


def _place() -> Path:
    """Return where to make it: the usual place, or another where the path of that is too long for sockets."""
    usual = tempfile.gettempdir()
    return Path(usual if len(os.fsencode(usual)) <= _LONGEST_PLACE else _SHORT_PLACE)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; BlockingIOError if somebody else does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _clear_left_behind(place: Path) -> None:
    """Remove the folders of runs that were killed: our own user's only, and no link is followed."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if is_ours and time.time() - found.st_mtime > _LEAST_AGE_S:
                with _locked(folder):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_folder() -> Iterator[Path]:
    """Lend a folder that only this user may look into; it is gone afterwards."""
    place = _place()
    _clear_left_behind(place)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place) as name, _locked(Path(name)):
        yield Path(name)
