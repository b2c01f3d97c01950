"""The compiled half of the fault path, with a pipe in place of the userfaultfd: what it leaves to Python."""

import os
import select
from collections.abc import Iterator

import numpy as np
import pytest

from epcgroup.abi.peer import Peer
from epcgroup.abi.userfaultfd import MESSAGE_STRUCT, Event
from epcgroup.face.epc import Epc
from epcgroup.pager import fastpath
from epcgroup.pager.desk import Desk
from epcgroup.pager.enclave import Enclave, State
from epcgroup.pager.fastpath import Answer
from epcgroup.pager.seal import Seal
from epcgroup.pager.store import SLOT_BYTES, Slab
from epcgroup.state.outcome import Outcome

PAGE = 4096
NR_PAGES = 64
BASE = 0x7F00_0000_0000


class Rig:
    """An engine with one enclave whose descriptor is a pipe: what is written to it are its messages."""

    def __init__(self) -> None:
        self.epc = Epc.create(96, nr_groups=8, nr_enclaves=8, nr_enclave_pages=256)
        self.desk = Desk(self.epc, 1024)
        self.words = self.desk.words
        self.group = self.epc.mkdir("/a")
        _, number = self.epc.enclave_create(self.group, NR_PAGES)
        self.epc.enclave_init(number)
        reader, self.writer = os.pipe()
        seal, slab = Seal(number, NR_PAGES), Slab(NR_PAGES)
        state = self.desk.states_of(number)
        peer = Peer(1, 0, 0)
        self.enclave = Enclave(
            number, self.group, peer, NR_PAGES, -1, seal, slab, state, -1, lambda _: None, reader, BASE
        )
        self.desk.begin(self.enclave)
        self.epoll = select.epoll()
        self.epoll.register(reader, select.EPOLLIN)
        self.words[fastpath.EPOLL] = self.epoll.fileno()

    def send(self, *pages: int, event: int = Event.PAGEFAULT) -> None:
        for page in pages:
            os.write(self.writer, MESSAGE_STRUCT.pack(event, 0, BASE + page * PAGE, 0))

    def serve(self, rounds: int = 1) -> Answer:
        self.words[fastpath.NR_ROUNDS] = 0
        self.words[fastpath.MAX_ROUNDS] = rounds
        return self.go_on()

    def go_on(self) -> Answer:
        return Answer(fastpath.serve(*self.desk.arguments))

    def evict(self, page: int, record: bytes) -> None:
        """The enclave has had this page and it was written out."""
        assert self.epc.fault(self.enclave.number, page, self.group) is Outcome.CREATED
        self.epc.write("/a", "misc.max", "sgx_epc 4096")
        while self.epc.isolate():
            self.epc.finish(np.zeros(len(self.epc.batch), np.uint8))
        self.epc.write("/a", "misc.max", "sgx_epc max")
        (slot,) = self.enclave.slab.take([page])
        slot[: len(record)] = record
        self.enclave.state[page] = State.EVICTED

    def close(self) -> None:
        self.epoll.close()
        os.close(self.enclave.uffd)
        os.close(self.writer)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def test_nothing_happens_is_idle(rig: Rig) -> None:
    assert rig.serve() is Answer.IDLE
    assert rig.words[fastpath.NR_ROUNDS] == 0


def test_descriptor_of_others_is_given_back(rig: Rig) -> None:
    reader, writer = os.pipe()
    rig.epoll.register(reader, select.EPOLLIN)
    os.close(writer)
    assert rig.serve() is Answer.EVENT
    assert rig.words[fastpath.FD] == reader
    assert rig.words[fastpath.MASK] == select.EPOLLHUP
    os.close(reader)


def test_descriptor_that_cannot_be_waited_for_interrupts(rig: Rig) -> None:
    rig.words[fastpath.EPOLL] = -1
    assert rig.serve() is Answer.INTERRUPTED


def test_odd_mask_is_given_back(rig: Rig) -> None:
    os.close(rig.writer)
    rig.writer = os.dup(rig.enclave.uffd)
    assert rig.serve() is Answer.EVENT
    assert rig.words[fastpath.FD] == rig.enclave.uffd


@pytest.mark.parametrize(("event", "page"), [(Event.REMOVE, 3), (Event.PAGEFAULT, -1), (Event.PAGEFAULT, 64)])
def test_message_that_may_not_be_is_broken(rig: Rig, event: int, page: int) -> None:
    rig.send(page, event=event)
    assert rig.serve() is Answer.BROKEN
    assert rig.words[fastpath.KIND] == event
    assert rig.words[fastpath.ADDRESS] == BASE + page * PAGE
    assert rig.words[fastpath.CHARGES] == 0


