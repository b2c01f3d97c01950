"""The C library below: loading it, and the two calls for waiters that its binding leaves out."""

import ctypes
import os
from pathlib import Path
from types import ModuleType
from typing import Final

from epcgroup.errors import NotSupportedError

DEVICE: Final = Path("/dev/fuse")
#: Source: include/uapi/linux/capability.h.
_CAP_SYS_ADMIN: Final = 21
_IN_A_CONTAINER: Final = f"; in a container: start it with --device {DEVICE} --cap-add SYS_ADMIN"
_HOW_TO_GET: Final = "Debian and Ubuntu: apt-get install fuse3 (brings libfuse3-3 and fusermount3)"


def load() -> ModuleType:
    """Return the binding, with libfuse 3 loaded.

    Raises:
        NotSupportedError: no libfuse on this host; the message names the package.
    """
    # The binding takes the old libfuse 2 first where both are installed.
    os.environ.setdefault("FUSE_LIBRARY_NAME", "fuse3")
    try:
        import mfusepy
    except (OSError, AttributeError) as cause:
        raise NotSupportedError(f"no libfuse3 on this host ({cause}). {_HOW_TO_GET}") from cause
    return _with_poll(mfusepy)


def check() -> None:
    """Do nothing where a tree could be mounted.

    Raises:
        NotSupportedError: something is missing; the message says what and how to get it.
    """
    load()
    if not DEVICE.exists():
        raise NotSupportedError(f"{DEVICE} is missing: load the module (modprobe fuse){_IN_A_CONTAINER}")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        raise NotSupportedError(f"{DEVICE} may not be opened by user {os.geteuid()}: chmod a+rw {DEVICE}")
    if os.geteuid() == 0 and not _may_mount():
        raise NotSupportedError(f"root may not mount here (no CAP_SYS_ADMIN){_IN_A_CONTAINER}")


def _may_mount() -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_SYS_ADMIN & 1)


def _with_poll(binding: ModuleType) -> ModuleType:
    # Without a prototype ctypes would pass the pointers as 32-bit integers.
    for name in ("fuse_notify_poll", "fuse_pollhandle_destroy"):
        function = getattr(binding._libfuse, name)
        function.argtypes = [ctypes.c_void_p]
    binding._libfuse.fuse_pollhandle_destroy.restype = None
    return binding


class Waiters:
    """Poll handles of libfuse: wake their waiters, free them."""

    __slots__ = ("_library",)

    def __init__(self, binding: ModuleType) -> None:
        self._library = binding._libfuse

    def drop(self, waiter: int) -> None:
        """Free a poll handle without waking anybody."""
        self._library.fuse_pollhandle_destroy(waiter)

    def wake(self, waiter: int) -> None:
        """Wake whoever sleeps on a poll handle, and free it."""
        self._library.fuse_notify_poll(waiter)
        self._library.fuse_pollhandle_destroy(waiter)
