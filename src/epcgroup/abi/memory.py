"""Memory and process calls of the kernel that the standard library does not wrap, as thin functions.

Numbers are those of x86-64 Linux. Offsets and lengths are bytes.
"""

import ctypes
import errno
import fcntl
import os
import struct
from typing import Final

FALLOC_FL_KEEP_SIZE: Final = 0x1
FALLOC_FL_PUNCH_HOLE: Final = 0x2
#: Punch a hole, for any regular file (Linux 5.6). Source: fs/ioctl.c, ioctl_preallocate.
FS_IOC_UNRESVSP: Final = 0x4030582B
#: struct space_resv: type, whence (0: from the start), start, length, and fields not looked at.
_SPACE_STRUCT: Final = struct.Struct("<hh4xqq24x")
#: Do not count this mapping against the overcommit limit. Source: include/uapi/asm-generic/mman-common.h.
MAP_NORESERVE: Final = 0x4000
MADV_DONTNEED: Final = 4
#: A child of fork does not get the range. Source: madvise(2).
MADV_DONTFORK: Final = 10
#: The range is left out of core dumps.
MADV_DONTDUMP: Final = 16
#: Take the pages away now; clean file pages are simply dropped (Linux 5.4).
MADV_PAGEOUT: Final = 21
#: As ``MADV_DONTNEED``, also for locked memory (Linux 5.18).
MADV_DONTNEED_LOCKED: Final = 24
MLOCK_ONFAULT: Final = 1
PR_SET_DUMPABLE: Final = 4

_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = _libc.fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
_madvise = _libc.madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_munmap = _libc.munmap
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_mlock = _libc.mlock
_mlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_mlock2 = _libc.mlock2
_mlock2.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
_mount = _libc.mount
_mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_umount2 = _libc.umount2
_umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_prctl = _libc.prctl
_timerfd_create = _libc.timerfd_create
_timerfd_settime = _libc.timerfd_settime
_timerfd_settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
#: Interval and first expiry, each seconds and nanoseconds. Source: timerfd_create(2), struct itimerspec.
_ITIMERSPEC: Final = struct.Struct("<qqqq")
_CLOCK_MONOTONIC: Final = 1
_PUNCH: Final = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
#: umount2 flag: detach now, release when the last user is gone.
MNT_DETACH: Final = 2
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8


def _raise() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))


def punch_hole(fd: int, offset_bytes: int, length_bytes: int) -> None:
    """Remove pages of a file; afterwards no mapping of any process shows them any more.

    Goes by ``ioctl``, which is the same to the kernel and half the cost of a call by ctypes.

    Raises:
        OSError: the kernel refused.
    """
    try:
        fcntl.ioctl(fd, FS_IOC_UNRESVSP, _SPACE_STRUCT.pack(0, 0, offset_bytes, length_bytes))
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EINTR):
            raise
        _punch_hole_slowly(fd, offset_bytes, length_bytes)


def _punch_hole_slowly(fd: int, offset_bytes: int, length_bytes: int) -> None:
    """The same by ``fallocate``: kernels before 5.6."""
    while _fallocate(fd, _PUNCH, offset_bytes, length_bytes):
        # A call by ctypes is not repeated by the interpreter when a signal interrupts it.
        if ctypes.get_errno() != errno.EINTR:
            _raise()


def advise(address: int, length_bytes: int, advice: int) -> None:
    """Give the kernel advice about a range of the caller's memory (``madvise``).

    Raises:
        OSError: the kernel refused.
    """
    if _madvise(address, length_bytes, advice):
        _raise()


def unmap(address: int, length_bytes: int) -> None:
    """Unmap a range of the caller's memory (``munmap``).

    Raises:
        OSError: the kernel refused.
    """
    if _munmap(address, length_bytes):
        _raise()


def lock(address: int, length_bytes: int) -> bool:
    """Keep a range in memory (``mlock``); False where the limit for locked memory forbids it."""
    return int(_mlock(address, length_bytes)) == 0


def lock_on_fault(address: int, length_bytes: int) -> bool:
    """Keep pages of a range in memory from their first touch on; False where that is forbidden."""
    return int(_mlock2(address, length_bytes, MLOCK_ONFAULT)) == 0


def open_timer(seconds: float) -> int:
    """Return a descriptor that becomes readable (8 bytes, non-blocking) every so many seconds.

    Raises:
        OSError: no descriptor left.
    """
    fd = int(_timerfd_create(_CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK))
    if fd < 0:
        _raise()
    whole, part = divmod(max(1, round(seconds * 1e9)), 10**9)
    if _timerfd_settime(fd, 0, _ITIMERSPEC.pack(whole, part, whole, part), None):
        _raise()
    return fd


def set_dumpable(dumpable: bool) -> None:
    """Allow or forbid core dumps and ``/proc/PID/mem`` of this process to its own user."""
    _prctl(PR_SET_DUMPABLE, ctypes.c_ulong(dumpable), 0, 0, 0)


def mount_tmpfs(path: str, options: str) -> None:
    """Mount a new tmpfs, nosuid, nodev and noexec.

    Raises:
        OSError: no privilege, or an option this kernel does not know.
    """
    if _mount(b"epcgroup", os.fsencode(path), b"tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.encode()):
        _raise()


def detach_mount(path: str) -> None:
    """Take a mount out of the tree; it lives on for those who hold files of it.

    Raises:
        OSError: the kernel refused.
    """
    if _umount2(os.fsencode(path), MNT_DETACH):
        _raise()
