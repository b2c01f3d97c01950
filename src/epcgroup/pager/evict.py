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
from epcgroup.pager import runs
from epcgroup.pager.buffer import Buffer
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.pages import MAX_PAGES, Pages
from epcgroup.pager.table import runs_of
from epcgroup.units import PAGE_SHIFT, PAGE_SIZE

_GONE: Final = frozenset({errno.ENOENT, errno.ESRCH})


class PagesLostError(BackingStoreError):
    """The pages were taken out of their file but their bytes could not be had."""


class Evictor(Protocol):
    """A method; ``features`` and ``register_mode`` are what clients must ask of their userfaultfd."""

    name: str
    features: Feature
    register_mode: RegisterMode
    #: Most pages one ``take`` accepts.
    max_pages: int

    def take(self, enclave: Enclave, pages: Pages, into: Buffer) -> None:
        """Take pages out of their file; the buffer gets their final bytes.

        Raises:
            OSError: nothing was taken, the pages are as before.
            PagesLostError: the pages are gone.
        """

    def settle(self, enclave: Enclave, pages: Pages) -> None:
        """Called when the pager's state of the pages is right again; sleepers may be woken."""

    def close(self) -> None:
        """Release what the method holds."""


def _punch(enclave: Enclave, pages: Pages) -> None:
    """Punch the pages out of their file.

    Raises:
        OSError: the first cannot be punched.
        PagesLostError: another cannot: some pages are gone, the others are of no use.
    """
    answer = runs.punch(enclave.file, pages.array, pages.nr)
    if not answer:
        return
    number, reason = runs.error_of(answer)
    if answer <= runs.UNTOUCHED:
        raise OSError(number, reason)
    raise PagesLostError(f"a hole could not be punched: {reason}")


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

    def take(self, enclave: Enclave, pages: Pages, into: Buffer) -> None:
        """Take the pages; see ``Evictor``. The order of the three steps is the method: it must not change."""
        array, nr = pages.array, pages.nr
        try:
            answer = runs.refer(enclave.file, self._writer, array, nr)
            if answer:
                raise OSError(*runs.error_of(answer, "the backing file is shorter than its enclave"))
            _punch(enclave, pages)
            answer = runs.drain(self._reader, into.address, nr << PAGE_SHIFT, array)
            if answer:
                _, reason = runs.error_of(answer)
                raise PagesLostError(f"the pipe could not be read: {reason}")
        except (OSError, PagesLostError):
            self._renew_pipe()
            raise

    def _renew_pipe(self) -> None:
        self.close()
        self._open_pipe()

    def settle(self, enclave: Enclave, pages: Pages) -> None:
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

    def take(self, enclave: Enclave, pages: Pages, into: Buffer) -> None:
        """Take the pages; see ``Evictor``."""
        all_runs = runs_of(pages.tolist())
        try:
            for run in all_runs:
                self._set_protection(enclave, run, WRITEPROTECT_MODE_WP)
            self._read(enclave.file, all_runs, into.view)
            _punch(enclave, pages)
        except OSError:
            for run in all_runs:
                self._set_protection(enclave, run, 0)
            raise

    def _read(self, file: int, all_runs: Sequence[tuple[int, int]], into: memoryview) -> None:
        start = 0
        for first, count in all_runs:
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

    def settle(self, enclave: Enclave, pages: Pages) -> None:
        """Wake the writers that slept on protected pages; without it they sleep for ever."""
        for first, count in runs_of(pages.tolist()):
            start = enclave.base + (first << PAGE_SHIFT)
            RANGE_STRUCT.pack_into(self._range, 0, start, count << PAGE_SHIFT)
            fcntl.ioctl(enclave.uffd, UFFDIO_WAKE, self._range)

    def close(self) -> None:
        """Nothing is held."""
