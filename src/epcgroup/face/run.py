"""The bulk path: a stream of page references in one compiled loop, for a machine without page tables.

A reference to a resident page sets its accessed mark here; every other one takes the steps of a live machine,
through the same functions: ``fault.access``, then ageing by the engine's own marks and ``background.finish``
for each batch. Who refers is the high part of a reference: ``stream << page_bits | page``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled import native
from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.engine import background, fault, oom
from epcgroup.errors import UsageError
from epcgroup.face import entry
from epcgroup.state import layout as at
from epcgroup.state.layout import State
from epcgroup.state.outcome import Outcome

_EVICT = 3
_BUSY = 4
_KILL = 9
#: References looked ahead: longer than memory takes to answer, short enough to stay in the first cache.
_AHEAD = 16
#: Pages of a list looked at ahead of reclaim, all and after one fault: its links are a chain that memory
#: answers one by one.
_LIST_AHEAD = 20
_LIST_STEP = 2
#: Columns of ``streams``: where a stream refers to; then how far its group's list was looked at.
ENCLAVE, GROUP, OFFSET, SIZE, HEAD, SEEN, LEFT = range(7)
#: Words of ``totals``: one for each ``Outcome``, then these.
EVICTIONS, SCANNED, NR_DONE = range(10, 13)
NR_TOTALS = 13


@dataclass(frozen=True, slots=True)
class Counters:
    """What a run did, in references and in pages."""

    hits: int
    created: int
    loaded: int
    #: No room, even after all background work was done: SIGBUS in a program.
    refused: int
    #: Pages that do not exist and may not be made (the enclave is not initialised, or killed): SIGBUS too.
    no_page: int
    #: Enclaves killed (``epc.oom``).
    killed: int
    evictions: int
    scanned: int

    @property
    def faults(self) -> int:
        """Pages brought in."""
        return self.created + self.loaded

    @property
    def rotated(self) -> int:
        """Pages that were scanned and put back."""
        return self.scanned - self.evictions


def streams_of(state: State, tasks: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Return the rows of ``streams`` for (enclave, group charged) pairs, int64 (n, 7)."""
    rows = np.zeros((len(tasks), 7), np.int64)
    for row, (number, group) in zip(rows, tasks, strict=True):
        enclave = state.enclaves[number]
        row[: SIZE + 1] = number, group, enclave[at.ENCLAVE_OFFSET], enclave[at.ENCLAVE_SIZE]
    return rows


def follow(
    state: State,
    buffer: NDArray[np.uint8],
    trace: NDArray[np.uint32],
    page_bits: int,
    tasks: Sequence[tuple[int, int]],
    idle: bool,
) -> Counters:
    """Run a trace for ``Epc.run``, which describes the arguments and the errors."""
    if trace.dtype != np.uint32 or trace.ndim != 1 or not trace.flags.c_contiguous:
        raise UsageError(f"a trace is one contiguous row of uint32, not {trace.dtype} {trace.shape}")
    if not 0 < page_bits <= 32:
        raise UsageError(f"page_bits of {page_bits}: a reference has 32 bits, 1 to 32 of them name the page")
    totals = np.zeros(NR_TOTALS, np.int64)
    outcomes = np.zeros(at.BATCH_ROWS, np.uint8)
    run(buffer, trace, page_bits, streams_of(state, tasks), outcomes, totals, idle)
    done = int(totals[NR_DONE])
    if done < len(trace):
        raise UsageError(f"reference {done}, {int(trace[done]):#x}: no such stream, or no such page in it")
    return counters_of(totals)


def counters_of(totals: NDArray[np.int64]) -> Counters:
    """Return the words of ``totals`` by name."""
    words = totals.tolist()
    return Counters(
        hits=words[Outcome.HIT],
        created=words[Outcome.CREATED],
        loaded=words[Outcome.LOADED],
        refused=words[Outcome.BUSY] + words[Outcome.REFUSED] + words[Outcome.LIVELOCK],
        no_page=words[Outcome.NO_PAGE],
        killed=words[Outcome.KILL],
        evictions=words[EVICTIONS],
        scanned=words[SCANNED],
    )


@jit
def _act(buffer: NDArray[np.uint8], outcomes: NDArray[np.uint8], totals: NDArray[np.int64]) -> None:
    """Age the isolated batch and write out what is old."""
    s = entry.state_over(buffer)
    totals[SCANNED] += s.machine[at.BATCH_NR]
    background.age(s, outcomes)
    totals[EVICTIONS] += background.finish(s, outcomes)


