"""Page faults: the hot path of the pager.

A message names an address; the engine says whether the page may be had; the page is put in place by one
ioctl: ``UFFDIO_COPY`` of what was opened, ``UFFDIO_ZEROPAGE`` for a page that is new. A sealed copy is
dropped only after that succeeded. Nothing here waits for a client.
"""

import errno
import fcntl
import os
import select
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

from epcgroup.abi import memory
from epcgroup.abi.userfaultfd import (
    COPY_STRUCT,
    MESSAGE_STRUCT,
    RANGE_STRUCT,
    UFFDIO_COPY,
    UFFDIO_WAKE,
    UFFDIO_ZEROPAGE,
    ZEROPAGE_STRUCT,
    Event,
)
from epcgroup.engine.epc import Epc
from epcgroup.engine.outcome import Outcome
from epcgroup.errors import InvariantError, SealError
from epcgroup.pager import backing
from epcgroup.pager.attribution import Attribution
from epcgroup.pager.enclave import Enclave, State
from epcgroup.pager.poison import Poisoner, Reason
from epcgroup.pager.reclaim import Reclaimer
from epcgroup.pager.statistics import FINE_SHIFT, Statistics
from epcgroup.pager.store import SLOT_BYTES, Budget
from epcgroup.pager.take import Buffer
from epcgroup.units import PAGE_SHIFT, PAGE_SIZE

#: Bytes of 14 messages, the most one read takes: the largest that Python allocates the fast way.
_READ_BYTES: Final = 14 * MESSAGE_STRUCT.size
#: Batches (or background passes) one fault pays for before its thread is sent to ask again.
_MAX_ROUNDS: Final = 64
#: Batches in a row that brought nothing because the store is full.
_MAX_FRUITLESS: Final = 4
_MAX_RETRIES: Final = 8
_READABLE: Final = select.EPOLLIN

_ABSENT: Final = int(State.ABSENT)
_MAPPED: Final = int(State.MAPPED)
_YOUNG: Final = int(State.YOUNG)
_PARKED: Final = int(State.PARKED)
_EVICTED: Final = int(State.EVICTED)
_POISONED: Final = int(State.POISONED)
_LOADED: Final = Outcome.LOADED
_PAGEFAULT: Final = int(Event.PAGEFAULT)


class _Argument:
    """An ioctl argument filled in once but for its first words; the kernel writes only the last one."""

    def __init__(self, packed: bytes) -> None:
        self.argument = bytearray(packed)
        self.words = memoryview(self.argument).cast("Q")


