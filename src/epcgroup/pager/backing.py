"""Files that hold the plain pages of enclaves: one file an enclave, mapped by its client, never by the pager.

The best place is a tmpfs of our own without swap and without huge pages; where mounting is not allowed, a
memfd. What must not live here: which page may be in a file. Page numbers count from the start of the file.
"""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from typing import Final, Protocol

from epcgroup.abi import memory
from epcgroup.errors import NotSupportedError
from epcgroup.units import PAGE_SHIFT, PAGE_SIZE

#: Room of the tmpfs beyond the EPC: pages being exchanged and the scratch files of the self-test.
_SLACK_BYTES: Final = 4 << 20
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
#: ``st_blocks`` counts 512 bytes.
_BLOCKS_PER_PAGE: Final = PAGE_SIZE // 512


class Backing(Protocol):
    """Maker of backing files."""

    name: str

    def create(self, nr_pages: int) -> int:
        """Return the descriptor of a new, empty file of ``nr_pages`` pages without a name."""

    def close(self) -> None:
        """Release what the maker holds; files live on."""


class TmpfsBacking:
    """Files on a private tmpfs: ``noswap`` keeps plain pages off the disk, its size bounds cheaters."""

    name = "tmpfs"

    def __init__(self, epc_bytes: int) -> None:
        path = tempfile.mkdtemp(prefix="epcgroup-")
        try:
            memory.mount_tmpfs(path, f"noswap,huge=never,mode=700,size={epc_bytes + _SLACK_BYTES}")
            try:
                self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            finally:
                # Out of everybody's sight, and nothing is left behind however this process ends.
                memory.detach_mount(path)
        finally:
            os.rmdir(path)

    def create(self, nr_pages: int) -> int:
        """Return the descriptor of a new, empty file of ``nr_pages`` pages without a name."""
        fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=self._folder)
        os.ftruncate(fd, nr_pages * PAGE_SIZE)
        return fd

    def close(self) -> None:
        """Release the tmpfs."""
        os.close(self._folder)


class MemfdBacking:
    """Memory files of fixed size; needs no privilege, but the kernel may swap their pages out in plain."""

    name = "memfd"

    def create(self, nr_pages: int) -> int:
        """Return the descriptor of a new, empty file of ``nr_pages`` pages without a name."""
        fd = os.memfd_create("epcgroup", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, nr_pages * PAGE_SIZE)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        return fd

    def close(self) -> None:
        """Nothing is held."""


def open_backing(choice: str, epc_bytes: int) -> Backing:
    """Return the maker named ``tmpfs`` or ``memfd``, or with ``auto`` the better one this process may use.

    Raises:
        NotSupportedError: ``tmpfs`` was asked for and cannot be mounted.
    """
    if choice == "memfd":
        return MemfdBacking()
    try:
        return TmpfsBacking(epc_bytes)
    except OSError as error:
        if choice == "auto":
            return MemfdBacking()
        raise NotSupportedError(
            f"cannot mount a private tmpfs (noswap, huge=never): {error.strerror};"
            " run as root on Linux 6.4 or newer, or use --backing memfd"
        ) from error


def nr_present(fd: int) -> int:
    """Return how many pages of a file exist."""
    return os.fstat(fd).st_blocks // _BLOCKS_PER_PAGE


def is_present(fd: int, page: int) -> bool:
    """Tell whether a page of a file exists."""
    offset = page << PAGE_SHIFT
    try:
        return os.lseek(fd, offset, os.SEEK_DATA) == offset
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        raise


def present_runs(fd: int) -> Iterator[tuple[int, int]]:
    """Yield (first page, page after the last) of every run of pages that exist in a file."""
    end = 0
    while True:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        yield start >> PAGE_SHIFT, end >> PAGE_SHIFT
