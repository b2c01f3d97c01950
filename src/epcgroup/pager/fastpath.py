"""The compiled half of the fault path: wait for an event, read messages, ask the engine, map zeros.

A fault that needs no more than that never reaches Python. Everything else goes back to the caller as an
``Answer``, with what it is about in the words of the desk; the next call goes on behind it. System calls are
those of the C library, by name. What must not live here: what to do when anything goes wrong.
"""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.abi.userfaultfd import UFFDIO_COPY, UFFDIO_ZEROPAGE, Event
from epcgroup.compiled import native
from epcgroup.compiled.jit import inlined, jit
from epcgroup.face import entry
from epcgroup.pager.enclave import (
    ROW_BASE,
    ROW_FREE,
    ROW_GROUP,
    ROW_IS_WATCHED,
    ROW_NR_FREE,
    ROW_NR_PAGES,
    ROW_NUMBER,
    ROW_OFFSET,
    ROW_SLOTS,
    ROW_VERSIONS,
    State,
)
from epcgroup.pager.seal import RECORD_BYTES
from epcgroup.pager.syscalls import address_of, epoll_wait, ioctl, memcpy, now_ns, read
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome
from epcgroup.units import PAGE_SHIFT

# Words of the desk, int64. What the caller sets:
(
    EPOLL,  # descriptor
    TIMEOUT_MS,  # for the next wait; -1: until something happens
    SPINS,  # after an event: look again at once, instead of sleeping
    MAX_ROUNDS,  # go back after so many events
    # What it is told:
    NR_ROUNDS,  # events since the caller set this to 0
    FD,
    MASK,
    PAGE,
    ADDRESS,
    OUTCOME,  # the engine's
    KIND,  # of the message: ``userfaultfd.Event``
    START_NS,  # when the fault began to be served
    DURATION_NS,
    SLOT,  # of the sealed copy
    RECORD,  # where in the slab it begins, bytes
    IS_OPENED,  # the next call puts the page in place; the caller sets 0 if its seal does not open
    NR_FREE,  # slots that the budget for sealed pages has left
    ASKS,  # only ask the engine about ``PAGE`` of ``FD`` again: ``OUTCOME``
    # Private:
    NR_MESSAGES,
    MESSAGE,  # the next one
    SCRATCH,
) = range(21)
#: Version and page, enclave and page: what the nonce and the binding of the seal are made of.
SEAL: Final = 21
EVENT: Final = 25  # struct epoll_event, packed: 12 bytes
CLOCK: Final = 27  # struct timespec
ZEROS: Final = 29  # struct uffdio_zeropage
COPY: Final = 33  # struct uffdio_copy
MESSAGES: Final = 38  # struct uffd_msg, 4 words each
MAX_MESSAGES: Final = 16
MESSAGE_WORDS: Final = 4
#: How many pages were charged in all, then the groups charged for the last of them.
CHARGES: Final = MESSAGES + MAX_MESSAGES * MESSAGE_WORDS
MAX_CHARGES: Final = 1024
#: Durations of faults that needed zeros, and of those that needed a seal opened, by ``ns >> FINE_SHIFT``.
FINE_ZERO: Final = CHARGES + 1 + MAX_CHARGES
FINE_SHIFT: Final = 6
NR_FINE: Final = 2048
FINE_LOAD: Final = FINE_ZERO + NR_FINE
DESK_WORDS: Final = FINE_LOAD + NR_FINE

_ABSENT: Final = int(State.ABSENT)
_MAPPED: Final = int(State.MAPPED)
_EVICTED: Final = int(State.EVICTED)
_CREATED: Final = int(Outcome.CREATED)
_LOADED: Final = int(Outcome.LOADED)
_PAGEFAULT: Final = int(Event.PAGEFAULT)
_MESSAGE_BYTES: Final = 32
_EPOLLIN: Final = 1


