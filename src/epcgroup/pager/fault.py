"""Page faults: the hot path of the pager, and all that happens when it is left.

A message names an address; the engine says whether the page may be had; the page is put in place by one
ioctl: ``UFFDIO_COPY`` of what was opened, ``UFFDIO_ZEROPAGE`` for a page that is new. A sealed copy is
dropped only after that succeeded. Compiled code (``fastpath``) does it all but for opening seals; what it
leaves to Python is here. Nothing here waits for a client.
"""

import os
from collections.abc import Callable
from functools import partial
from time import perf_counter_ns
from typing import Final

from cryptography.exceptions import InvalidTag

from epcgroup.abi.recording import Kind
from epcgroup.abi.userfaultfd import MESSAGE_STRUCT
from epcgroup.errors import InvariantError, SealError
from epcgroup.face.epc import Epc
from epcgroup.pager import backing, fastpath
from epcgroup.pager.attribution import Attribution
from epcgroup.pager.desk import Desk
from epcgroup.pager.enclave import ROW_IS_WATCHED, Enclave, State
from epcgroup.pager.fastpath import Answer
from epcgroup.pager.loop import Events, Loop, Poll
from epcgroup.pager.oom import OomKiller
from epcgroup.pager.placing import Placer
from epcgroup.pager.poison import Poisoner, Reason
from epcgroup.pager.reclaim import Reclaimer
from epcgroup.pager.room import Room
from epcgroup.pager.statistics import Statistics
from epcgroup.pager.store import SLOT_BYTES, Budget
from epcgroup.state.outcome import Outcome

_MAPPED: Final = int(State.MAPPED)
_YOUNG: Final = int(State.YOUNG)
_PARKED: Final = int(State.PARKED)
_EVICTED: Final = int(State.EVICTED)
_POISONED: Final = int(State.POISONED)
_IDLE: Final = int(Answer.IDLE)
_OPEN: Final = int(Answer.OPEN)
_EVENT: Final = int(Answer.EVENT)
# Names of this file are found faster than those of another.
_FD: Final = fastpath.FD
_PAGE: Final = fastpath.PAGE
_RECORD: Final = fastpath.RECORD

#: Told the kind of an event (``abi.recording.Kind``) and its page.
Note = Callable[[int, int], None]


