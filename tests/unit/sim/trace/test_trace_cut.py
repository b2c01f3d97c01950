"""Parts of a trace: what a list says, in pieces of any size, from either form."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import TraceFormatError, UsageError
from epcgroup.sim.trace import cut as cutting
from epcgroup.sim.trace import parquet
from epcgroup.sim.trace.cut import Bounds, cut
from epcgroup.sim.trace.format import read_trace
from tests.unit.sim.trace.trace_requests import Requests, read, write

requests_strategy = st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=4), min_size=1, max_size=15)


@settings(max_examples=80, deadline=None)
@given(
    requests=requests_strategy,
    by=st.sampled_from([cutting.REFERENCES, cutting.REQUESTS]),
    start=st.integers(0, 20),
    length=st.integers(1, 30),
    piece=st.integers(1, 9),
    suffix=st.sampled_from([".npy", ".parquet"]),
    has_arrivals=st.booleans(),
)
def test_requests_that_begin_in_it_stay_whole(
    tmp_path_factory: pytest.TempPathFactory,
    requests: Requests,
    by: str,
    start: int,
    length: int,
    piece: int,
    suffix: str,
    has_arrivals: bool,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = write(folder / f"whole{suffix}", requests, has_arrivals=has_arrivals)
    places = np.cumsum([0] + [len(request) for request in requests])
    order = places[:-1] if by == cutting.REFERENCES else np.arange(len(requests))
    expected = [index for index, place in enumerate(order) if start <= place < start + length]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_PIECE", piece)
        patch.setattr(parquet, "_BATCH_ROWS", piece)
        bounds = Bounds(by, start, start + length)
        if not expected:
            with pytest.raises(TraceFormatError, match="the trace is empty"):
                cut(path, folder / "part.npy", bounds, keeps_pages=True)
            return
        cut(path, folder / "part.npy", bounds, keeps_pages=True)
    assert read(folder / "part.npy") == [requests[index] for index in expected]
    part = read_trace(folder / "part.npy")
    assert part.nr_pages == read_trace(path).nr_pages
    if has_arrivals:
        assert part.arrivals is not None
        assert part.arrivals.tolist() == [0, *(index + 1 for index in expected[1:])]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(0, 50), st.integers(1, 50))
def test_references_without_requests(
    tmp_path_factory: pytest.TempPathFactory, pages: list[int], start: int, length: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = write(folder / "plain.npy", [[page] for page in pages], has_requests=False)
    expected = pages[start : start + length]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_PIECE", 7)
        if expected:
            cut(path, folder / "part.npy", Bounds(start=start, stop=start + length), keeps_pages=True)
            assert read(folder / "part.npy") == [expected]
        else:
            with pytest.raises(TraceFormatError, match="the trace is empty"):
                cut(path, folder / "part.npy", Bounds(start=start, stop=start + length))


def test_pages_are_numbered_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "t.npy", [[9], [40, 7], [40]])
    header = cut(path, tmp_path / "part.npy", Bounds(cutting.REQUESTS, 1))
    assert read(tmp_path / "part.npy") == [[0, 1], [0]]
    assert header.nr_pages == 2
    assert header.provenance == {"cut": [1, 3], "by": "requests", "of": {"source": "x"}}


def test_share_and_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "t.npy", [[page] for page in range(10)])
    cut(path, tmp_path / "half.npy", Bounds(cutting.SHARE, 0.5), keeps_pages=True)
    assert read(tmp_path / "half.npy") == [[page] for page in range(5, 10)]
    cut(path, tmp_path / "all.parquet", Bounds())
    assert read(tmp_path / "all.parquet") == read(path)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (Bounds(cutting.REQUESTS, 0, 1), "knows no requests"),
        (Bounds(cutting.REFERENCES, 5, 5), "references from 5 to 5"),
        (Bounds(cutting.REFERENCES, -1), "references from -1 to None"),
        (Bounds(cutting.SHARE, 0, 1.1), "the end at most 1"),
        (Bounds(cutting.SHARE, float("nan")), "share from nan"),
    ],
)
def test_bounds_that_cannot_be(tmp_path: Path, bounds: Bounds, message: str) -> None:
    path = write(tmp_path / "t.npy", [[1]], has_requests=False)
    with pytest.raises(UsageError, match=message):
        cut(path, tmp_path / "part.npy", bounds)


def test_progress_ends_with_the_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "_PIECE", 10)
    path = write(tmp_path / "t.npy", [[page] for page in range(100)])
    seen: list[tuple[int, int | None]] = []
    cut(path, tmp_path / "p.npy", Bounds(stop=25), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 100), (20, 100), (30, 100)]
