"""Imports of tables: Twitter in both forms, ARC extents, any CSV, against plain readers of the same lines."""

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import TraceFormatError, UsageError
from epcgroup.sim.trace import tables
from epcgroup.sim.trace.format import PAGE_MASK, REQUEST_MARK, Trace, read_trace
from epcgroup.sim.trace.tables import CsvForm, import_arc, import_csv, import_twitter

TWITTER = """\
0,nz:u:eeW511W3dcH3de3d15ec,22,304,1,get,0
0,nz:u:other,10,0,2,set,3600
3,nz:u:eeW511W3dcH3de3d15ec,22,304,1,gets,0
"""
SAMPLE = """\
# time, object, size, next_access_vtime
5, 13053225291711363978, 737, 13
5, 61177148907475485, 248, 6570713
7, 13053225291711363978, 737, -2
"""


def numbered(names: list[Any]) -> list[int]:
    known: dict[Any, int] = {}
    return [known.setdefault(name, len(known)) for name in names]


def pages(trace: Trace) -> list[int]:
    return [int(page) for page in trace.references & np.uint32(PAGE_MASK)]


def marks(trace: Trace) -> list[bool]:
    return [bool(mark) for mark in trace.references & np.uint32(REQUEST_MARK)]


@pytest.fixture
def text(tmp_path: Path) -> Any:  # noqa: ANN401
    """A function that writes a text and returns its path."""

    def write(content: str) -> Path:
        (tmp_path / "in").write_text(content)
        return tmp_path / "in"

    return write


@pytest.mark.parametrize(("content", "form"), [(TWITTER, "twitter"), (SAMPLE, "twitter-sample")])
def test_twitter_in_both_forms(tmp_path: Path, text: Any, content: str, form: str) -> None:  # noqa: ANN401
    import_twitter(text(content), tmp_path / "t.npy")
    trace = read_trace(tmp_path / "t.npy")
    assert pages(trace) == [0, 1, 0]
    assert marks(trace) == [True] * 3
    assert trace.arrivals is not None
    assert trace.arrivals.tolist() == ([0, 0, 3] if form == "twitter" else [0, 0, 2])
    assert trace.unit_ns == 10**9
    assert trace.provenance == {"format": form, "source": "in"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "in: the file is empty"),
        ("# only a comment\n", "the trace is empty"),
        ("0,1\n", "in, line 1: 2 columns in '0,1': column 7 is the TTL"),
        ("0,a,b,1,2,3,get,0\n", "in, line 1: the TTL (column 7) is no number: 'get'"),
        ("#\n5, x, 3, 4\n", "in, line 2: the object (column 2) is no number: 'x'"),
        (TWITTER + "1,a,1,1,1,get,0\n", "in, line 4: time 1 comes -2 units after the one before"),
        ("0, 1, 1, 1\n9999999999, 1, 1, 1\n", "in, line 2: time 9999999999 comes 9999999999 units after"),
        ("99999999999999999999, 1, 1, 1\n", "does not fit 64 bits"),
        ("9999999999999999999, 1, 1, 1\n", "in, line 1: time 9999999999999999999 is beyond"),
    ],
)
def test_twitter_lines_that_are_wrong(tmp_path: Path, text: Any, content: str, message: str) -> None:  # noqa: ANN401
    with pytest.raises(TraceFormatError) as caught:
        import_twitter(text(content), tmp_path / "t.npy")
    assert message in str(caught.value)
    assert not (tmp_path / "t.npy").exists()


