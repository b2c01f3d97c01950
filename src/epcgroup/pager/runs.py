"""The compiled half of eviction: system calls for runs of neighbouring pages, and which batches are plain.

``pages`` is always the array of a ``Pages``. Functions answer 0, or the errno negated. What must not live
here: the order of the calls, errors.
"""

import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.abi.memory import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from epcgroup.compiled.jit import inlined, jit
from epcgroup.face import entry
from epcgroup.pager import syscalls
from epcgroup.pager.enclave import State
from epcgroup.pager.pages import ENCLAVE, GROUP, SCRATCH
from epcgroup.state import layout as at
from epcgroup.units import PAGE_SHIFT

#: A file or pipe ended early.
SHORT: Final = -4096
#: The first hole could not be punched, so that nothing was; less this number, the errno negated.
UNTOUCHED: Final = -8192
_PUNCH: Final = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_MAPPED: Final = int(State.MAPPED)


def error_of(answer: int, when_short: str = "it ends early") -> tuple[int, str]:
    """Return errno and text for an answer that is not 0."""
    if answer == SHORT:
        return 0, when_short
    number = UNTOUCHED - answer if answer <= UNTOUCHED else -answer
    return number, os.strerror(number)


@inlined
def _run_end(pages: NDArray[np.int64], first: int, nr: int) -> int:
    """Return the index behind the run of neighbours that begins at index ``first``."""
    end = first + 1
    while end < nr and pages[end] == pages[end - 1] + 1:
        end += 1
    return end


@inlined
def _refer_run(file: int, pipe: int, pages: NDArray[np.int64], page: int, length: int) -> int:
    offset = page << PAGE_SHIFT
    end = offset + length
    while offset < end:
        pages[SCRATCH] = offset
        moved = syscalls.splice(file, syscalls.address_of(pages, SCRATCH), pipe, 0, end - offset, 0)
        if moved == 0:
            return SHORT
        if moved > 0:
            offset += moved
            continue
        error = syscalls.errno_of_last(pages, SCRATCH)
        if error != syscalls.EINTR:
            return -error
    return 0


@jit
def refer(file: int, pipe: int, pages: NDArray[np.int64], nr: int) -> int:
    """Put references to pages of a file into a pipe (``splice``)."""
    first = 0
    while first < nr:
        end = _run_end(pages, first, nr)
        answer = _refer_run(file, pipe, pages, pages[first], (end - first) << PAGE_SHIFT)
        if answer:
            return answer
        first = end
    return 0


@jit
def punch(file: int, pages: NDArray[np.int64], nr: int) -> int:
    """Take pages out of a file: afterwards no mapping of any process shows them any more."""
    first = 0
    while first < nr:
        end = _run_end(pages, first, nr)
        length = (end - first) << PAGE_SHIFT
        if syscalls.fallocate(file, _PUNCH, pages[first] << PAGE_SHIFT, length):
            error = syscalls.errno_of_last(pages, SCRATCH)
            if error != syscalls.EINTR:
                return -error if first else UNTOUCHED - error
        else:
            first = end
    return 0


@jit
def drain(pipe: int, address: int, length: int, pages: NDArray[np.int64]) -> int:
    """Read so many bytes from a pipe to an address."""
    while length > 0:
        got = syscalls.read(pipe, address, length)
        if got == 0:
            return SHORT
        if got > 0:
            address += got
            length -= got
            continue
        error = syscalls.errno_of_last(pages, SCRATCH)
        if error != syscalls.EINTR:
            return -error
    return 0


@jit
def plain_batch(buffer: NDArray[np.uint8], states: NDArray[np.uint8], pages: NDArray[np.int64]) -> int:
    """Return how many pages the engine's batch holds if all are mapped, of one enclave and one group; else 0.

    Args:
        buffer: the engine's, uint8.
        states: of all pages, where the engine has them, uint8.
        pages: gets page numbers, enclave and group.
    """
    s = entry.state_over(buffer)
    nr = s.machine[at.BATCH_NR]
    enclave, group = s.machine[at.BATCH], s.machine[at.BATCH + 2]
    offset = s.enclaves[enclave, at.ENCLAVE_OFFSET]
    for row in range(nr):
        word = at.BATCH + row * at.BATCH_COLUMNS
        page = s.machine[word + 1]
        if s.machine[word] != enclave or s.machine[word + 2] != group or states[offset + page] != _MAPPED:
            return 0
        place = row
        while place > 0 and pages[place - 1] > page:
            pages[place] = pages[place - 1]
            place -= 1
        pages[place] = page
    pages[ENCLAVE], pages[GROUP] = enclave, group
    return nr  # type: ignore[no-any-return]
