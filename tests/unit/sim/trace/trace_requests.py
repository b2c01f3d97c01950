"""Traces as lists of requests, each a list of pages: written and read back, for tests."""

from pathlib import Path

import numpy as np

from epcgroup.sim.trace.format import PAGE_MASK, REQUEST_MARK, read_trace
from epcgroup.sim.trace.writer import open_writer

Requests = list[list[int]]


def write(path: Path, requests: Requests, has_requests: bool = True, has_arrivals: bool = True) -> Path:
    mark = REQUEST_MARK if has_requests else 0
    has_arrivals &= has_requests
    with open_writer(path, {"source": "x"}, unit_ns=3 if has_arrivals else 0) as writer:
        for index, (first, *rest) in enumerate(requests):
            arrivals = np.array([index + 1], np.uint32) if has_arrivals else None
            writer.append(np.array([first | mark, *rest], np.uint32), arrivals)
    return path


def read(path: Path) -> Requests:
    """Return the requests of a trace; a trace without them is one."""
    references = read_trace(path).references
    found: Requests = []
    for reference in references.tolist():
        if reference & REQUEST_MARK or not found:
            found.append([])
        found[-1].append(reference & PAGE_MASK)
    return found