extents = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(extents, st.integers(1, 9), st.integers(1, 30))
def test_arc_is_block_by_block(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, int]], size: int, at_once: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "in.lis").write_text(
        "".join(f"{first} {count} 0 {n}\n" for n, (first, count) in enumerate(lines))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_AT_ONCE", at_once)
        import_arc(folder / "in.lis", folder / "t.npy", blocks_per_page=size)
    trace = read_trace(folder / "t.npy")
    requests = [list(range(first // size, (first + count - 1) // size + 1)) for first, count in lines]
    assert pages(trace) == numbered(list(itertools.chain(*requests)))
    assert marks(trace) == [place == 0 for request in requests for place in range(len(request))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 2 0\n", "in, line 1: 3 columns in '1 2 0': column 4 is the request number"),
        ("1 0 0 1\n", "in, line 1: 0 blocks from 1 on: allowed are 1 to 1048576 blocks"),
        ("1 1 0 1\n1 1048577 0 2\n", "in, line 2: 1048577 blocks"),
        ("4611686018427387904 1 0 1\n", "in, line 1: 1 blocks from 4611686018427387904"),
        ("a 1 0 1\n", "the first block (column 1) is no number: 'a'"),
    ],
)
def test_arc_lines_that_are_wrong(tmp_path: Path, text: Any, content: str, message: str) -> None:  # noqa: ANN401
    with pytest.raises(TraceFormatError) as caught:
        import_arc(text(content), tmp_path / "t.npy")
    assert message in str(caught.value)


def test_arc_needs_blocks_in_a_page(tmp_path: Path, text: Any) -> None:  # noqa: ANN401
    with pytest.raises(UsageError, match="0 blocks per page"):
        import_arc(text("1 1 0 1\n"), tmp_path / "t.npy", blocks_per_page=0)


TABLE = """\
op;address;t;thread
r;8192;0.5;a
w;0x2fff;0.75;a
r;0;1;b
r;100;1.0019;a
"""


def imported(folder: Path, path: Path, **form: Any) -> Trace:  # noqa: ANN401
    import_csv(path, folder / "t.npy", CsvForm(**form))
    return read_trace(folder / "t.npy")


def test_csv_of_addresses_with_times(tmp_path: Path, text: Any) -> None:  # noqa: ANN401
    trace = imported(tmp_path, text(TABLE), column="address", delimiter=";", page_size=4096, time_column="t")
    assert pages(trace) == [0, 0, 1, 1]
    assert marks(trace) == [True] * 4
    assert trace.arrivals is not None
    assert trace.arrivals.tolist() == [0, 250, 250, 1]  # in ms, cut off
    assert trace.unit_ns == 10**6


def test_csv_requests_are_lines_in_a_row(tmp_path: Path, text: Any) -> None:  # noqa: ANN401
    form = {"column": "2", "delimiter": ";", "has_header": True, "request_column": "4"}
    trace = imported(tmp_path, text(TABLE), **form)
    assert pages(trace) == [0, 1, 2, 3]
    assert marks(trace) == [True, False, True, True]
    assert trace.arrivals is None
    timed = imported(tmp_path, text(TABLE), **form, time_column="3", time_unit="us")
    assert timed.arrivals is not None
    assert timed.arrivals.tolist() == [0, 500, 1]
    assert timed.unit_ns == 1


def test_csv_keys(tmp_path: Path, text: Any) -> None:  # noqa: ANN401
    trace = imported(tmp_path, text(TABLE), column="thread", delimiter=";", is_key=True)
    assert pages(trace) == [0, 0, 1, 0]
    assert trace.nr_requests == 0


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.integers(0, 5)), min_size=1, max_size=40
    )
)
def test_csv_against_the_csv_module(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    times = list(itertools.accumulate(step for _, _, step in rows))
    with (folder / "in").open("w") as file:
        csv.writer(file).writerows(
            (key, page, time) for (key, page, _), time in zip(rows, times, strict=True)
        )
    trace = imported(folder, folder / "in", column="2", time_column="3", time_unit="ns", request_column="1")
    begins = [index == 0 or rows[index - 1][0] != rows[index][0] for index in range(len(rows))]
    assert pages(trace) == numbered([page for _, page, _ in rows])
    assert marks(trace) == begins
    arrived = [time for time, begin in zip(times, begins, strict=True) if begin]
    assert trace.arrivals is not None
    assert np.cumsum(trace.arrivals).tolist() == [time - arrived[0] for time in arrived]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"column": "no"}, "no column 'no': the first line has 'op;address;t;thread'"),
        ({"column": "0"}, "column 0: columns are counted from 1 to 256"),
        ({"column": "257"}, "column 257: columns are counted"),
        ({"column": "1", "time_column": "1"}, "page, time and request are different columns"),
        ({"delimiter": ""}, "'' cannot separate columns"),
        ({"delimiter": "ab"}, "'ab' cannot separate columns"),
        ({"delimiter": "x"}, "'x' cannot separate columns"),
        ({"delimiter": "#"}, "'#' cannot separate columns"),
        ({"delimiter": "ä"}, "'ä' cannot separate columns"),
        ({"page_size": 0}, "pages of 0 bytes"),
        ({"page_size": 2, "is_key": True}, "keys have none"),
        ({"time_unit": "h"}, "'h' is no unit of time: s, ms, us, ns"),
    ],
)
def test_csv_forms_that_cannot_be(tmp_path: Path, text: Any, form: dict[str, Any], message: str) -> None:  # noqa: ANN401
    with pytest.raises(UsageError) as caught:
        imported(tmp_path, text(TABLE), **form)
    assert message in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.text("0123456789,.\n -ax").map(str.encode), st.data())
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "in").write_bytes(content)
    form = CsvForm(
        "1", time_column="2", request_column="3", time_unit=data.draw(st.sampled_from(["s", "ns"]))
    )
    importers: tuple[Callable[[Path, Path], object], ...] = (
        lambda path, out: import_csv(path, out, form),
        import_twitter,
        import_arc,
    )
    for import_any in importers:
        try:
            import_any(folder / "in", folder / "t.npy")
        except TraceFormatError:
            continue
        trace = read_trace(folder / "t.npy")
        assert trace.nr_pages == len(set(pages(trace)))