@jit
def _kill(buffer: NDArray[np.uint8], totals: NDArray[np.int64]) -> None:
    """End the chosen enclave."""
    oom.finish_kill(entry.state_over(buffer))
    totals[_KILL] += 1


@jit
def _next_batch(buffer: NDArray[np.uint8]) -> int:
    return background.next_batch(entry.state_over(buffer))


@jit
def _access(buffer: NDArray[np.uint8], encl: int, index: int, group: int) -> int:
    return fault.access(entry.state_over(buffer), encl, index, group, False)


@inlined
def _serve(
    buffer: NDArray[np.uint8],
    encl: int,
    index: int,
    group: int,
    outcomes: NDArray[np.uint8],
    totals: NDArray[np.int64],
) -> int:
    """Bring one page in, reclaiming and killing as long as it takes; the final ``Outcome``."""
    answer = _access(buffer, encl, index, group)
    while answer in (_EVICT, _KILL) or (answer == _BUSY and _next_batch(buffer)):
        if answer == _KILL:
            _kill(buffer, totals)
        else:
            _act(buffer, outcomes, totals)
        answer = _access(buffer, encl, index, group)
    return answer


@jit
def _idle(buffer: NDArray[np.uint8], outcomes: NDArray[np.uint8], totals: NDArray[np.int64]) -> None:
    """Do background work until none is left."""
    while _next_batch(buffer):
        _act(buffer, outcomes, totals)


@inlined
def _look_ahead(s: State, stream: NDArray[np.int64]) -> None:
    """Fetch some of what the next batch of a stream's group will touch.

    What is read may be out of date, for it decides nothing.
    """
    head = s.groups[stream[GROUP], at.GROUP_LRU_HEAD]
    if stream[HEAD] != head:
        stream[HEAD] = stream[SEEN] = head
        stream[LEFT] = _LIST_AHEAD
    if stream[LEFT] > 0:
        frame = stream[SEEN]
        for _ in range(_LIST_STEP):
            element = nth(stream[OFFSET] + s.frames[frame, at.FRAME_PAGE])
            native.prefetch(s.marks, element)
            native.prefetch(s.pages, element)
            frame = s.frames[frame, at.FRAME_NEXT]
            native.prefetch(s.frames, nth(frame * at.FRAME_COLUMNS))
            native.prefetch(s.frames, nth(frame * at.FRAME_COLUMNS + at.FRAME_FLAGS))
        stream[SEEN] = frame
        stream[LEFT] -= _LIST_STEP


@jit
def run(
    buffer: NDArray[np.uint8],
    trace: NDArray[np.uint32],
    page_bits: int,
    streams: NDArray[np.int64],
    outcomes: NDArray[np.uint8],
    totals: NDArray[np.int64],
    idle: bool,
) -> None:
    """Follow a trace; stops at a reference outside its enclave (``totals[NR_DONE]`` < length).

    Args:
        buffer: the state.
        trace: references, uint32.
        page_bits: low bits of a reference that name the page.
        streams: int64 (n, 7): enclave, group charged, offset and size of the enclave's pages; three words of
            the loop.
        outcomes: room for the answers to one batch, uint8 (BATCH_ROWS,).
        totals: int64 (NR_TOTALS,), added to.
        idle: whether background work is done to its end after every fault.
    """
    s = entry.state_over(buffer)
    mask = np.uint64((1 << page_bits) - 1)
    shift = np.uint64(page_bits)
    nr_streams = np.uint64(streams.shape[0])
    size = np.uint64(trace.shape[0])
    ahead = np.uint64(_AHEAD)
    one = np.uint64(1)
    hits = 0
    step = np.uint64(0)
    while step < size:
        if step + ahead < size:
            reference = np.uint64(trace[step + ahead])
            stream = reference >> shift
            if stream < nr_streams:
                element = np.uint64(streams[stream, OFFSET]) + (reference & mask)
                native.prefetch(s.pages, element)
                native.prefetch(s.marks, element)
        reference = np.uint64(trace[step])
        stream = reference >> shift
        index = reference & mask
        if stream >= nr_streams or index >= np.uint64(streams[stream, SIZE]):
            break
        element = np.uint64(streams[stream, OFFSET]) + index
        if s.pages[element] > 0:
            s.marks[element] |= np.uint8(at.PAGE_ACCESSED)
            hits += 1
        else:
            row = streams[stream]
            page: Any = np.int64(index)
            answer = _serve(buffer, row[ENCLAVE], page, row[GROUP], outcomes, totals)
            totals[answer] += 1
            _look_ahead(s, row)
            if idle and background.has_work(s):
                _idle(buffer, outcomes, totals)
        step += one
    totals[fault.HIT] += hits
    totals[NR_DONE] += np.int64(step)
