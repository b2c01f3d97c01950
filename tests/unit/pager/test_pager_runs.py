"""The compiled steps of eviction, on real files and pipes; which batches are plain."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from epcgroup.face.epc import Epc
from epcgroup.pager import backing as backings
from epcgroup.pager import runs
from epcgroup.pager.backing import MemfdBacking
from epcgroup.pager.buffer import Buffer
from epcgroup.pager.desk import Desk
from epcgroup.pager.enclave import State
from epcgroup.pager.pages import MAX_PAGES, Pages
from epcgroup.state.outcome import Outcome

PAGE = 4096
NR_PAGES = 32


@pytest.fixture
def file() -> Iterator[int]:
    fd = MemfdBacking().create(NR_PAGES)
    for page in range(NR_PAGES):
        os.pwrite(fd, bytes([page]) * PAGE, page * PAGE)
    yield fd
    os.close(fd)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    yield reader, writer
    for fd in (reader, writer):
        with suppress(OSError):
            os.close(fd)


def chosen(*pages: int) -> Pages:
    result = Pages()
    result.fill(pages)
    return result


def test_pages_hold_what_they_were_filled_with_last() -> None:
    pages = chosen(1, 2, 3)
    pages.fill([7, 9])
    assert pages.nr == 2
    assert pages.tolist() == [7, 9]
    assert pages.array[:3].tolist() == [7, 9, 3]
    pages.fill(range(MAX_PAGES))
    assert pages.tolist() == list(range(MAX_PAGES))


def test_steps_move_scattered_pages_in_order(file: int, pipe: tuple[int, int]) -> None:
    pages, buffer = chosen(0, 4, 5, 6, 31), Buffer(5)
    assert runs.refer(file, pipe[1], pages.array, pages.nr) == 0
    os.pwrite(file, b"last", 5 * PAGE)  # the pipe holds the page, not a copy of it
    assert runs.punch(file, pages.array, pages.nr) == 0
    assert runs.drain(pipe[0], buffer.address, pages.nr * PAGE, pages.array) == 0
    assert [bytes(page[100:102]) for page in buffer.pages] == [bytes([page] * 2) for page in pages.tolist()]
    assert bytes(buffer.pages[2][:4]) == b"last"
    left = [page for page in range(NR_PAGES) if backings.is_present(file, page)]
    assert left == [page for page in range(NR_PAGES) if page not in pages.tolist()]


def test_no_page_is_no_call() -> None:
    pages = chosen()
    assert runs.refer(-1, -1, pages.array, 0) == 0
    assert runs.punch(-1, pages.array, 0) == 0
    assert runs.drain(-1, 0, 0, pages.array) == 0


def test_steps_answer_with_the_errno(file: int, pipe: tuple[int, int]) -> None:
    pages = chosen(3)
    assert runs.refer(-1, pipe[1], pages.array, 1) == -errno.EBADF
    assert runs.drain(-1, 0, PAGE, pages.array) == -errno.EBADF
    assert pages.tolist() == [3]


def test_file_or_pipe_that_ends_early_is_told(file: int, pipe: tuple[int, int]) -> None:
    assert runs.refer(file, pipe[1], chosen(31, 32).array, 2) == runs.SHORT
    os.close(pipe[1])
    assert runs.drain(pipe[0], Buffer(1).address, 2 * PAGE, chosen().array) == runs.SHORT


def test_first_hole_and_later_ones_are_told_apart(file: int) -> None:
    beyond = 1 << 51  # its offset is no number of 63 bits
    assert runs.punch(file, chosen(beyond).array, 1) == runs.UNTOUCHED - errno.EINVAL
    assert runs.punch(file, chosen(3, beyond).array, 2) == -errno.EINVAL
    assert not backings.is_present(file, 3)


class Machine:
    """An engine with an enclave, and a batch of the pages over its limit."""

    def __init__(self) -> None:
        self.epc = Epc.create(96, nr_groups=8, nr_enclaves=8, nr_enclave_pages=256)
        self.desk = Desk(self.epc, 8)
        self.group = self.epc.mkdir("/a")
        _, self.enclave = self.epc.enclave_create(self.group, 64)
        self.epc.enclave_init(self.enclave)
        self.states = self.desk.states_of(self.enclave)
        for page in range(39, -1, -1):
            assert self.epc.fault(self.enclave, page, self.group) is Outcome.CREATED
            self.states[page] = State.MAPPED
        self.epc.write("/a", "misc.max", f"sgx_epc {8 * PAGE}")
        assert self.epc.isolate() == 16

    def plain(self) -> list[int]:
        pages = Pages()
        pages.nr = runs.plain_batch(self.desk.engine, self.desk.states, pages.array)
        if pages.nr:
            assert (pages.enclave, pages.group) == (self.enclave, self.group)
        return pages.tolist()


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_batch_of_mapped_pages_is_plain_and_sorted(machine: Machine) -> None:
    expected = sorted(machine.epc.batch[:, 1].tolist())
    assert len(expected) == 16
    assert machine.plain() == expected


@pytest.mark.parametrize("state", [State.YOUNG, State.PARKED])
def test_batch_with_another_state_is_not_plain(machine: Machine, state: State) -> None:
    machine.states[int(machine.epc.batch[7, 1])] = state
    assert machine.plain() == []


@pytest.mark.parametrize("column", [0, 2])
def test_batch_of_two_enclaves_or_groups_is_not_plain(machine: Machine, column: int) -> None:
    machine.epc.batch[3, column] += 1
    assert machine.plain() == []


def test_no_batch_is_not_plain(machine: Machine) -> None:
    machine.epc.finish(np.zeros(16, np.uint8))
    assert machine.plain() == []
