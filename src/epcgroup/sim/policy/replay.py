"""One trace, one group, one policy: how many references miss. No costs, no time, no neighbours.

By default in an exact setting, where nothing but the policy counts: the group may hold ``capacity_pages``,
one page leaves when one must, nothing happens in the background. That is what papers about policies measure.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import background, enclave, fault
from epcgroup.errors import UsageError
from epcgroup.face import entry as over
from epcgroup.face.epc import Epc
from epcgroup.sim.policy import SECOND_CHANCE, find
from epcgroup.sim.policy.hooks import answer, arrive, touch
from epcgroup.state import layout as at
from epcgroup.state.series import Series
from epcgroup.units import PAGE_SIZE

#: Faults reclaim one page themselves at the limit; no watermarks, no background.
EXACT: Final = Series(nr_to_scan=1, nr_low=0, nr_high=0, fault_reclaims=1, va_when_needed=1)
_EVICT = 3
_BUSY = 4
_PAGE_MASK = (1 << 31) - 1
#: Frames beyond the limit: what batches of a series leave free by its watermarks.
_SPARE = 256


@jit
def _reserve(buffer: NDArray[np.uint8], encl: int, group: int, nr_pages: int) -> int:
    """Take the VA pages of ``nr_pages`` at once, so that overhead is the same all along."""
    s = over.state_over(buffer)
    answer = 0
    for _ in range(nr_pages):
        answer = enclave.grow(s, encl, group, False, False)
        if answer:
            break
    s.enclaves[encl, at.ENCLAVE_PAGE_COUNT] -= nr_pages
    return answer


@jit
def _access(buffer: NDArray[np.uint8], encl: int, index: int, group: int) -> int:
    return fault.access(over.state_over(buffer), encl, index, group, False)


@jit
def _next_batch(buffer: NDArray[np.uint8]) -> int:
    return background.next_batch(over.state_over(buffer))


@jit
def _finish(buffer: NDArray[np.uint8], outcomes: NDArray[np.uint8]) -> int:
    return background.finish(over.state_over(buffer), outcomes)


@jit
def _decide(buffer: NDArray[np.uint8], memory: NDArray[np.uint8], outcomes: NDArray[np.uint8]) -> None:
    answer(over.state_over(buffer), memory, outcomes)


@inlined
def _serve(
    buffer: NDArray[np.uint8],
    memory: NDArray[np.uint8],
    outcomes: NDArray[np.uint8],
    encl: int,
    index: int,
    group: int,
) -> int:
    """Bring one page in, then do what the background wants; the final ``Outcome``."""
    outcome = _access(buffer, encl, index, group)
    while outcome == _EVICT or (outcome == _BUSY and _next_batch(buffer)):
        _decide(buffer, memory, outcomes)
        _finish(buffer, outcomes)
        outcome = _access(buffer, encl, index, group)
    return outcome


@jit
def _follow(
    buffer: NDArray[np.uint8],
    memory: NDArray[np.uint8],
    trace: NDArray[np.uint32],
    outcomes: NDArray[np.uint8],
    encl: int,
    group: int,
) -> int:
    """Follow a trace; returns the misses, -1 when a page is refused."""
    s = over.state_over(buffer)
    offset = np.uint64(s.enclaves[encl, at.ENCLAVE_OFFSET])
    misses = 0
    for reference in trace:
        index: Any = np.uint64(reference) & np.uint64(_PAGE_MASK)
        element: Any = offset + index
        if s.pages[element] > 0:
            touch(s, memory, element)
            continue
        page: Any = np.int64(index)
        outcome = _serve(buffer, memory, outcomes, encl, page, group)
        if outcome not in (fault.CREATED, fault.LOADED):
            return -1
        arrive(s, memory, element)
        misses += 1
        while background.has_work(s) and _next_batch(buffer):
            _decide(buffer, memory, outcomes)
            _finish(buffer, outcomes)
    return misses


class OneGroup(NamedTuple):
    """A machine with one group and one enclave in it."""

    epc: Epc
    group: int
    enclave: int


def one_group(nr_pages: int, capacity_pages: int, series: Series = EXACT) -> OneGroup:
    """Return a machine whose group may hold ``capacity_pages`` of an enclave of ``nr_pages``, none there yet.

    Raises:
        UsageError: not a page of room; the series enforces no limits, or refuses the overhead.
    """
    if not series.enforced:
        raise UsageError("this series enforces no limits: a group holds what it likes")
    if capacity_pages < 1:
        raise UsageError(f"capacity of {capacity_pages} pages: at least 1 is needed")
    limit = capacity_pages + 2 + (nr_pages + 1) // enclave.VA_SLOTS  # the SECS and VA pages
    epc = Epc.create(
        limit + _SPARE, series=series, nr_groups=2, nr_enclaves=2, nr_enclave_pages=nr_pages, sgx2=True
    )
    group = epc.mkdir("/one")
    _, number = epc.enclave_create(group, nr_pages)
    epc.enclave_init(number)
    if _reserve(over.buffer_of(epc.state), number, group, nr_pages):
        raise UsageError(f"the series refuses the overhead of {nr_pages} pages")
    epc.write("/one", "misc.max", f"sgx_epc {limit * PAGE_SIZE}")
    return OneGroup(epc, group, number)


class Replay:
    """A policy on a machine with one group.

    Args:
        nr_pages: size of the enclave; references are below it.
        capacity_pages: pages it may hold, its SECS and VA pages not counted.
        policy: name, see ``policy.names()``.
        series: how the limit is enforced.
        nr_references: room for what ``foresee`` will be told.

    Raises:
        UsageError: no such policy; not a page of room.
    """

    def __init__(
        self,
        nr_pages: int,
        capacity_pages: int,
        policy: str = SECOND_CHANCE,
        *,
        series: Series = EXACT,
        nr_references: int = 0,
    ) -> None:
        self._policy = None if policy == SECOND_CHANCE else find(policy)
        self._loop = self._policy.bind_to(_follow) if self._policy else _follow
        self.epc, self.group, self.enclave = one_group(nr_pages, capacity_pages, series)
        sizes = at.Sizes(self.epc.capacity_pages, 2, 2, nr_pages)
        self._buffer = over.buffer_of(self.epc.state)
        self._memory = self._policy.memory(sizes, nr_references) if self._policy else np.zeros(0, np.uint8)
        self._outcomes = np.zeros(at.BATCH_ROWS, np.uint8)

    def foresee(self, trace: NDArray[np.uint32]) -> None:
        """Tell the policy what will come."""
        if self._policy and self._policy.needs_future:
            self._policy.foresee(self._memory, 0, trace, False)

    def follow(self, trace: NDArray[np.uint32]) -> int:
        """Follow references (pages, uint32; bit 31 is ignored); returns how many missed.

        Raises:
            UsageError: the series refuses a page.
        """
        misses = int(self._loop(self._buffer, self._memory, trace, self._outcomes, self.enclave, self.group))
        if misses < 0:
            raise UsageError("a page was refused: the limit is too small for this series")
        return misses


def replay(
    trace: NDArray[np.uint32], capacity_pages: int, policy: str = SECOND_CHANCE, *, series: Series = EXACT
) -> int:
    """Return how many references of a trace miss, from an empty start; see ``Replay``.

    Args:
        trace: pages in order of use, uint32, contiguous; bit 31 is ignored.
        capacity_pages: pages the group may hold.
        policy: name, see ``policy.names()``.
        series: how the limit is enforced.

    Raises:
        UsageError: an empty trace; no such policy; not a page of room.
    """
    if not len(trace):
        raise UsageError("an empty trace: at least one reference is needed")
    nr_pages = int((trace & np.uint32(_PAGE_MASK)).max()) + 1
    machine = Replay(nr_pages, capacity_pages, policy, series=series, nr_references=len(trace))
    machine.foresee(trace)
    return machine.follow(trace)
