"""Several traces as one: their requests in a random order, each trace's pages apart from the others'."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.errors import UsageError
from epcgroup.sim.trace.format import MAX_PAGES, REQUEST_MARK, Header, Trace, read_trace
from epcgroup.sim.trace.source import Progress
from epcgroup.sim.trace.writer import open_writer

MAX_TRACES: Final = 256
_MARK: Final = np.uint32(REQUEST_MARK)
#: Requests put in order at once.
_ROUND: Final = 1 << 15
_WINDOW: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Part:
    """A trace that goes in: its file, and the chance of its requests to be next, relative to the others."""

    path: Path
    weight: float = 1.0


class _Cursor:
    """Hands out a trace request by request; without requests: reference by reference."""

    def __init__(self, trace: Trace, first_page: int, marks_all: bool) -> None:
        self._references = trace.references
        self._has_requests = bool(trace.nr_requests)
        self._first_page = np.uint32(first_page)
        self._mark = _MARK if marks_all and not self._has_requests else np.uint32(0)
        self._place = 0
        #: Where requests begin, from the next one on, as far as was looked; the end of the trace at the end.
        self._begins = np.zeros(0, np.int64)
        self._looked = 0

    def take(self, nr_requests: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the references of the next requests and how many each has; fewer at the end."""
        end = len(self._references)
        if not self._has_requests:
            stop = min(end, self._place + nr_requests)
            lengths = np.ones(stop - self._place, np.int64)
        else:
            self._look(nr_requests + 1)
            begins = self._begins[: nr_requests + 1]
            lengths = np.diff(begins)
            stop = int(begins[-1])
            self._begins = self._begins[len(begins) - 1 :]
        taken = self._references[self._place : stop] + self._first_page
        self._place = stop
        return taken | self._mark, lengths

    def _look(self, nr_begins: int) -> None:
        """Find where so many requests begin."""
        found = [self._begins]
        nr_found = len(self._begins)
        end = len(self._references)
        while nr_found < nr_begins and self._looked < end:
            window = self._references[self._looked : self._looked + _WINDOW]
            found.append(np.flatnonzero(window & _MARK) + self._looked)
            nr_found += len(found[-1])
            self._looked += len(window)
            if self._looked >= end:
                found.append(np.array([end]))
        self._begins = np.concatenate(found)


def mix(
    parts: Sequence[Part],
    out: Path,
    *,
    seed: int = 1,
    until_all: bool = False,
    progress: Progress | None = None,
) -> Header:
    """Write a mixture; arrivals are left out, for the order is a new one.

    A trace without requests goes in reference by reference. If any trace has requests, each of these is one.

    Args:
        parts: two or more.
        out: the mixture; pages of the first trace keep their numbers, those of the next ones follow.
        seed: of the order.
        until_all: whether the others go on where one ends; else the mixture ends with the first that does.
        progress: called with references written and (an upper bound of those) in all.

    Raises:
        TraceFormatError: a file is no trace.
        UsageError: too few or too many parts, a weight that is none, more pages than a trace can have.
        OSError: a file cannot be read or written.
    """
    _check(parts)
    traces = [read_trace(part.path) for part in parts]
    first_pages = np.cumsum([0] + [trace.nr_pages for trace in traces])
    if first_pages[-1] > MAX_PAGES:
        raise UsageError(f"{first_pages[-1]} pages in all: a trace has at most {MAX_PAGES}")
    marks_all = any(trace.nr_requests for trace in traces)
    cursors = [
        _Cursor(trace, int(first), marks_all) for trace, first in zip(traces, first_pages, strict=False)
    ]
    provenance = {
        "mix": [[part.path.name, part.weight] for part in parts],
        "seed": seed,
        "of": [trace.provenance for trace in traces],
    }
    total = sum(len(trace.references) for trace in traces)
    order = _Order(parts, cursors, np.random.default_rng(seed), until_all)
    with open_writer(out, provenance, nr_pages=int(first_pages[-1])) as writer:
        while not order.is_over:
            writer.append(order.next_round())
            if progress is not None:
                progress(writer.nr_references, total)
    return writer.header


def _check(parts: Sequence[Part]) -> None:
    if not 2 <= len(parts) <= MAX_TRACES:
        raise UsageError(f"{len(parts)} traces to mix: 2 to {MAX_TRACES} are possible")
    for part in parts:
        if not 0 < part.weight < float("inf"):
            raise UsageError(f"weight {part.weight} of {part.path}: expected a number above 0")


class _Order:
    """Draws whose request is next, round by round."""

    def __init__(
        self, parts: Sequence[Part], cursors: list[_Cursor], random: np.random.Generator, until_all: bool
    ) -> None:
        self._weights = np.array([part.weight for part in parts])
        self._cursors = cursors
        self._random = random
        self._until_all = until_all
        self.is_over = False

    def next_round(self) -> NDArray[np.uint32]:
        """Return the references of the next requests; none is left over in between.

        A trace that ends within the round: the round ends where its next request would have been.
        """
        chances = np.cumsum(self._weights) / self._weights.sum()
        chosen = np.searchsorted(chances[:-1], self._random.random(_ROUND), side="right")
        counts = np.bincount(chosen, minlength=len(self._cursors))
        taken = [cursor.take(int(count)) for cursor, count in zip(self._cursors, counts, strict=True)]
        ended = [index for index, (_, lengths) in enumerate(taken) if len(lengths) < counts[index]]
        if ended:
            chosen = self._end(chosen, taken, ended)
        return _interleaved(chosen, taken)

    def _end(
        self,
        chosen: NDArray[np.int64],
        taken: list[tuple[NDArray[np.uint32], NDArray[np.int64]]],
        ended: list[int],
    ) -> NDArray[np.int64]:
        """Shorten a round in which traces end; what is not used of the others is lost only if all is over."""
        if not self._until_all:
            self.is_over = True
            stops = [np.flatnonzero(chosen == index)[len(taken[index][1])] for index in ended]
            return chosen[: min(stops)]
        is_kept = np.ones(len(chosen), bool)
        for index in ended:
            is_kept[np.flatnonzero(chosen == index)[len(taken[index][1]) :]] = False
            self._weights[index] = 0
        self.is_over = not self._weights.any()
        return chosen[is_kept]


def _interleaved(
    chosen: NDArray[np.int64], taken: list[tuple[NDArray[np.uint32], NDArray[np.int64]]]
) -> NDArray[np.uint32]:
    """Return the references of requests in the order of ``chosen``, the index of the part of each."""
    lengths = np.zeros(len(chosen), np.int64)
    where = [np.flatnonzero(chosen == index) for index in range(len(taken))]
    for places, (_, own) in zip(where, taken, strict=True):
        lengths[places] = own[: len(places)]
    starts = np.cumsum(lengths) - lengths
    out = np.empty(int(lengths.sum()), np.uint32)
    for places, (references, own) in zip(where, taken, strict=True):
        own = own[: len(places)]
        begins = np.cumsum(own) - own
        inside = np.arange(int(own.sum())) - np.repeat(begins, own)
        out[np.repeat(starts[places], own) + inside] = references[: len(inside)]
    return out