class Answer(IntEnum):
    """Why ``serve`` came back."""

    #: No more events, or as many as were asked for.
    IDLE = 0
    #: The page was granted; the seal at ``RECORD`` is to be opened, then the next call puts it in place.
    OPEN = 1
    #: An event that is not a page fault to be read: ``FD``, ``MASK``.
    EVENT = 2
    #: The engine's ``OUTCOME`` is not that the page may be had.
    NO_ROOM = 3
    #: The page (``OUTCOME``: which kind) could not be put in place.
    NOT_PLACED = 4
    #: The page is neither absent nor evicted.
    AGAIN = 5
    #: The message is none that this descriptor may report.
    BROKEN = 6
    #: The descriptor could not be read.
    UNREADABLE = 7
    #: A fault of an enclave that is watched was served.
    SERVED = 8
    #: The same, of any enclave, but it took longer than the fine steps reach: ``DURATION_NS``.
    LONG = 9
    #: Waiting was interrupted or failed.
    INTERRUPTED = 10


(
    _IDLE,
    _OPEN,
    _EVENT,
    _NO_ROOM,
    _NOT_PLACED,
    _AGAIN,
    _BROKEN,
    _UNREADABLE,
    _SERVED,
    _LONG,
    _INTERRUPTED,
) = map(int, Answer)
_GO_ON: Final = -1


@inlined
def _has_work(buffer: NDArray[np.uint8]) -> bool:
    machine = native.row(buffer, 0, at.MACHINE_WORDS, np.int64)
    return bool(machine[at.WORK_HEAD] or machine[at.KSGXD_AWAKE] or machine[at.WORK_CURRENT])


@inlined
def _next_messages(buffer: NDArray[np.uint8], desk: NDArray[np.int64], served: NDArray[np.int64]) -> int:
    """Wait for an event and read the messages it announces."""
    timeout_ms = 0 if _has_work(buffer) else desk[TIMEOUT_MS]
    nr = epoll_wait(desk[EPOLL], address_of(desk, EVENT), 1, timeout_ms)
    if nr <= 0:
        return _IDLE if nr == 0 else _INTERRUPTED
    desk[NR_ROUNDS] += 1
    if desk[SPINS]:
        desk[TIMEOUT_MS] = 0
    fd = desk[EVENT] >> 32
    desk[FD] = fd
    desk[MASK] = desk[EVENT] & 0xFFFFFFFF
    if desk[MASK] != _EPOLLIN or fd >= len(served) or not served[fd, ROW_NUMBER]:
        return _EVENT
    nr_bytes = read(fd, address_of(desk, MESSAGES), MAX_MESSAGES * _MESSAGE_BYTES)
    if nr_bytes < 0:
        return _UNREADABLE
    desk[NR_MESSAGES] = nr_bytes // _MESSAGE_BYTES
    desk[MESSAGE] = 0
    return _GO_ON


@inlined
def _note_charge(desk: NDArray[np.int64], group: int) -> None:
    desk[CHARGES + 1 + desk[CHARGES] % MAX_CHARGES] = group
    desk[CHARGES] += 1


@inlined
def _finish(desk: NDArray[np.int64], served: NDArray[np.int64], states: NDArray[np.uint8], fine: int) -> int:
    """The page is in place."""
    states[served[desk[FD], ROW_OFFSET] + desk[PAGE]] = _MAPPED
    duration_ns = now_ns(desk, CLOCK) - desk[START_NS]
    if duration_ns >> FINE_SHIFT >= NR_FINE:
        desk[DURATION_NS] = duration_ns
        return _LONG
    desk[fine + (duration_ns >> FINE_SHIFT)] += 1
    return _SERVED if served[desk[FD], ROW_IS_WATCHED] else _GO_ON


@inlined
def _map_zeros(desk: NDArray[np.int64], served: NDArray[np.int64], states: NDArray[np.uint8]) -> int:
    desk[ZEROS] = desk[ADDRESS]
    if ioctl(desk[FD], UFFDIO_ZEROPAGE, address_of(desk, ZEROS)):
        return _NOT_PLACED
    return _finish(desk, served, states, FINE_ZERO)


@inlined
def _prepare_opening(desk: NDArray[np.int64], served: NDArray[np.int64], fd: int, page: int) -> None:
    """Find the sealed copy and what its seal is bound to."""
    memcpy(address_of(desk, SEAL), served[fd, ROW_VERSIONS] + page * 8, 8)
    desk[SEAL + 1] = desk[SEAL + 3] = page
    desk[SEAL + 2] = served[fd, ROW_NUMBER]
    desk[SLOT] = 0
    memcpy(address_of(desk, SLOT), served[fd, ROW_SLOTS] + page * 4, 4)
    desk[RECORD] = desk[SLOT] * RECORD_BYTES
    desk[IS_OPENED] = 1


