"""A part of a trace as a trace of its own; with no bounds: a copy, in the other form if the name says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.errors import UsageError
from epcgroup.sim.trace.format import PAGE_MASK, REQUEST_MARK, Header, Trace, is_parquet, read_trace
from epcgroup.sim.trace.numbering import Numbering
from epcgroup.sim.trace.source import Progress
from epcgroup.sim.trace.writer import open_writer

REFERENCES, REQUESTS, SHARE = "references", "requests", "share"
_PIECE: Final = 1 << 18
_MARK: Final = np.uint32(REQUEST_MARK)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What part: from ``start`` up to, not with, ``stop``.

    Attributes:
        by: what is counted: ``references``, ``requests``, or ``share`` (of the references, from 0 to 1).
        start: the first.
        stop: where it ends; None: with the trace.
    """

    by: str = REFERENCES
    start: float = 0
    stop: float | None = None


@contextmanager
def open_pieces(path: Path) -> Iterator[tuple[Header, Iterator[Trace]]]:
    """Give the header of a trace, either form, and an iterator of its pieces; raises as ``read_trace``."""
    if is_parquet(path):
        from epcgroup.sim.trace import parquet

        with parquet.open_pieces(path) as opened:
            yield opened
        return
    trace = read_trace(path)
    yield trace.header, _pieces(trace)


def _pieces(trace: Trace) -> Iterator[Trace]:
    done = 0
    for start in range(0, len(trace.references), _PIECE):
        references = trace.references[start : start + _PIECE]
        arrivals = None
        if trace.arrivals is not None:
            nr_marks = int(np.count_nonzero(references & _MARK))
            arrivals = trace.arrivals[done : done + nr_marks]
            done += nr_marks
        yield Trace(references, trace.header, arrivals)


def cut(
    path: Path, out: Path, bounds: Bounds, *, keeps_pages: bool = False, progress: Progress | None = None
) -> Header:
    """Write a part of a trace.

    Requests stay whole: a part holds those that begin in it. The first arrival of a part is its start.

    Args:
        path: a trace.
        out: the part.
        bounds: which.
        keeps_pages: pages keep their numbers; else they are numbered anew in order of their first touch.
        progress: called with references done and in all.

    Raises:
        TraceFormatError: ``path`` is no trace, or nothing of it is within the bounds.
        UsageError: the bounds cannot be.
        OSError: a file cannot be read or written.
    """
    numbering = None if keeps_pages else Numbering()
    with open_pieces(path) as (header, pieces):
        selection = _Selection(header, bounds)
        provenance = {"cut": [selection.start, selection.stop], "by": selection.by, "of": header.provenance}
        nr_pages = header.nr_pages if keeps_pages else 0
        with open_writer(out, provenance, unit_ns=header.unit_ns, nr_pages=nr_pages) as writer:
            for piece in pieces:
                references, arrivals = selection.of(piece)
                if numbering is not None:
                    numbers = numbering.numbers((references & np.uint32(PAGE_MASK)).astype(np.uint64))
                    references = numbers | (references & _MARK)
                writer.append(references, arrivals)
                if progress is not None:
                    progress(selection.nr_seen, header.nr_references)
                if selection.is_over:
                    break
    return writer.header


class _Selection:
    """Picks what is within bounds out of the pieces of a trace, in order."""

    def __init__(self, header: Header, bounds: Bounds) -> None:
        scale = header.nr_references if bounds.by == SHARE else 1
        stop = bounds.stop if bounds.stop is not None else (1 if bounds.by == SHARE else 2**63)
        _check(bounds, header, stop)
        self.by = REQUESTS if bounds.by == REQUESTS else REFERENCES
        self.start, self.stop = int(bounds.start * scale), int(stop * scale)
        if bounds.stop is None:
            self.stop = header.nr_requests if self.by == REQUESTS else header.nr_references
        self.nr_seen = 0
        self._has_requests = bool(header.nr_requests)
        self._nr_requests = 0
        self._is_inside = False
        self._was_inside = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come."""
        nr_counted = self._nr_requests if self.by == REQUESTS else self.nr_seen
        return nr_counted >= self.stop and not self._is_inside

    def of(self, piece: Trace) -> tuple[NDArray[np.uint32], NDArray[np.uint32] | None]:
        """Return what of the next piece is within bounds: references and arrivals."""
        references = piece.references
        nr_before, self.nr_seen = self.nr_seen, self.nr_seen + len(references)
        if not self._has_requests:
            bounds = np.clip([self.start - nr_before, self.stop - nr_before], 0, len(references))
            return references[bounds[0] : bounds[1]], None
        begins = np.flatnonzero(references & _MARK)
        order = begins + nr_before if self.by == REFERENCES else np.arange(len(begins)) + self._nr_requests
        is_in = (order >= self.start) & (order < self.stop)
        self._nr_requests += len(begins)
        lengths = np.diff(begins, prepend=0, append=len(references))
        inside = np.repeat(np.concatenate([[self._is_inside], is_in]), lengths)
        if len(begins):
            self._is_inside = bool(is_in[-1])
        arrivals = None if piece.arrivals is None else piece.arrivals[is_in].copy()
        if arrivals is not None and len(arrivals) and not self._was_inside:
            arrivals[0] = 0
            self._was_inside = True
        return references[inside], arrivals


def _check(bounds: Bounds, header: Header, stop: float) -> None:
    if bounds.by == REQUESTS and not header.nr_requests:
        raise UsageError("the trace knows no requests: cut it by references or by share")
    highest = 1 if bounds.by == SHARE else 2**63
    if not 0 <= bounds.start < stop <= highest:
        raise UsageError(
            f"{bounds.by} from {bounds.start} to {bounds.stop}: the start is at least 0 and before the end"
            + (", the end at most 1" if bounds.by == SHARE else "")
        )
