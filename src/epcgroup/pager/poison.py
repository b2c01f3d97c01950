"""Pages that cannot be served: a touch becomes SIGBUS, and the log says which page and why."""

import contextlib
import errno
import fcntl
import signal
from collections.abc import Callable
from enum import StrEnum

from epcgroup.abi.userfaultfd import POISON_STRUCT, UFFDIO_POISON, UFFDIO_WRITEPROTECT, WRITEPROTECT_STRUCT
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.statistics import Statistics
from epcgroup.units import PAGE_SHIFT, PAGE_SIZE


class Reason(StrEnum):
    """Why a page is poisoned; also the key of its counter."""

    SEAL = "seal"
    REFUSED = "refused"
    STORE_FULL = "store_full"
    REMOVED = "removed"
    LOST = "lost"
    NO_MEMORY = "no_memory"
    NO_PAGE = "no_page"


#: The page is there when its memory is given back or its kernel poison mark was set before.
_FINE = frozenset({errno.EEXIST, errno.ENOENT, errno.ESRCH})


class Poisoner:
    """Poisons pages in the memory of their client."""

    def __init__(self, statistics: Statistics, log: Callable[[str], None]) -> None:
        self._statistics = statistics
        self._log = log
        self._argument = bytearray(POISON_STRUCT.size)

    def poison(self, enclave: Enclave, page: int, reason: Reason, detail: str) -> None:
        """Make touches of a page SIGBUS, count and log it; the caller keeps the state of the page."""
        self._statistics.poisoned[reason] += 1
        self._log(f"{enclave} page {page} is poisoned ({reason}): {detail}")
        self.repeat(enclave, page)

    def repeat(self, enclave: Enclave, page: int) -> None:
        """Set the mark again, without a word: another thread was on its way to the page."""
        try:
            self._mark(enclave, page)
        except OSError as error:
            if error.errno not in _FINE:
                self._kill(enclave, error)

    def _mark(self, enclave: Enclave, page: int) -> None:
        start = enclave.base + (page << PAGE_SHIFT)
        POISON_STRUCT.pack_into(self._argument, 0, start, PAGE_SIZE, 0, 0)
        try:
            fcntl.ioctl(enclave.uffd, UFFDIO_POISON, self._argument)
        except FileExistsError:
            # A page that left under write protection: the kernel remembers that, where poison is due.
            unprotect = bytearray(WRITEPROTECT_STRUCT.pack(start, PAGE_SIZE, 0))
            with contextlib.suppress(OSError):  # a region without protection
                fcntl.ioctl(enclave.uffd, UFFDIO_WRITEPROTECT, unprotect)
            fcntl.ioctl(enclave.uffd, UFFDIO_POISON, self._argument)

    def _kill(self, enclave: Enclave, error: OSError) -> None:
        """Before Linux 6.6 there is no poison: the whole program gets the signal."""
        self._log(f"{enclave} gets SIGBUS as a whole: the kernel cannot poison a page ({error.strerror})")
        try:
            signal.pidfd_send_signal(enclave.pidfd, signal.SIGBUS)
        except ProcessLookupError:
            return
