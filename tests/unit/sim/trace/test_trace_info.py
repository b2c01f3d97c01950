"""Figures of a trace."""

from pathlib import Path

import numpy as np

from epcgroup.sim.trace.format import REQUEST_MARK, read_trace
from epcgroup.sim.trace.info import describe
from epcgroup.sim.trace.writer import open_writer


def test_figures(tmp_path: Path) -> None:
    with open_writer(tmp_path / "t.npy", {"estimated": True}, unit_ns=10**6, nr_pages=100) as writer:
        marked = np.array([5, 99, 5], np.uint32) | np.uint32(REQUEST_MARK)
        writer.append(marked, np.array([0, 500, 1000], np.uint32))
    info = describe(read_trace(tmp_path / "t.npy"))
    assert info.to_json() == {
        "schema": "epcgroup/trace/1",
        "pages": 100,
        "touched_pages": 2,
        "references": 3,
        "requests": 3,
        "duration_s": 1.5,
        "requests_per_s": 2.0,
        "estimated": True,
        "provenance": {"estimated": True},
    }


def test_without_times(tmp_path: Path) -> None:
    with open_writer(tmp_path / "t.npy", {}) as writer:
        writer.append(np.arange(300_000, dtype=np.uint32))
    info = describe(read_trace(tmp_path / "t.npy"))
    assert (info.nr_touched, info.duration_ns, info.requests_per_s) == (300_000, None, None)
    assert info.is_estimated is False
