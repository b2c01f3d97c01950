"""userfaultfd: numbers and layouts of the kernel interface, and the thinnest calls to open one.

What must not live here: who serves which fault. Addresses and lengths are bytes; every ``struct`` is
little-endian as on x86-64. An ioctl argument is a ``bytearray`` that the kernel writes its answer into.

Source: include/uapi/linux/userfaultfd.h (6.12).
"""

import ctypes
import fcntl
import os
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from epcgroup.errors import NotSupportedError

DEVICE_PATH: Final = "/dev/userfaultfd"
SYS_USERFAULTFD: Final = 323
#: Only faults of user mode: needs no privilege; a system call into a missing page fails with EFAULT.
UFFD_USER_MODE_ONLY: Final = 1
#: On ``/dev/userfaultfd``: argument open flags, result a new userfaultfd of the caller's memory.
USERFAULTFD_IOC_NEW: Final = 0xAA00

UFFD_API: Final = 0xAA
UFFDIO_API: Final = 0xC018AA3F
UFFDIO_REGISTER: Final = 0xC020AA00
UFFDIO_UNREGISTER: Final = 0x8010AA01
UFFDIO_WAKE: Final = 0x8010AA02
UFFDIO_COPY: Final = 0xC028AA03
UFFDIO_ZEROPAGE: Final = 0xC020AA04
UFFDIO_WRITEPROTECT: Final = 0xC018AA06
UFFDIO_POISON: Final = 0xC020AA08

#: api, features (in: asked, out: offered), ioctls (out).
API_STRUCT: Final = struct.Struct("<QQQ")
#: start, length, mode, ioctls (out).
REGISTER_STRUCT: Final = struct.Struct("<QQQQ")
#: start, length.
RANGE_STRUCT: Final = struct.Struct("<QQ")
#: destination, source, length, mode, copied (out: bytes or -errno).
COPY_STRUCT: Final = struct.Struct("<QQQQq")
#: start, length, mode, zeroed (out: bytes or -errno).
ZEROPAGE_STRUCT: Final = struct.Struct("<QQQq")
#: start, length, mode.
WRITEPROTECT_STRUCT: Final = struct.Struct("<QQQ")
#: start, length, mode, updated (out).
POISON_STRUCT: Final = struct.Struct("<QQQq")
#: A message: event, then for a page fault: flags, address, thread id (0 unless asked).
MESSAGE_STRUCT: Final = struct.Struct("<B7xQQQ")


class Event(IntEnum):
    """What a message tells."""

    PAGEFAULT = 0x12
    FORK = 0x13
    REMAP = 0x14
    REMOVE = 0x15
    UNMAP = 0x16


class Feature(IntFlag):
    """Feature bits of ``UFFDIO_API`` that this project asks for or looks at."""

    PAGEFAULT_FLAG_WP = 1 << 0
    MISSING_SHMEM = 1 << 5
    WP_HUGETLBFS_SHMEM = 1 << 12
    POISON = 1 << 14


class RegisterMode(IntFlag):
    """What faults of a registered range are reported."""

    MISSING = 1
    WP = 2


class FaultFlag(IntFlag):
    """Flags of a page-fault message."""

    WRITE = 1
    WP = 2


#: ``UFFDIO_WRITEPROTECT`` mode: protect (without: release and wake).
WRITEPROTECT_MODE_WP: Final = 1

_OPEN_FLAGS: Final = os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Opened:
    """A new userfaultfd and how it was had; ``kernel_faults`` tells whether system calls may fault too."""

    fd: int
    kernel_faults: bool


def from_device(device_fd: int) -> int:
    """Return a new userfaultfd of the caller's memory, made by an open ``/dev/userfaultfd``.

    Raises:
        OSError: the kernel refused.
    """
    return fcntl.ioctl(device_fd, USERFAULTFD_IOC_NEW, _OPEN_FLAGS)


def from_syscall(flags: int = 0) -> int:
    """Return a new userfaultfd of the caller's memory; ``flags`` may be ``UFFD_USER_MODE_ONLY``.

    Raises:
        OSError: the kernel refused (EPERM: only user-mode faults are allowed without privilege).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.syscall(ctypes.c_long(SYS_USERFAULTFD), ctypes.c_long(_OPEN_FLAGS | flags)))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


def open_userfaultfd(device_fd: int | None = None) -> Opened:
    """Open the best userfaultfd there is: by the device, by the system call, for user mode only.

    Args:
        device_fd: an open ``/dev/userfaultfd`` (for example handed over by the pager), or None.

    Raises:
        NotSupportedError: this kernel has no userfaultfd.
    """
    if device_fd is not None:
        return Opened(from_device(device_fd), kernel_faults=True)
    try:
        return Opened(from_syscall(), kernel_faults=True)
    except OSError:
        pass
    try:
        return Opened(from_syscall(UFFD_USER_MODE_ONLY), kernel_faults=False)
    except OSError as error:
        raise NotSupportedError(
            f"no userfaultfd here ({error.strerror}): needs a kernel 5.11 or newer with CONFIG_USERFAULTFD"
        ) from error


def enable(fd: int, features: int) -> tuple[int, int]:
    """Do the one ``UFFDIO_API`` call an fd allows and return (features, ioctls) the kernel offers.

    Raises:
        OSError: EINVAL for an unknown feature or a second call.
    """
    argument = bytearray(API_STRUCT.pack(UFFD_API, features, 0))
    fcntl.ioctl(fd, UFFDIO_API, argument)
    _, offered, ioctls = API_STRUCT.unpack(argument)
    return offered, ioctls


def offered_features() -> int:
    """Return the feature bits this kernel offers, asked on a throw-away fd.

    Raises:
        NotSupportedError: this kernel has no userfaultfd.
    """
    fd = open_userfaultfd().fd
    try:
        return enable(fd, 0)[0]
    finally:
        os.close(fd)


def register(fd: int, start: int, length_bytes: int, mode: int) -> int:
    """Register a range of the caller's memory and return the ioctls that work on it.

    Raises:
        OSError: the kernel refused (EBUSY: the range belongs to another userfaultfd).
    """
    argument = bytearray(REGISTER_STRUCT.pack(start, length_bytes, mode, 0))
    fcntl.ioctl(fd, UFFDIO_REGISTER, argument)
    return int(REGISTER_STRUCT.unpack(argument)[3])