class FaultServer:
    """Serves the messages of userfaultfds."""

    def __init__(
        self,
        epc: Epc,
        reclaimer: Reclaimer,
        budget: Budget,
        poisoner: Poisoner,
        statistics: Statistics,
        attribution: Attribution,
    ) -> None:
        self._epc = epc
        self._reclaimer = reclaimer
        self._budget = budget
        self._poisoner = poisoner
        self._statistics = statistics
        self._note_charge = attribution.note_charge
        self._pages = Buffer(1)  # the page that was opened last
        self._opened = self._pages.pages[0]
        self._zeros = _Argument(ZEROPAGE_STRUCT.pack(0, PAGE_SIZE, 0, 0))
        self._copy_opened = _Argument(COPY_STRUCT.pack(0, self._pages.address, PAGE_SIZE, 0, 0))
        self._copy_any = _Argument(COPY_STRUCT.pack(0, 0, PAGE_SIZE, 0, 0))
        self._range = bytearray(RANGE_STRUCT.size)

    def serving(self, enclave: Enclave) -> Callable[[int], None]:
        """Return the handler of an enclave's userfaultfd; its argument is the epoll event.

        Closures, here and below: what is looked up once need not be looked up again for every fault, which
        is a third of the time the pager itself takes for one.
        """
        uffd, base, nr_pages, state = enclave.uffd, enclave.base, enclave.nr_pages, enclave.state
        read, messages = os.read, MESSAGE_STRUCT.iter_unpack
        create, load, fault_again = self._creating(enclave), self._loading(enclave), self._fault_again

        def serve(mask: int) -> None:
            try:
                data = read(uffd, _READ_BYTES) if mask == _READABLE else self._refuse_mask(enclave, mask)
            except BlockingIOError:
                return  # resolved meanwhile
            except OSError as error:
                enclave.on_end(f"its userfaultfd cannot be read: {error.strerror}")
                return
            for event, _, address, _ in messages(data):
                page = (address - base) >> PAGE_SHIFT
                if event != _PAGEFAULT or not 0 <= page < nr_pages:
                    enclave.on_end(f"its userfaultfd reports event {event:#x} at {address:#x}")
                    return
                before = state[page]
                if before == _ABSENT:
                    create(page, address)
                elif before == _EVICTED:
                    load(page, address)
                else:
                    fault_again(enclave, page, before)

        return serve

    def _refuse_mask(self, enclave: Enclave, mask: int) -> bytes:
        """The client has made the descriptor blocking: a read could stop the pager."""
        enclave.on_end(f"its userfaultfd polls {mask:#x}")
        return b""

    def _creating(self, enclave: Enclave) -> Callable[[int, int], None]:
        """Return what brings in a page that is absent: zeros."""
        ask, charge, ioctl, now = self._epc.fault_function(), self._note_charge, fcntl.ioctl, perf_counter_ns
        uffd, number, state = enclave.uffd, enclave.number, enclave.state
        argument, words = self._zeros.argument, self._zeros.words
        fine, add = self._statistics.zero.fine, self._statistics.zero.add
        created = int(Outcome.CREATED)

        def create(page: int, address: int) -> None:
            start = now()
            outcome = ask(number, page, enclave.group)
            if outcome != created and not self._make_room(enclave, page, Outcome(outcome)):
                return
            words[0] = address
            try:
                ioctl(uffd, UFFDIO_ZEROPAGE, argument)
            except OSError as error:
                if not self._put_again(enclave, page, UFFDIO_ZEROPAGE, argument, error):
                    return
            state[page] = _MAPPED
            charge(enclave.group)
            duration = now() - start
            try:
                fine[duration >> FINE_SHIFT] += 1
            except IndexError:
                add(duration)

        return create

    def _loading(self, enclave: Enclave) -> Callable[[int, int], None]:
        """Return what brings in a page that is evicted: opens its seal, drops the sealed copy afterwards."""
        ask, charge, ioctl, now = self._epc.fault_function(), self._note_charge, fcntl.ioctl, perf_counter_ns
        uffd, number, state, budget = enclave.uffd, enclave.number, enclave.state, self._budget
        slots, view, free = enclave.slab.slots, enclave.slab.view, enclave.slab.free
        open_into, opened = enclave.seal.opener(), self._opened
        argument, words = self._copy_opened.argument, self._copy_opened.words
        fine, add = self._statistics.load.fine, self._statistics.load.add
        loaded = int(Outcome.LOADED)

        def load(page: int, address: int) -> None:
            start = now()
            outcome = ask(number, page, enclave.group)
            if outcome != loaded and not self._make_room(enclave, page, Outcome(outcome)):
                return
            words[0] = address
            try:
                offset = slots[page] * SLOT_BYTES
                open_into(page, view[offset : offset + SLOT_BYTES], opened)
                ioctl(uffd, UFFDIO_COPY, argument)
            except SealError as error:
                self._lose_sealed(enclave, page, str(error))
                return
            except OSError as error:
                if not self._put_again(enclave, page, UFFDIO_COPY, argument, error):
                    return
            state[page] = _MAPPED
            free.append(slots[page])
            budget.nr_free += 1
            charge(enclave.group)
            duration = now() - start
            try:
                fine[duration >> FINE_SHIFT] += 1
            except IndexError:
                add(duration)

        return load

    def _put_again(
        self, enclave: Enclave, page: int, request: int, argument: bytearray, error: OSError
    ) -> bool:
        """Repair and try again what could not be put in place; False: not possible, all is undone."""
        for _ in range(_MAX_RETRIES):
            if error.errno == errno.EEXIST:
                # Somebody filled the file behind our back: what the engine knows is the truth.
                self._statistics.nr_bypass += 1
                memory.punch_hole(enclave.file, page << PAGE_SHIFT, PAGE_SIZE)
            elif error.errno != errno.EAGAIN:
                break
            try:
                fcntl.ioctl(enclave.uffd, request, argument)
            except OSError as next_error:
                error = next_error
            else:
                return True
        if enclave.state[page] != _PARKED:
            self._epc.undo_fault(enclave.number, page)
        if error.errno in (errno.ENOMEM, errno.ENOSPC):
            self._poisoner.poison(enclave, page, Reason.NO_MEMORY, "the machine has no memory for the page")
        elif error.errno not in (errno.ENOENT, errno.ESRCH):
            self._wake(enclave, page)  # its thread asks again
        return False

    def _make_room(self, enclave: Enclave, page: int, outcome: Outcome) -> bool:
        """Carry out what stands between a fault and its page; False: it cannot be had, all is done."""
        start = perf_counter_ns()
        reclaimer = self._reclaimer
        nr_fruitless = 0
        for _ in range(_MAX_ROUNDS):
            if outcome is Outcome.EVICT:
                reclaimer.carry_out()
            elif outcome is not Outcome.BUSY or not reclaimer.background_pass():
                break
            nr_fruitless = 0 if reclaimer.nr_written or reclaimer.nr_young else nr_fruitless + 1
            if nr_fruitless >= _MAX_FRUITLESS and reclaimer.is_store_full:
                break
            outcome = self._epc.fault(enclave.number, page, enclave.group)
            if outcome <= _LOADED:
                break
        else:
            self._epc.put_back_batch()
        self._count_stall(enclave.group, perf_counter_ns() - start)
        if outcome > _LOADED:
            self._deny(enclave, page, outcome)
            return False
        return True

    def _count_stall(self, group: int, duration_ns: int) -> None:
        self._statistics.stall_ns_by_group[group] += duration_ns
        self._statistics.reclaim.add(duration_ns)
        self._epc.account_stall(group, duration_ns // 1000)

    def _deny(self, enclave: Enclave, page: int, outcome: Outcome) -> None:
        path = self._epc.path_of(enclave.group)
        if outcome is Outcome.REFUSED:
            detail = f"group {path} is at its limit and nothing is reclaimable under it"
            self._poisoner.poison(enclave, page, Reason.REFUSED, detail)
        elif outcome in (Outcome.EVICT, Outcome.BUSY) and self._reclaimer.is_store_full:
            detail = "the store of sealed pages is full (raise --store-bytes)"
            self._poisoner.poison(enclave, page, Reason.STORE_FULL, detail)
        elif outcome in (Outcome.EVICT, Outcome.BUSY):
            # As the kernel's NOPAGE: the thread returns, touches again and so asks again.
            self._statistics.nr_retries += 1
            self._wake(enclave, page)
        else:
            self._poisoner.poison(enclave, page, Reason.NO_PAGE, f"engine: {outcome.name}")

    def _lose_sealed(self, enclave: Enclave, page: int, detail: str) -> None:
        self._epc.undo_fault(enclave.number, page)
        self._epc.drop_evicted(enclave.number, page)
        enclave.slab.free.append(enclave.slab.slots[page])
        self._budget.nr_free += 1
        enclave.state[page] = _POISONED
        self._poisoner.poison(enclave, page, Reason.SEAL, detail)

    def _fault_again(self, enclave: Enclave, page: int, state: int) -> None:
        if state == _PARKED:
            self._unpark(enclave, page)
        elif state == _POISONED:
            self._poisoner.repeat(enclave, page)
        elif backing.is_present(enclave.file, page):
            # A second thread, or a message read before its page was served: common.
            self._statistics.nr_duplicates += 1
            self._wake(enclave, page)
        else:
            self.lose_removed(enclave, page)

    def _unpark(self, enclave: Enclave, page: int) -> None:
        """Soft fault: the page was being tried and is young."""
        start = perf_counter_ns()
        copy = self._copy_any
        copy.words[0] = enclave.base + (page << PAGE_SHIFT)
        copy.words[1] = enclave.slab.address + enclave.slab.slots[page] * SLOT_BYTES
        try:
            fcntl.ioctl(enclave.uffd, UFFDIO_COPY, copy.argument)
        except OSError as error:
            if not self._put_again(enclave, page, UFFDIO_COPY, copy.argument, error):
                return
        enclave.slab.free.append(enclave.slab.slots[page])
        enclave.state[page] = _YOUNG
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

    def _wake(self, enclave: Enclave, page: int) -> None:
        RANGE_STRUCT.pack_into(self._range, 0, enclave.base + (page << PAGE_SHIFT), PAGE_SIZE)
        fcntl.ioctl(enclave.uffd, UFFDIO_WAKE, self._range)

    def wake_all(self, enclave: Enclave) -> None:
        """Send every sleeping thread of an enclave to ask again.

        Raises:
            OSError: the descriptor is no userfaultfd that is ready.
        """
        RANGE_STRUCT.pack_into(self._range, 0, enclave.base, enclave.nr_pages << PAGE_SHIFT)
        fcntl.ioctl(enclave.uffd, UFFDIO_WAKE, self._range)