class FaultServer:
    """Serves the messages of userfaultfds."""

    def __init__(
        self,
        epc: Epc,
        desk: Desk,
        reclaimer: Reclaimer,
        oom_killer: OomKiller,
        budget: Budget,
        poisoner: Poisoner,
        statistics: Statistics,
        attribution: Attribution,
    ) -> None:
        self.desk = desk
        self._epc = epc
        self._budget = budget
        self._poisoner = poisoner
        self._statistics = statistics
        self._attribution = attribution
        self._placer = Placer(epc, poisoner, statistics, attribution)
        self._room = Room(epc, desk, reclaimer, oom_killer, self._placer, poisoner, statistics)
        # By userfaultfd: enclaves, what opens their seals and where their sealed pages are, who is told.
        self._enclaves: dict[int, Enclave] = {}
        self._openers: dict[int, tuple[Callable[..., int], memoryview]] = {}
        self._notes: dict[int, Note] = {}
        #: Returns what wants to know of an enclave's events; see ``rewatch``.
        self.watcher: Callable[[Enclave], Note | None] = lambda enclave: None

    def begin(self, enclave: Enclave) -> None:
        """Serve the faults of an enclave.

        Raises:
            OSError: the descriptor is no userfaultfd that is ready, or its number is too high.
        """
        self._placer.wake_all(enclave)
        self.desk.begin(enclave)
        self._enclaves[enclave.uffd] = enclave
        self._openers[enclave.uffd] = enclave.seal.decrypt_into, enclave.slab.view
        self.rewatch(enclave)

    def rewatch(self, enclave: Enclave) -> None:
        """Ask the watcher about an enclave that is served."""
        note = self.watcher(enclave)
        enclave.row[ROW_IS_WATCHED] = note is not None
        if note is not None:
            self._notes[enclave.uffd] = note
        else:
            self._notes.pop(enclave.uffd, None)

    def end(self, enclave: Enclave) -> None:
        """Serve an enclave no more."""
        self.desk.end(enclave)
        for table in (self._enclaves, self._openers, self._notes):
            table.pop(enclave.uffd, None)

    def polling(self, loop: Loop) -> Poll:
        """Return what waits for the events of a loop and serves page faults itself.

        A closure: what is looked up once need not be looked up again for every fault.
        """
        desk, words, openers = self.desk, self.desk.words, self._openers
        serve = partial(fastpath.serve, *desk.arguments)
        nonce, binding, opened = desk.nonce, desk.binding, desk.opened.view
        words[fastpath.EPOLL] = loop.fileno()
        words[fastpath.SPINS] = loop.spin_ns > 0

        def poll(timeout_ms: int, most: int) -> tuple[int, Events]:
            words[fastpath.TIMEOUT_MS] = timeout_ms
            words[fastpath.MAX_ROUNDS] = most
            words[fastpath.NR_ROUNDS] = 0
            while (answer := serve()) != _IDLE:
                if answer == _OPEN:
                    decrypt_into, sealed = openers[words[_FD]]
                    start = words[_RECORD]
                    try:
                        decrypt_into(nonce, sealed[start : start + SLOT_BYTES], binding, opened)
                    except (InvalidTag, ValueError):
                        self._open_again(self._enclaves[words[_FD]], words[_PAGE])
                    continue
                words[fastpath.MAX_ROUNDS] = 0  # what is done now may make work: the loop is to look
                if answer == _EVENT:
                    return 1, ((words[_FD], words[fastpath.MASK]),)
                self._act(Answer(answer), words[_FD], words[_PAGE])
            return words[fastpath.NR_ROUNDS], ()

        return poll

    def _act(self, answer: Answer, fd: int, page: int) -> None:
        """Do what compiled code leaves to us."""
        words = self.desk.words
        match answer:
            case Answer.NO_ROOM:
                self._serve_slowly(self._enclaves[fd], page, Outcome(words[fastpath.OUTCOME]))
            case Answer.NOT_PLACED:
                self._place(self._enclaves[fd], page)
            case Answer.AGAIN:
                self._fault_again(self._enclaves[fd], page)
            case Answer.SERVED:
                self._note(fd, Kind(words[fastpath.OUTCOME]), page)
            case Answer.LONG:
                self._served(fd, Outcome(words[fastpath.OUTCOME]), page, words[fastpath.DURATION_NS])
            case Answer.UNREADABLE:
                self._read_again(self._enclaves[fd])
            case Answer.BROKEN:
                kind, address = words[fastpath.KIND], words[fastpath.ADDRESS]
                self._enclaves[fd].on_end(f"its userfaultfd reports event {kind:#x} at {address:#x}")

    def _served(self, fd: int, outcome: Outcome, page: int, duration_ns: int) -> None:
        histogram = self._statistics.load if outcome is Outcome.LOADED else self._statistics.zero
        histogram.add(duration_ns)
        self._note(fd, Kind(outcome), page)

    def _note(self, fd: int, kind: Kind, page: int) -> None:
        note = self._notes.get(fd)
        if note is not None:
            note(kind, page)

    def _read_again(self, enclave: Enclave) -> None:
        """Have the error, if there still is one."""
        try:
            nr_bytes = os.readv(enclave.uffd, (self.desk.messages,))
        except BlockingIOError:
            return  # resolved meanwhile
        except OSError as error:
            enclave.on_end(f"its userfaultfd cannot be read: {error.strerror}")
            return
        self.desk.words[fastpath.MESSAGE] = 0
        self.desk.words[fastpath.NR_MESSAGES] = nr_bytes // MESSAGE_STRUCT.size

    def refusing(self, enclave: Enclave) -> Callable[[int], None]:
        """Return what handles an event of a userfaultfd that is not a message to be read.

        The client has made the descriptor blocking: a read could stop the pager.
        """
        return lambda mask: enclave.on_end(f"its userfaultfd polls {mask:#x}")

    def _open_again(self, enclave: Enclave, page: int) -> None:
        """Say what is wrong with a seal."""
        self.desk.words[fastpath.IS_OPENED] = 0
        if self._open(enclave, page):
            self._place(enclave, page)

    def _open(self, enclave: Enclave, page: int) -> bool:
        try:
            enclave.seal.open_into(page, enclave.slab.record(page), self.desk.opened.view)
        except SealError as error:
            self._lose_sealed(enclave, page, str(error))
            return False
        return True

    def _serve_slowly(self, enclave: Enclave, page: int, outcome: Outcome) -> None:
        if self._room.make(enclave, page, outcome):
            self._attribution.note_charge(enclave.group)
            if enclave.state[page] != _EVICTED or self._open(enclave, page):
                self._place(enclave, page)

    def _place(self, enclave: Enclave, page: int) -> None:
        """Place a page that was granted; an evicted one was opened. Only then its sealed copy is dropped."""
        outcome = Outcome.LOADED if enclave.state[page] == _EVICTED else Outcome.CREATED
        if outcome is Outcome.CREATED:
            is_placed = self._placer.zeros(enclave, page)
        else:
            is_placed = self._placer.copy(enclave, page, self.desk.opened.address)
        if not is_placed:
            return
        enclave.state[page] = _MAPPED
        if outcome is Outcome.LOADED:
            self._drop_sealed(enclave, page)
        start_ns = self.desk.words[fastpath.START_NS]
        self._served(enclave.uffd, outcome, page, perf_counter_ns() - start_ns)

    def _drop_sealed(self, enclave: Enclave, page: int) -> None:
        enclave.slab.drop(page)
        self._budget.nr_free += 1

    def _lose_sealed(self, enclave: Enclave, page: int, detail: str) -> None:
        self._placer.undo(enclave, page)
        self._epc.drop_evicted(enclave.number, page)
        self._drop_sealed(enclave, page)
        enclave.state[page] = _POISONED
        self._poisoner.poison(enclave, page, Reason.SEAL, detail)

    def _fault_again(self, enclave: Enclave, page: int) -> None:
        state = enclave.state[page]
        if state == _PARKED:
            self._unpark(enclave, page)
        elif state == _POISONED:
            self._poisoner.repeat(enclave, page)
        elif backing.is_present(enclave.file, page):
            # A second thread, or a message read before its page was served: common.
            self._statistics.nr_duplicates += 1
            self._placer.wake(enclave, page)
        else:
            self.lose_removed(enclave, page)

    def _unpark(self, enclave: Enclave, page: int) -> None:
        """Soft fault: the page was being tried and is young."""
        start = perf_counter_ns()
        slab = enclave.slab
        if not self._placer.copy(enclave, page, slab.address + slab.slots[page] * SLOT_BYTES):
            return
        slab.drop(page)
        enclave.state[page] = _YOUNG
        self._note(enclave.uffd, Kind.YOUNG, page)
        self._statistics.soft_by_group[enclave.group] += 1
        self._statistics.soft.add(perf_counter_ns() - start)

    def lose_removed(self, enclave: Enclave, page: int) -> None:
        """A page that should be in its file is not: the client removed it, its content is lost."""
        if enclave.state[page] not in (_MAPPED, _YOUNG):
            raise InvariantError(f"{enclave} page {page} is not mapped, it cannot be missing")
        self._statistics.nr_removed += 1
        self._epc.forget(enclave.number, page)
        enclave.state[page] = _POISONED
        self._poisoner.poison(enclave, page, Reason.REMOVED, "removed from its file behind the pager's back")
