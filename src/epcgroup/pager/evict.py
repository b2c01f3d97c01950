"""How the final bytes of pages are had while their program may be writing to them: one class a method.

Reading a page and then taking it away loses what is written in between. The ``splice`` method takes a
reference first and reads last; the ``wp`` method stops the writers first. Which one works is asked from the
running kernel (``selftest``). What must not live here: which pages, encryption, states.
"""

import errno
import fcntl
import os
from collections.abc import Sequence
from typing import Final, Protocol

from epcgroup.abi import memory
from epcgroup.abi.userfaultfd import (
    RANGE_STRUCT,
    UFFDIO_WAKE,
    UFFDIO_WRITEPROTECT,
    WRITEPROTECT_MODE_WP,
    WRITEPROTECT_STRUCT,
    Feature,
    RegisterMode,
)
from epcgroup.errors import BackingStoreError
from epcgroup.pager.enclave import Enclave
from epcgroup.units import PAGE_SHIFT, PAGE_SIZE

#: Most pages taken at once: what the pipe of the splice method holds at most, 1 MiB.
MAX_PAGES: Final = 256
_GONE: Final = frozenset({errno.ENOENT, errno.ESRCH})


#: Runs of neighbouring pages, ascending: (first page, number of pages).
Runs = Sequence[tuple[int, int]]


class PagesLostError(BackingStoreError):
    """The pages were taken out of their file but their bytes could not be had."""


class Evictor(Protocol):
    """A method; ``features`` and ``register_mode`` are what clients must ask of their userfaultfd."""

    name: str
    features: Feature
    register_mode: RegisterMode
    #: Most pages one ``take`` accepts.
    max_pages: int

    def take(self, enclave: Enclave, runs: Runs, into: memoryview) -> None:
        """Take runs of pages out of the file; ``into``, exactly as long, gets their final bytes.

        Raises:
            OSError: nothing was taken, the pages are as before.
            PagesLostError: the pages are gone.
        """

    def settle(self, enclave: Enclave, runs: Runs) -> None:
        """Called when the pager's state of the pages is right again; sleepers may be woken."""

    def close(self) -> None:
        """Release what the method holds."""


def _punch(file: int, runs: Runs) -> None:
    """Punch all runs.

    Raises:
        OSError: the first cannot be punched.
        PagesLostError: another cannot: some pages are gone, the others are of no use.
    """
    for index, (first, count) in enumerate(runs):
        try:
            memory.punch_hole(file, first << PAGE_SHIFT, count << PAGE_SHIFT)
        except OSError as error:
            if not index:
                raise
            raise PagesLostError(f"a hole could not be punched: {error.strerror}") from error


class SpliceEvictor:
    """Reference into a pipe, punch (unmaps in every process), read the pipe: no window, no frozen writer."""

    name = "splice"
    features = Feature(0)
    register_mode = RegisterMode.MISSING

    def __init__(self) -> None:
        self._open_pipe()

    def _open_pipe(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        try:
            size = fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, MAX_PAGES * PAGE_SIZE)
        except PermissionError:  # this user has many pipes already
            size = fcntl.fcntl(self._writer, fcntl.F_GETPIPE_SZ)
        # More than the pipe holds would block the only thread for ever.
        self.max_pages = min(size // PAGE_SIZE, MAX_PAGES)

    def take(self, enclave: Enclave, runs: Runs, into: memoryview) -> None:
        """Take the runs; see ``Evictor``. The order of the three steps is the method: it must not change."""
        file, writer = enclave.file, self._writer
        try:
            for first, count in runs:
                length = count << PAGE_SHIFT
                moved = os.splice(file, writer, length, offset_src=first << PAGE_SHIFT)
                if moved < length:
                    self._refer_rest(file, first << PAGE_SHIFT, length, moved)
            _punch(file, runs)
        except (OSError, PagesLostError):
            self._renew_pipe()
            raise
        try:
            got = os.readv(self._reader, (into,))
            while got < len(into):
                got += os.readv(self._reader, (into[got:],))
        except OSError as error:
            self._renew_pipe()
            raise PagesLostError(f"the pipe could not be read: {error.strerror}") from error

    def _refer_rest(self, file: int, offset: int, length: int, moved: int) -> None:
        while moved < length:
            more = os.splice(file, self._writer, length - moved, offset_src=offset + moved)
            if not more:
                raise OSError(0, "the backing file is shorter than its enclave")
            moved += more

    def _renew_pipe(self) -> None:
        self.close()
        self._open_pipe()

    def settle(self, enclave: Enclave, runs: Runs) -> None:
        """Nobody sleeps."""

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reader)
        os.close(self._writer)


class WriteProtectEvictor:
    """Protect, so that writers sleep; read; punch; wake the sleepers, who then fault anew."""

    name = "wp"
    features = Feature.PAGEFAULT_FLAG_WP | Feature.WP_HUGETLBFS_SHMEM
    register_mode = RegisterMode.MISSING | RegisterMode.WP
    max_pages = MAX_PAGES

    def __init__(self) -> None:
        self._protect = bytearray(WRITEPROTECT_STRUCT.size)
        self._range = bytearray(RANGE_STRUCT.size)

    def take(self, enclave: Enclave, runs: Runs, into: memoryview) -> None:
        """Take the runs; see ``Evictor``."""
        try:
            for run in runs:
                self._set_protection(enclave, run, WRITEPROTECT_MODE_WP)
            self._read(enclave.file, runs, into)
            _punch(enclave.file, runs)
        except OSError:
            for run in runs:
                self._set_protection(enclave, run, 0)
            raise

    def _read(self, file: int, runs: Runs, into: memoryview) -> None:
        start = 0
        for first, count in runs:
            offset, end = first << PAGE_SHIFT, start + (count << PAGE_SHIFT)
            while start < end:
                got = os.preadv(file, (into[start:end],), offset)
                if not got:
                    raise OSError(0, "the backing file is shorter than its enclave")
                start += got
                offset += got

    def _set_protection(self, enclave: Enclave, run: tuple[int, int], mode: int) -> None:
        first, count = run
        start = enclave.base + (first << PAGE_SHIFT)
        WRITEPROTECT_STRUCT.pack_into(self._protect, 0, start, count << PAGE_SHIFT, mode)
        try:
            fcntl.ioctl(enclave.uffd, UFFDIO_WRITEPROTECT, self._protect)
        except OSError as error:
            # A region that is mapped no more has no writers.
            if error.errno not in _GONE:
                raise

    def settle(self, enclave: Enclave, runs: Runs) -> None:
        """Wake the writers that slept on protected pages; without it they sleep for ever."""
        for first, count in runs:
            start = enclave.base + (first << PAGE_SHIFT)
            RANGE_STRUCT.pack_into(self._range, 0, start, count << PAGE_SHIFT)
            fcntl.ioctl(enclave.uffd, UFFDIO_WAKE, self._range)

    def close(self) -> None:
        """Nothing is held."""
