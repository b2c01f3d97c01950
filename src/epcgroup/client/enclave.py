"""``Enclave``: memory whose pages are served, charged and limited by the pager.

It lasts until it is closed or, with a warning, until nobody holds it or a buffer of it any more.
Invariant: enclave memory never reads as silent zeros: the program keeps its userfaultfd open, children of
fork cannot see the region, and when the pager dies a touch ends in an error (see ``watchdog``).
"""

import os
from typing import TYPE_CHECKING, Any, Self

from epcgroup.client.connection import connect, socket_path
from epcgroup.client.lease import Lease, PagerDeath
from epcgroup.errors import EnclaveClosedError, ForkedEnclaveError, PagerDiedError, UsageError
from epcgroup.units import PAGE_SIZE, nr_pages, parse_size

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_USER_MODE_NOTE = (
    "user-mode faults only: a system call into a page that is not there fails with EFAULT (read into ordinary"
    " memory, then copy); a pager that runs as root hands out /dev/userfaultfd, which lifts this"
)


class Enclave:
    """Enclave memory of this process; a context manager, closed at its end.

    Attributes:
        number: the pager's number of this enclave.
        kernel_faults: whether system calls may touch pages that are not there; see ``note``.
        note: what the kind of userfaultfd costs, empty if nothing.
    """

    def __init__(
        self,
        size: str | int,
        *,
        socket: str | os.PathLike[str] | None = None,
        on_pager_death: PagerDeath = "end",
    ) -> None:
        """Connect to the pager and map ``size`` bytes, rounded up to whole pages; all bytes read 0.

        Args:
            size: bytes, or text such as ``64Mi``.
            socket: path of the pager's socket; else that of ``$EPCG_SOCKET``.
            on_pager_death: ``end``: the program ends at once, by SIGIO, with a report on standard error.
                ``raise``: it lives on; ``check`` raises, and a touch of a page that is not there is SIGBUS.
                Costs a small process beside the program.

        Raises:
            InvalidSizeError, UsageError: the size is none.
            PagerUnreachableError, PeerRefusedError, PagerDiedError, ProtocolError: no pager to work with.
            EpcExhaustedError: no EPC page for the enclave's own structures.
            NotSupportedError: this kernel has no userfaultfd.
        """
        wanted_bytes = parse_size(size) if isinstance(size, str) else size
        if wanted_bytes <= 0:
            raise UsageError(f"an enclave of {size!r} bytes: expected at least 1")
        if on_pager_death not in ("end", "raise"):
            raise UsageError(f"on_pager_death is {on_pager_death!r}, expected 'end' or 'raise'")
        made = connect(socket_path(socket), nr_pages(wanted_bytes))
        self.kernel_faults = made.kernel_faults
        self.note = "" if made.kernel_faults else _USER_MODE_NOTE
        self._region = made.region
        self._lease = Lease(made, on_pager_death)
        self.number = made.enclave

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the size in bytes; whole pages."""
        return self._region.size_bytes

    def __repr__(self) -> str:
        return f"<Enclave {self.number}, {self._lease.state}>"

    @property
    def memory(self) -> memoryview:
        """The whole memory: writable, format ``B``, one dimension.

        Raises:
            EnclaveClosedError, ForkedEnclaveError: it is not to be had.
        """
        self._must_be_open()
        return self._region.view

    @property
    def pages(self) -> int:
        """The size in pages of 4096 bytes."""
        return self._region.size_bytes // PAGE_SIZE

    def array(
        self, dtype: "DTypeLike" = "u1", shape: int | tuple[int, ...] | None = None, offset: int = 0
    ) -> "NDArray[Any]":
        """Return a NumPy array over the memory, without a copy; NumPy is imported by the first call.

        Args:
            dtype: type of an element.
            shape: number of elements by axis; None: all that fit, in one axis.
            offset: first byte.

        Raises:
            UsageError: the array would not fit.
            EnclaveClosedError, ForkedEnclaveError: there is no memory.
        """
        import numpy as np

        memory = self.memory
        element = np.dtype(dtype)
        if shape is None:
            shape = max(len(memory) - offset, 0) // element.itemsize
        wanted = int(np.prod(shape, dtype=object)) * element.itemsize
        if offset < 0 or offset + wanted > len(memory):
            raise UsageError(
                f"array of {wanted} bytes at byte {offset} does not fit {len(memory)} bytes of enclave memory"
            )
        flat = np.frombuffer(memory[offset : offset + wanted], dtype=element)
        return flat.reshape(shape)

    @property
    def closed(self) -> bool:
        """Whether the memory is gone: closed, inherited by fork, or the pager has died."""
        return self._lease.state != "open" or self._lease.is_pager_gone()

    def check(self) -> None:
        """Do nothing if the enclave is served; for programs that live on after their pager.

        Raises:
            PagerDiedError: the pager is gone: pages that are not there now cannot be had.
            EnclaveClosedError, ForkedEnclaveError: there is no enclave.
        """
        self._must_be_open()
        if self._lease.is_pager_gone():
            raise PagerDiedError(
                f"the pager of enclave {self.number} is gone: what was paged out is lost; start again"
            )

    def close(self) -> None:
        """Give all memory back; again is fine. Buffers taken of it must not be used any more (SIGSEGV)."""
        self._lease.close(self._region.retire)

    def _must_be_open(self) -> None:
        if self._lease.state == "inherited":
            raise ForkedEnclaveError(
                f"enclave {self.number} belongs to the parent process; a child of fork makes its own Enclave"
            )
        if self._lease.state == "closed":
            raise EnclaveClosedError(f"enclave {self.number} is closed")
