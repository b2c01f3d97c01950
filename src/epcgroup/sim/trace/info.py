"""What can be said of a trace by looking at every reference once."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from epcgroup.sim.trace.format import PAGE_MASK, Trace

_PIECE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Info:
    """Figures of a trace.

    Attributes:
        nr_pages: every page is below it.
        nr_touched: different pages that occur.
        nr_references: length.
        nr_requests: 0: the trace knows none.
        duration_ns: from the start to the last arrival; None without arrivals.
        is_estimated: whether references are a sample instead of exact.
        provenance: where it comes from.
    """

    nr_pages: int
    nr_touched: int
    nr_references: int
    nr_requests: int
    duration_ns: int | None
    is_estimated: bool
    provenance: dict[str, Any]

    @property
    def requests_per_s(self) -> float | None:
        """Mean rate of arrivals; None without, or when all came at once."""
        return self.nr_requests * 1e9 / self.duration_ns if self.duration_ns else None

    def to_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        rate = self.requests_per_s
        return {
            "schema": "epcgroup/trace/1",
            "pages": self.nr_pages,
            "touched_pages": self.nr_touched,
            "references": self.nr_references,
            "requests": self.nr_requests,
            "duration_s": None if self.duration_ns is None else self.duration_ns / 1e9,
            "requests_per_s": None if rate is None else round(rate, 3),
            "estimated": self.is_estimated,
            "provenance": self.provenance,
        }


def describe(trace: Trace) -> Info:
    """Return the figures of a trace; takes a byte a page while it counts."""
    is_touched = np.zeros(trace.nr_pages, np.bool_)
    for start in range(0, len(trace.references), _PIECE):
        is_touched[trace.references[start : start + _PIECE] & np.uint32(PAGE_MASK)] = True
    duration_ns = None
    if trace.arrivals is not None:
        duration_ns = int(trace.arrivals.sum(dtype=np.uint64)) * trace.unit_ns
    return Info(
        trace.nr_pages,
        int(np.count_nonzero(is_touched)),
        len(trace.references),
        trace.nr_requests,
        duration_ns,
        trace.provenance.get("estimated") is True,
        dict(trace.provenance),
    )