@pytest.mark.parametrize("state", [State.MAPPED, State.YOUNG, State.PARKED, State.POISONED])
def test_page_in_another_state_is_left_to_python(rig: Rig, state: State) -> None:
    rig.enclave.state[5] = state
    rig.send(5)
    assert rig.serve() is Answer.AGAIN
    assert rig.words[fastpath.PAGE] == 5
    assert rig.epc.read("/a", "epc.stat") is not None
    assert rig.enclave.state[5] == state


def test_new_page_is_charged_once_and_not_mapped_if_it_cannot_be_placed(rig: Rig) -> None:
    rig.send(5)
    assert rig.serve() is Answer.NOT_PLACED  # a pipe is no userfaultfd
    assert rig.words[fastpath.OUTCOME] == Outcome.CREATED
    assert rig.words[fastpath.ZEROS] == BASE + 5 * PAGE
    assert rig.enclave.state[5] == State.ABSENT
    assert rig.desk.charges[:2].tolist() == [1, rig.group]


def test_refused_page_is_left_to_python(rig: Rig) -> None:
    rig.epc.write("/a", "misc.max", "sgx_epc 0")
    rig.send(5)
    assert rig.serve() is Answer.NO_ROOM
    assert rig.words[fastpath.OUTCOME] == Outcome.REFUSED
    assert rig.words[fastpath.CHARGES] == 0


def test_messages_are_served_in_order_before_the_next_wait(rig: Rig) -> None:
    rig.enclave.state[:3] = bytes([State.MAPPED] * 3)
    rig.send(2, 0, 1)
    pages = []
    answer = rig.serve()
    while answer is not Answer.IDLE:
        assert answer is Answer.AGAIN
        pages.append(rig.words[fastpath.PAGE])
        answer = rig.go_on()
    assert pages == [2, 0, 1]
    assert rig.words[fastpath.NR_ROUNDS] == 1


def test_messages_of_an_enclave_that_ended_are_dropped(rig: Rig) -> None:
    rig.enclave.state[:3] = bytes([State.MAPPED] * 3)
    rig.send(2, 0, 1)
    assert rig.serve() is Answer.AGAIN
    rig.desk.end(rig.enclave)
    assert rig.go_on() is Answer.IDLE
    rig.send(1)
    assert rig.serve() is Answer.EVENT  # its descriptor is none of ours any more


def test_sealed_page_is_opened_with_its_own_binding_and_kept_until_it_is_placed(rig: Rig) -> None:
    enclave, slab = rig.enclave, rig.enclave.slab
    slab.take([9])
    rig.evict(5, b"sealed")
    enclave.seal.versions[5] = 77
    rig.send(5)
    assert rig.serve() is Answer.OPEN
    assert rig.words[fastpath.OUTCOME] == Outcome.LOADED
    assert rig.words[fastpath.RECORD] == slab.slots[5] * SLOT_BYTES == SLOT_BYTES
    assert bytes(rig.desk.nonce) == (77).to_bytes(8, "little") + (5).to_bytes(4, "little")
    assert bytes(rig.desk.binding) == enclave.number.to_bytes(8, "little") + (5).to_bytes(8, "little")
    assert rig.go_on() is Answer.NOT_PLACED
    assert enclave.state[5] == State.EVICTED
    assert slab.nr_free[0] == rig.desk.budget[0] == 0
    assert bytes(slab.record(5)[:6]) == b"sealed"


def test_page_whose_seal_did_not_open_is_not_placed(rig: Rig) -> None:
    rig.evict(5, b"sealed")
    rig.send(5)
    assert rig.serve() is Answer.OPEN
    rig.words[fastpath.IS_OPENED] = 0
    assert rig.go_on() is Answer.IDLE
    assert rig.enclave.state[5] == State.EVICTED


def test_waiting_work_of_the_engine_forbids_to_sleep(rig: Rig) -> None:
    rig.epc.fault(rig.enclave.number, 1, rig.group)
    rig.epc.write("/a", "misc.max", "sgx_epc 4096")
    assert rig.epc.has_work()
    rig.words[fastpath.TIMEOUT_MS] = -1
    assert rig.serve() is Answer.IDLE


def test_states_of_a_new_enclave_are_absent(rig: Rig) -> None:
    rig.enclave.state[7] = State.POISONED
    assert rig.enclave.count(State.POISONED) == 1
    assert set(rig.desk.states_of(rig.enclave.number)) == {State.ABSENT}
    assert rig.enclave.count(State.ABSENT) == NR_PAGES


def test_descriptor_beyond_the_table_is_refused() -> None:
    rig = Rig()
    rig.desk = Desk(rig.epc, 2)
    with pytest.raises(OSError, match="beyond the table of 2"):
        rig.desk.begin(rig.enclave)
    rig.close()


def test_enclave_moved_charges_its_new_group(rig: Rig) -> None:
    other = rig.epc.mkdir("/b")
    rig.enclave.charge_to(other)
    rig.send(5)
    assert rig.serve() is Answer.NOT_PLACED
    assert rig.desk.charges[1] == other
