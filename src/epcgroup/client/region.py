"""The range of addresses that enclave memory occupies in a program, and the buffer Python sees of it.

``mmap.mmap`` keeps a descriptor of the file it maps, and whoever has one can write past the pager; this
class keeps none. Invariant: an address once handed out never shows other memory as long as a buffer of it
exists: after :meth:`Region.retire` a touch is SIGSEGV, and the range is given back when the last buffer is
gone.
"""

import ctypes
import mmap
import os
import weakref
from collections.abc import Callable
from typing import Final

from epcgroup.abi.memory import MADV_DONTDUMP, MADV_DONTFORK, MAP_NORESERVE, advise, unmap

_MAP_FIXED: Final = 0x10
_PROT_NONE: Final = 0
_MAP_FAILED: Final = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_mmap = _libc.mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)


def _map(base: int | None, size_bytes: int, protection: int, flags: int, fd: int) -> int:
    address = _mmap(base, size_bytes, protection, flags, fd, 0)
    if address == _MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot map {size_bytes} bytes: {os.strerror(number)}")
    return int(address)


class Ending:
    """What happens when the last buffer of a range is gone: ``action``; at first to unmap the range."""

    __slots__ = ("_base", "_size_bytes", "action")

    def __init__(self, base: int, size_bytes: int) -> None:
        self._base = base
        self._size_bytes = size_bytes
        self.action: Callable[[], None] = self.unmap

    def unmap(self) -> None:
        """Give the addresses back."""
        unmap(self._base, self._size_bytes)

    def happen(self) -> None:
        """Do it."""
        self.action()


class Region:
    """A shared mapping of a file, hidden from children and core dumps, with a writable buffer over it.

    Attributes:
        base: first address; a multiple of the page size.
        size_bytes: length.
        view: memoryview of format ``B`` over the whole range.
        ending: what is done when the last buffer is gone.
    """

    __slots__ = ("base", "ending", "size_bytes", "view")

    def __init__(self, file_fd: int, size_bytes: int) -> None:
        """Map the first ``size_bytes`` bytes of a file; the caller may close it afterwards.

        Raises:
            OSError: the kernel refused the mapping.
        """
        self.size_bytes = size_bytes
        self.base = _map(None, size_bytes, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file_fd)
        # Every buffer of the memory keeps this array alive, so its end is the end of the last buffer. A class
        # of its own because plain ctypes arrays cannot be watched for their end.
        kind: type[ctypes.Array[ctypes.c_ubyte]] = type("RegionArray", (ctypes.c_ubyte * size_bytes,), {})
        array = kind.from_address(self.base)
        self.ending = Ending(self.base, size_bytes)
        weakref.finalize(array, self.ending.happen).atexit = False
        self.view = memoryview(array).cast("B")
        # A child would read zeros instead of faulting; a core dump would page everything in.
        advise(self.base, size_bytes, MADV_DONTFORK)
        advise(self.base, size_bytes, MADV_DONTDUMP)

    def retire(self) -> None:
        """Drop the memory; until all buffers are gone the addresses stay taken and a touch is SIGSEGV.

        Raises:
            OSError: the kernel refused.
        """
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE | _MAP_FIXED
        _map(self.base, self.size_bytes, _PROT_NONE, flags, -1)
        self.view = memoryview(b"")
