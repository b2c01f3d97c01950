"""Enclaves come and go: made at a client's Hello, served from its Mapped on, released with its connection.

What the client sends is believed only where the kernel vouches for it: a descriptor must be a userfaultfd.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from typing import Final

from epcgroup.abi.peer import Peer
from epcgroup.abi.protocol import Hello, Mapped, Welcome, WelcomeFlag
from epcgroup.abi.userfaultfd import DEVICE_PATH, Feature
from epcgroup.errors import EpcExhaustedError, PlatformError, ProtocolError, UsageError
from epcgroup.face.epc import Epc
from epcgroup.pager.backing import Backing, nr_present
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.evict import Evictor
from epcgroup.pager.fault import FaultServer
from epcgroup.pager.loop import Loop
from epcgroup.pager.membership import Membership
from epcgroup.pager.oom import OomKiller
from epcgroup.pager.reclaim import Reclaimer
from epcgroup.pager.seal import Seal
from epcgroup.pager.statistics import Statistics
from epcgroup.pager.store import Budget, Slab
from epcgroup.state.outcome import Outcome
from epcgroup.units import PAGE_SIZE

#: What /proc shows for a userfaultfd. Source: fs/userfaultfd.c, anon_inode_create_getfile.
_LINK: Final = "anon_inode:[userfaultfd]"
#: Page numbers must fit the nonce of the seal and a table of the engine.
_MAX_PAGES: Final = 1 << 22
_MAX_ROUNDS: Final = 256


def open_device() -> int | None:
    """Return an open ``/dev/userfaultfd`` to hand out, None where this process may not open it."""
    try:
        return os.open(DEVICE_PATH, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None


class Admission:
    """Makes, serves and releases enclaves."""

    def __init__(
        self,
        epc: Epc,
        enclaves: dict[int, Enclave],
        backing: Backing,
        evictor: Evictor,
        budget: Budget,
        reclaimer: Reclaimer,
        oom_killer: OomKiller,
        faults: FaultServer,
        membership: Membership,
        loop: Loop,
        statistics: Statistics,
        log: Callable[[str], None],
    ) -> None:
        self._epc = epc
        self._enclaves = enclaves
        self._backing = backing
        self._evictor = evictor
        self._budget = budget
        self._reclaimer = reclaimer
        self._oom_killer = oom_killer
        self._faults = faults
        self._membership = membership
        self._loop = loop
        self._statistics = statistics
        self._log = log
        self._device = open_device()
        self._features = evictor.features

    @property
    def has_device(self) -> bool:
        """Whether clients get a userfaultfd that serves faults of system calls too."""
        return self._device is not None

    def admit(
        self, peer: Peer, hello: Hello, on_end: Callable[[str | None], None]
    ) -> tuple[Enclave, Welcome, list[int]]:
        """Make an enclave for a peer; returns it, the answer and the descriptors to send with it.

        Raises:
            EpcError: refused; nothing remains.
        """
        if hello.page_size != PAGE_SIZE:
            raise UsageError(f"pages of {hello.page_size} bytes: only {PAGE_SIZE} is possible")
        if not 0 < hello.nr_pages <= _MAX_PAGES:
            raise UsageError(f"{hello.nr_pages} pages: an enclave has 1 to {_MAX_PAGES}")
        pidfd = self._open_pidfd(peer)
        try:
            group = self._membership.adopt(peer.pid)
            number = self._create(group, hello.nr_pages)
        except Exception:
            os.close(pidfd)
            raise
        enclave = self._furnish(number, group, peer, hello.nr_pages, pidfd, on_end)
        self._enclaves[number] = enclave
        self._statistics.nr_enclaves += 1
        try:
            self._loop.add(pidfd, lambda _: self._exited(enclave))
        except OSError as error:
            self.release(enclave)
            raise PlatformError(f"no more descriptors can be watched: {error.strerror}") from error
        flags = 0 if self._device is None else WelcomeFlag.DEVICE
        welcome = Welcome(number, flags, self._evictor.register_mode, self._features, hello.nr_pages)
        files = [enclave.file] if self._device is None else [enclave.file, self._device]
        return enclave, welcome, files

    def _open_pidfd(self, peer: Peer) -> int:
        try:
            return os.pidfd_open(peer.pid)
        except OSError as error:
            raise PlatformError(f"peer {peer.pid} cannot be watched: {error.strerror}") from error

    def _create(self, group: int, nr_pages: int) -> int:
        for _ in range(_MAX_ROUNDS):
            outcome, number = self._epc.enclave_create(group, nr_pages)
            if outcome is Outcome.CREATED:
                return number
            if outcome is Outcome.EVICT:
                self._reclaimer.carry_out()
            elif outcome is Outcome.KILL:
                self._oom_killer.carry_out(f"a new enclave of {self._epc.path_of(group)}")
            elif outcome is not Outcome.BUSY or not self._reclaimer.background_pass():
                break
        else:
            if len(self._epc.batch):
                self._epc.put_back_batch()
        path = self._epc.path_of(group)
        raise EpcExhaustedError(f"no EPC page for a new enclave of group {path}: its limit is reached")

    def _furnish(
        self,
        number: int,
        group: int,
        peer: Peer,
        nr_pages: int,
        pidfd: int,
        on_end: Callable[[str | None], None],
    ) -> Enclave:
        self._epc.enclave_init(number)
        file = -1
        try:
            file = self._backing.create(nr_pages)
            slab = Slab(nr_pages)
            seal = Seal(number, nr_pages)
        except OSError as error:
            self._epc.enclave_release(number)
            os.close(pidfd)
            if file >= 0:
                os.close(file)
            raise PlatformError(f"no memory or descriptors for another enclave: {error.strerror}") from error
        state = self._faults.desk.states_of(number)
        return Enclave(number, group, peer, nr_pages, file, seal, slab, state, pidfd, on_end)

    def begin_serving(self, enclave: Enclave, mapped: Mapped, uffd: int) -> None:
        """Serve the region a client has mapped; the descriptor is the enclave's if this returns.

        Raises:
            ProtocolError: region or descriptor are not what they should be.
        """
        if mapped.length_bytes != enclave.nr_pages * PAGE_SIZE or mapped.base % PAGE_SIZE:
            raise ProtocolError(
                f"region of {mapped.length_bytes} bytes at {mapped.base:#x} is not the enclave's"
            )
        if os.readlink(f"/proc/self/fd/{uffd}") != _LINK:
            raise ProtocolError("the descriptor sent is no userfaultfd")
        if not fcntl.fcntl(uffd, fcntl.F_GETFL) & os.O_NONBLOCK:
            raise ProtocolError("the userfaultfd sent is not O_NONBLOCK")
        enclave.base = mapped.base
        enclave.uffd = uffd
        try:
            self._faults.begin(enclave)
            self._loop.add(uffd, self._faults.refusing(enclave))
        except OSError as error:
            self._faults.end(enclave)
            enclave.uffd = -1  # it stays the caller's
            raise ProtocolError(f"the userfaultfd sent is not ready: {error.strerror}") from error

    def _exited(self, enclave: Enclave) -> None:
        """The process has ended; a child it forked may still hold the socket."""
        self._membership.forget(enclave.peer.pid)
        enclave.on_end(None)

    def release(self, enclave: Enclave) -> None:
        """Give everything of an enclave back: pages, charges, sealed copies, descriptors."""
        del self._enclaves[enclave.number]
        self._faults.end(enclave)
        if enclave.uffd >= 0 and nr_present(enclave.file) != enclave.nr_mapped:
            self._statistics.nr_bypass += 1
            self._log(f"{enclave}: its file did not hold the pages it should at the end")
        self._epc.enclave_release(enclave.number)
        self._budget.nr_free += enclave.nr_sealed
        enclave.slab.close()
        for fd in (enclave.uffd, enclave.pidfd):
            if fd >= 0:
                self._loop.remove(fd)
                os.close(fd)
        os.close(enclave.file)

    def close(self) -> None:
        """Release all enclaves and what is held for new ones."""
        for enclave in list(self._enclaves.values()):
            self.release(enclave)
        if self._device is not None:
            with contextlib.suppress(OSError):
                os.close(self._device)

    def ask_for(self, feature: Feature) -> None:
        """Let clients ask for one more feature of their userfaultfd."""
        self._features |= feature
