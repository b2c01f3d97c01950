"""Puts pages in place from Python: parked ones, and where compiled code could not; mends what can be mended.

A page that cannot be put in place is undone: the engine has it no more, nothing was dropped.
"""

import errno
import fcntl
from typing import Final

from epcgroup.abi import memory
from epcgroup.abi.userfaultfd import (
    COPY_STRUCT,
    RANGE_STRUCT,
    UFFDIO_COPY,
    UFFDIO_WAKE,
    UFFDIO_ZEROPAGE,
    ZEROPAGE_STRUCT,
)
from epcgroup.face.epc import Epc
from epcgroup.pager.attribution import Attribution
from epcgroup.pager.enclave import Enclave, State
from epcgroup.pager.poison import Poisoner, Reason
from epcgroup.pager.statistics import Statistics
from epcgroup.units import PAGE_SHIFT, PAGE_SIZE

_MAX_RETRIES: Final = 8
_PARKED: Final = int(State.PARKED)


class Placer:
    """Places and wakes; methods that place answer whether the page is in its file now."""

    def __init__(
        self, epc: Epc, poisoner: Poisoner, statistics: Statistics, attribution: Attribution
    ) -> None:
        self._epc = epc
        self._poisoner = poisoner
        self._statistics = statistics
        self._attribution = attribution

    def zeros(self, enclave: Enclave, page: int) -> bool:
        """Place a page of zeros."""
        address = enclave.base + (page << PAGE_SHIFT)
        argument = bytearray(ZEROPAGE_STRUCT.pack(address, PAGE_SIZE, 0, 0))
        return self._place(enclave, page, UFFDIO_ZEROPAGE, argument)

    def copy(self, enclave: Enclave, page: int, source: int) -> bool:
        """Place the bytes at an address of the pager."""
        address = enclave.base + (page << PAGE_SHIFT)
        argument = bytearray(COPY_STRUCT.pack(address, source, PAGE_SIZE, 0, 0))
        return self._place(enclave, page, UFFDIO_COPY, argument)

    def _place(self, enclave: Enclave, page: int, request: int, argument: bytearray) -> bool:
        number: int | None = None
        for _ in range(_MAX_RETRIES):
            try:
                fcntl.ioctl(enclave.uffd, request, argument)
            except OSError as error:
                number = error.errno
            else:
                return True
            if number == errno.EEXIST:
                # Somebody filled the file behind our back: what the engine knows is the truth.
                self._statistics.nr_bypass += 1
                memory.punch_hole(enclave.file, page << PAGE_SHIFT, PAGE_SIZE)
            elif number != errno.EAGAIN:
                break
        self._give_up(enclave, page, number)
        return False

    def _give_up(self, enclave: Enclave, page: int, number: int | None) -> None:
        if enclave.state[page] != _PARKED:
            self.undo(enclave, page)
        if number in (errno.ENOMEM, errno.ENOSPC):
            self._poisoner.poison(enclave, page, Reason.NO_MEMORY, "the machine has no memory for the page")
        elif number not in (errno.ENOENT, errno.ESRCH):
            self.wake(enclave, page)  # its thread asks again

    def undo(self, enclave: Enclave, page: int) -> None:
        """The engine granted a page that is not there."""
        self._epc.undo_fault(enclave.number, page)
        self._attribution.take_back_charge()

    def wake(self, enclave: Enclave, page: int) -> None:
        """Send the threads that sleep on a page to ask again."""
        start = enclave.base + (page << PAGE_SHIFT)
        fcntl.ioctl(enclave.uffd, UFFDIO_WAKE, bytearray(RANGE_STRUCT.pack(start, PAGE_SIZE)))

    def wake_all(self, enclave: Enclave) -> None:
        """Send every sleeping thread of an enclave to ask again.

        Raises:
            OSError: the descriptor is no userfaultfd that is ready.
        """
        argument = RANGE_STRUCT.pack(enclave.base, enclave.nr_pages << PAGE_SHIFT)
        fcntl.ioctl(enclave.uffd, UFFDIO_WAKE, bytearray(argument))
