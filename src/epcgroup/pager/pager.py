"""The pager: puts the parts together and answers for them. One process, one thread, one loop."""

import os
import signal
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from epcgroup.abi import protocol
from epcgroup.abi.peer import Peer
from epcgroup.abi.userfaultfd import Feature, offered_features
from epcgroup.errors import ProtocolError
from epcgroup.face.epc import Epc
from epcgroup.pager import footprint
from epcgroup.pager.admission import Admission
from epcgroup.pager.ager import Ager, Fifo, Refault, choose
from epcgroup.pager.attribution import Attribution
from epcgroup.pager.audit import Auditor
from epcgroup.pager.backing import open_backing
from epcgroup.pager.connection import Connection
from epcgroup.pager.controller import Controller
from epcgroup.pager.desk import Desk
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.evict import Evictor
from epcgroup.pager.fault import FaultServer
from epcgroup.pager.listener import Listener, remove_stale
from epcgroup.pager.log import Log
from epcgroup.pager.loop import Loop, Urgency, cpu_count, spin_ns_for
from epcgroup.pager.membership import Membership
from epcgroup.pager.oom import OomKiller
from epcgroup.pager.options import Options
from epcgroup.pager.poison import Poisoner
from epcgroup.pager.reclaim import Reclaimer
from epcgroup.pager.recorder import Recorder
from epcgroup.pager.report import report
from epcgroup.pager.selftest import choose_evictor
from epcgroup.pager.state_file import StateFile, default_path
from epcgroup.pager.statistics import Histogram, Statistics
from epcgroup.pager.store import Budget
from epcgroup.pager.take import Taker
from epcgroup.pager.warmup import Compilations
from epcgroup.state import layout as at

#: Seconds between two rounds of housekeeping (audit, trimming, members that have ended).
_TICK_SECONDS: Final = 1.0
#: Seconds between two updates of the averages. Source: kernel/sched/psi.c, PSI_FREQ.
_PRESSURE_SECONDS: Final = 2.0
#: The store holds so many EPCs unless told otherwise.
_STORE_EPCS: Final = 4
#: Connections beside those of enclaves: control, and those that are shaking hands.
_OTHER_CONNECTIONS: Final = 256
#: Descriptors of an enclave: connection, process, file, userfaultfd. The lowest free number is always given.
_ENCLAVE_DESCRIPTORS: Final = 4
_OTHER_DESCRIPTORS: Final = 1024


