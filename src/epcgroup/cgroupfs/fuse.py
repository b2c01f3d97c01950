"""Serve a tree of groups as a file system; returns when it is unmounted or told to end (SIGTERM, SIGINT).

libfuse installs the signal handlers: on a signal its loop ends and it unmounts, also while files are open.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from epcgroup.cgroupfs import libfuse
from epcgroup.cgroupfs.announcer import Announcer
from epcgroup.cgroupfs.filesystem import Filesystem
from epcgroup.cgroupfs.handles import HandleTable
from epcgroup.cgroupfs.served import ServedTree
from epcgroup.errors import PlatformError, UsageError

FILESYSTEM_NAME: Final = "epcgroup"


def serve(tree: ServedTree, mountpoint: str | os.PathLike[str], on_ready: Callable[[], None]) -> None:
    """Mount ``tree`` at ``mountpoint`` and serve it until the mount ends.

    Args:
        tree: used by the calling thread and, for ``event_count`` and ``changed_files``, by one more.
        mountpoint: a directory; as root every user may look in, else only the caller's.
        on_ready: called once the mount answers.

    Raises:
        NotSupportedError: libfuse or /dev/fuse is missing.
        UsageError: the mount point is no directory.
        PlatformError: the mount was refused.
    """
    place = _checked(mountpoint)
    libfuse.check()
    binding = libfuse.load()
    waiters = libfuse.Waiters(binding)
    handles = HandleTable(waiters.drop)
    announcer = Announcer(tree, handles, str(place), waiters.wake)

    started = False

    def start() -> None:
        nonlocal started
        started = True
        announcer.start()
        on_ready()

    filesystem = Filesystem(
        tree,
        handles,
        caller=binding.fuse_get_context,
        is_announcer=announcer.is_caller,
        on_start=start,
        on_end=announcer.stop,
    )
    # Another user's mount needs a line in /etc/fuse.conf to be open to all; its owner is enough there.
    for_all = {"allow_other": True, "default_permissions": True} if os.geteuid() == 0 else {}
    try:
        binding.FUSE(
            filesystem,
            str(place),
            foreground=True,
            nothreads=True,
            raw_fi=True,
            fsname=FILESYSTEM_NAME,
            subtype=FILESYSTEM_NAME,
            **for_all,
        )
    except RuntimeError as cause:
        # A loop that a signal has ended returns like one that failed.
        if not started:
            raise PlatformError(f"{place} could not be mounted; libfuse says why above") from cause
    finally:
        announcer.stop()


def _checked(mountpoint: str | os.PathLike[str]) -> Path:
    place = Path(mountpoint).absolute()
    try:
        is_directory = stat.S_ISDIR(place.stat().st_mode)
    except OSError as cause:
        raise UsageError(f"mount point {place}: {cause.strerror}") from cause
    if not is_directory:
        raise UsageError(f"mount point {place} is no directory")
    return place
