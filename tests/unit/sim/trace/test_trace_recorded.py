"""Events of a pager become a trace."""

from array import array
from pathlib import Path

import numpy as np
import pytest

from epcgroup.abi import recording
from epcgroup.abi.recording import Kind
from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.format import PAGE_MASK, Trace, read_trace
from epcgroup.sim.trace.recorded import UNIT_NS, Counts, Transcript
from epcgroup.sim.trace.writer import open_writer

Event = tuple[int, int, int, int]
EVENTS: list[Event] = [
    (1000, Kind.CREATED, 0, 3),
    (2500, Kind.CREATED, 1, 0),
    (9_999_999, Kind.YOUNG, 0, 3),
    (10_000_000, Kind.LOADED, 1, 4),
]


def words(events: list[Event]) -> "array[int]":
    flat = [
        word for time, kind, place, page in events for word in (time, recording.prefix(kind, place) | page)
    ]
    return recording.decode(recording.encode(flat))


def written(path: Path, events: list[Event], sizes: list[int], *, faults_only: bool) -> tuple[Trace, Counts]:
    with open_writer(path, {}, unit_ns=UNIT_NS) as writer:
        transcript = Transcript(writer, faults_only=faults_only)
        for event in events:
            transcript.add(words([event]), sizes)
        transcript.add(words([]), sizes)
    return read_trace(path), transcript.counts


def test_pages_of_enclaves_follow_one_another(tmp_path: Path) -> None:
    trace, counts = written(tmp_path / "t.npy", EVENTS, [5, 8], faults_only=False)
    assert (trace.references & np.uint32(PAGE_MASK)).tolist() == [3, 5, 3, 9]
    assert trace.nr_requests == 4
    assert trace.arrivals is not None
    assert trace.arrivals.tolist() == [0, 1, 9997, 1]
    assert trace.nr_pages == 13
    assert (counts.created, counts.loaded, counts.young, counts.faults) == (2, 1, 1, 3)


def test_faults_only(tmp_path: Path) -> None:
    trace, counts = written(tmp_path / "t.npy", EVENTS, [5, 8], faults_only=True)
    assert (trace.references & np.uint32(PAGE_MASK)).tolist() == [3, 5, 9]
    assert trace.arrivals is not None
    assert trace.arrivals.tolist() == [0, 1, 9998]
    assert counts.young == 1


@pytest.mark.parametrize("sizes", [[], [5], [3, 8], [5, 4]])
def test_pages_no_enclave_has(tmp_path: Path, sizes: list[int]) -> None:
    with pytest.raises(TraceFormatError, match="a page that no enclave of the recording has"):
        written(tmp_path / "t.npy", EVENTS, sizes, faults_only=False)