class Pager:
    """A software EPC; ``run`` serves until a signal or a control request ends it.

    Raises:
        EpcError: this host lacks something; the text says what and what to do.
    """

    def __init__(self, options: Options, make_evictor: Callable[[], Evictor] | None = None) -> None:
        """``make_evictor`` is for tests and benchmarks only: a method that the self-test did not choose."""
        self.options = options
        # First of all: the state file of the pager that serves there would be replaced by ours.
        remove_stale(options.socket)
        #: Set by the program: counts what is compiled while serving (must stay 0).
        self.compilations: Compilations | None = None
        self.log = Log(options.log)
        self.enclaves: dict[int, Enclave] = {}
        self.backing = open_backing(options.backing, options.epc_bytes)
        self.evictor = make_evictor() if make_evictor else choose_evictor(options.evict, self.backing)
        self._open_engine()
        try:
            self._build()
            self._listen()
        except BaseException:
            self.state.close()
            raise

    def _open_engine(self) -> None:
        options = self.options
        nr_groups, nr_enclaves = options.nr_groups, options.nr_enclaves
        nbytes = Epc.state_nbytes(options.nr_epc_pages, nr_groups=nr_groups, nr_enclaves=nr_enclaves)
        self.state = StateFile(options.state or default_path(options.socket), nbytes)
        self.epc = Epc.create(
            options.nr_epc_pages,
            series=options.series,
            nr_groups=nr_groups,
            nr_enclaves=nr_enclaves,
            buffer=self.state.map,
        )
        self.desk = Desk(self.epc, _ENCLAVE_DESCRIPTORS * nr_enclaves + _OTHER_DESCRIPTORS)
        self.statistics = Statistics(zero=Histogram(self.desk.fine_zero), load=Histogram(self.desk.fine_load))
        self.attribution = Attribution(nr_groups, self.desk.charges)

    def _build(self) -> None:
        options = self.options
        self.budget = Budget(options.store_bytes or _STORE_EPCS * options.epc_bytes, self.desk.budget)
        self.poisoner = Poisoner(self.statistics, self.log)
        taker = Taker(self.evictor)
        makers: dict[str, Callable[[], Ager]] = {
            "fifo": Fifo,
            "refault": lambda: Refault(self.epc, self.enclaves, taker, self.poisoner, self.statistics),
        }
        self.ager = choose(options.ager, makers)
        self.reclaimer = Reclaimer(
            self.epc,
            self.enclaves,
            taker,
            self.budget,
            self.ager,
            self.poisoner,
            self.statistics,
            self.attribution,
            self.desk,
            self.log,
        )
        self.oom_killer = OomKiller(self.epc, self.enclaves, self.budget, self.statistics, self.log)
        self.faults = FaultServer(
            self.epc,
            self.desk,
            self.reclaimer,
            self.oom_killer,
            self.budget,
            self.poisoner,
            self.statistics,
            self.attribution,
        )
        self.auditor = Auditor(self.enclaves, self.faults, self.statistics, self.log)
        self.membership = Membership(self.epc)

    def _listen(self) -> None:
        options = self.options
        spin_ns = spin_ns_for(cpu_count()) if options.spin_us is None else options.spin_us * 1000
        self.loop = Loop(spin_ns)
        self.admission = Admission(
            self.epc,
            self.enclaves,
            self.backing,
            self.evictor,
            self.budget,
            self.reclaimer,
            self.oom_killer,
            self.faults,
            self.membership,
            self.loop,
            self.statistics,
            self.log,
        )
        if offered_features() & Feature.POISON:
            self.admission.ask_for(Feature.POISON)
        self.controller = Controller(
            self.epc,
            self.enclaves,
            self.membership,
            self.attribution,
            self.ager,
            self.describe,
            lambda: report(self),
            self.loop.stop,
            Recorder(self.epc, self.enclaves, self.faults).carry_out,
        )
        self._users = {0, os.getuid()}
        self._clients = self._users | set(options.allow_uid)
        self.listener = Listener(
            options.socket,
            0o666 if options.allow_uid else 0o600,
            options.handshake_seconds,
            options.nr_enclaves + _OTHER_CONNECTIONS,
            self.loop,
            self,
            self.log,
        )
        self._next_tick = 0.0
        self._last_pressure = monotonic()
        self._trim_turn = 0
        self.loop.every(min(_TICK_SECONDS, options.handshake_seconds), self._tick)
        # From here on a signal ends the pager cleanly, also before ``run``.
        self.loop.watch_signals(signal.SIGTERM, signal.SIGINT)
        self.log(f"serving {self.describe()}")
        footprint.shrink()

    def describe(self) -> dict[str, Any]:
        """Return what the ready line and the control reply ``hello`` say of this pager."""
        return {
            "socket": os.path.abspath(self.options.socket),
            "state": os.path.abspath(self.state.path),
            "series": self.options.series,
            "epc_bytes": self.options.epc_bytes,
            "evict": self.evictor.name,
            "ager": self.ager.name,
            "backing": self.backing.name,
            "kernel_faults": self.admission.has_device,
        }

    # What connections ask for (see connection.Host).

    def admit(
        self, connection: Connection, hello: protocol.Hello
    ) -> tuple[Enclave, protocol.Welcome, list[int]]:
        """Make an enclave for the peer of a connection; raises EpcError."""

        def on_end(why: str | None) -> None:
            if why is None:
                connection.close()
            else:
                connection.refuse(ProtocolError(why))

        return self.admission.admit(connection.peer, hello, on_end)

    def begin_serving(self, enclave: Enclave, mapped: protocol.Mapped, uffd: int) -> None:
        """Serve a mapped region; raises EpcError."""
        self.admission.begin_serving(enclave, mapped, uffd)

    def control(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a control request; raises EpcError."""
        return self.controller.carry_out(peer, request)

    def allows_client(self, peer: Peer) -> bool:
        """Tell whether a peer may have enclaves: root, the pager's user, those named at start."""
        return peer.uid in self._clients

    def allows_control(self, peer: Peer) -> bool:
        """Tell whether a peer may control: root and the pager's user."""
        return peer.uid in self._users

    def closed(self, connection: Connection) -> None:
        """Release what hangs on a connection."""
        self.statistics.nr_protocol_errors += connection.nr_errors
        self.listener.forget(connection)
        if connection.enclave is not None:
            self.admission.release(connection.enclave)

    # The loop.

    def run(self) -> None:
        """Serve until told to end."""
        try:
            self.loop.run(self._urgency_of(), self._work, self.faults.polling(self.loop))
        finally:
            self.close()

    def _urgency_of(self) -> Callable[[], int]:
        """Return the look the loop takes at every round: plain integers, for a NumPy array costs too much."""
        words = memoryview(self.epc.state.machine)  # type: ignore[arg-type]
        ager = self.ager
        queued, running, ksgxd = at.WORK_HEAD, at.WORK_CURRENT, at.KSGXD_AWAKE
        when_idle = int(Urgency.WHEN_IDLE)

        def urgency() -> int:
            if words[queued] or words[ksgxd] or words[running]:
                return ager.urgency or when_idle
            return ager.urgency

        return urgency

    def _work(self, is_busy: bool) -> None:
        """One batch at most: a fault that comes now waits no longer."""
        parks_first = is_busy and self.ager.urgency is Urgency.NOW
        if parks_first or not self.reclaimer.background_pass():
            self.ager.step()

    def _tick(self) -> None:
        """Housekeeping, a little at a time."""
        self.listener.expire()
        if monotonic() < self._next_tick:
            return
        self._next_tick = monotonic() + _TICK_SECONDS
        self._tick_pressure()
        self.auditor.audit_next()
        self.membership.prune_some()
        if self.enclaves:
            self._trim_turn += 1
            numbers = list(self.enclaves)
            self.enclaves[numbers[self._trim_turn % len(numbers)]].slab.trim()

    def _tick_pressure(self) -> None:
        """Move the averages of ``epc.pressure`` on, in the rhythm of the kernel's PSI."""
        elapsed = monotonic() - self._last_pressure
        if elapsed >= _PRESSURE_SECONDS:
            self.epc.tick(int(elapsed * 1_000_000))
            self._last_pressure += elapsed

    def close(self) -> None:
        """End: every client sees the end of file, nothing is left behind."""
        self.log("ends")
        self.listener.close()
        self.admission.close()
        self.backing.close()
        self.loop.close()
        self.state.close()
        self.log.close()