@inlined
def _drop_sealed(desk: NDArray[np.int64], served: NDArray[np.int64]) -> None:
    """Give the slot of the sealed copy back."""
    nr_free = served[desk[FD], ROW_NR_FREE]
    memcpy(address_of(desk, SCRATCH), nr_free, 8)
    memcpy(served[desk[FD], ROW_FREE] + desk[SCRATCH] * 4, address_of(desk, SLOT), 4)
    desk[SCRATCH] += 1
    memcpy(nr_free, address_of(desk, SCRATCH), 8)
    desk[NR_FREE] += 1


@inlined
def _copy_opened(desk: NDArray[np.int64], served: NDArray[np.int64], states: NDArray[np.uint8]) -> int:
    """Put the page in place whose seal was opened; only then is its sealed copy dropped."""
    desk[IS_OPENED] = 0
    desk[COPY] = desk[ADDRESS]
    if ioctl(desk[FD], UFFDIO_COPY, address_of(desk, COPY)):
        return _NOT_PLACED
    _drop_sealed(desk, served)
    return _finish(desk, served, states, FINE_LOAD)


@inlined
def _next_page(desk: NDArray[np.int64], served: NDArray[np.int64]) -> bool:
    """Read the next message; False: it is none that this descriptor may report."""
    message = MESSAGES + desk[MESSAGE] * MESSAGE_WORDS
    desk[MESSAGE] += 1
    desk[KIND] = desk[message] & 0xFF
    desk[ADDRESS] = desk[message + 2]
    desk[PAGE] = (desk[ADDRESS] - served[desk[FD], ROW_BASE]) >> PAGE_SHIFT
    return bool(desk[KIND] == _PAGEFAULT and 0 <= desk[PAGE] < served[desk[FD], ROW_NR_PAGES])


@inlined
def _next_fault(
    buffer: NDArray[np.uint8], desk: NDArray[np.int64], served: NDArray[np.int64], states: NDArray[np.uint8]
) -> int:
    """Go on to the next fault of a page that may be asked for."""
    if desk[MESSAGE] >= desk[NR_MESSAGES]:
        if desk[NR_ROUNDS] >= desk[MAX_ROUNDS]:
            return _IDLE
        answer = _next_messages(buffer, desk, served)
        if answer != _GO_ON:
            return answer
    if not _next_page(desk, served):
        return _BROKEN
    state = states[served[desk[FD], ROW_OFFSET] + desk[PAGE]]
    if state != _ABSENT and state != _EVICTED:
        return _AGAIN
    desk[START_NS] = now_ns(desk, CLOCK)
    return _GO_ON


@inlined
def _serve_fault(
    buffer: NDArray[np.uint8], desk: NDArray[np.int64], served: NDArray[np.int64], states: NDArray[np.uint8]
) -> int:
    fd, page = desk[FD], desk[PAGE]
    group = served[fd, ROW_GROUP]
    outcome = entry.access(buffer, served[fd, ROW_NUMBER], page, group)
    desk[OUTCOME] = outcome
    if desk[ASKS] or (outcome != _CREATED and outcome != _LOADED):
        return _NO_ROOM
    _note_charge(desk, group)
    if outcome == _CREATED:
        return _map_zeros(desk, served, states)
    _prepare_opening(desk, served, fd, page)
    return _OPEN


@jit
def serve(
    buffer: NDArray[np.uint8], desk: NDArray[np.int64], served: NDArray[np.int64], states: NDArray[np.uint8]
) -> int:
    """Serve page faults until something needs Python; an ``Answer``.

    Args:
        buffer: the engine's, uint8.
        desk: int64 (DESK_WORDS).
        served: int64 (descriptors, ROW_COLUMNS); see ``enclave``.
        states: of all pages, where the engine has them, uint8.
    """
    if desk[IS_OPENED]:
        answer = _copy_opened(desk, served, states)
        if answer != _GO_ON:
            return answer
    while True:
        answer = _GO_ON if desk[ASKS] else _next_fault(buffer, desk, served, states)
        if answer == _GO_ON:
            # The one place that asks the engine: what is compiled into it twice takes twice the memory.
            answer = _serve_fault(buffer, desk, served, states)
        if answer != _GO_ON:
            return answer
