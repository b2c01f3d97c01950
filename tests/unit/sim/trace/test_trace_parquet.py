"""The columnar form: readable by others, and as careful with strange files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import NotSupportedError, TraceFormatError
from epcgroup.sim.trace import parquet
from epcgroup.sim.trace.format import PAGE_MASK, REQUEST_MARK, read_header, read_trace
from epcgroup.sim.trace.writer import open_writer

MARK = REQUEST_MARK
ROWS = pa.schema([pa.field("reference", pa.uint32(), nullable=False), pa.field("arrival", pa.uint32())])


def write(path: Path) -> Path:
    with open_writer(path, {"source": "x"}, unit_ns=7, nr_pages=5) as writer:
        writer.append(np.array([MARK | 3, 4], np.uint32), np.array([11], np.uint32))
        writer.append(np.array([MARK | 0], np.uint32), np.array([12], np.uint32))
    return path


def rewritten(path: Path, table: pa.Table, header: bytes | None) -> Path:
    """Write other columns or another header into a file of the same name."""
    if header is not None:
        table = table.replace_schema_metadata({b"epcgroup.trace": header})
    pq.write_table(table, path)
    return path


def test_others_see_columns(tmp_path: Path) -> None:
    table = pq.read_table(write(tmp_path / "t.parquet"))
    assert table.column_names == ["reference", "arrival"]
    assert table["reference"].to_pylist() == [MARK | 3, 4, MARK | 0]
    assert table["arrival"].to_pylist() == [11, None, 12]


def test_the_header_is_read_without_the_columns(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "t.parquet"))
    assert (header.nr_pages, header.nr_references, header.nr_requests, header.unit_ns) == (5, 3, 2, 7)


def test_pieces_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_BATCH_ROWS", 2)
    with parquet.open_pieces(write(tmp_path / "t.parquet")) as (header, pieces):
        found = [(piece.references.tolist(), piece.arrivals) for piece in pieces]
    assert header.nr_references == 3
    assert [references for references, _ in found] == [[MARK | 3, 4], [MARK | 0]]
    assert [arrivals.tolist() for _, arrivals in found if arrivals is not None] == [[11], [12]]


def test_a_large_file_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MAX_IN_MEMORY", 2)
    with pytest.raises(TraceFormatError, match=r"3 references are too many .* epcg trace cut"):
        read_trace(write(tmp_path / "t.parquet"))


def test_row_groups_are_large_whatever_the_pieces(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with open_writer(path, {}) as writer:
        for _ in range(300):
            writer.append(np.arange(5000, dtype=np.uint32))
    assert pq.ParquetFile(path).metadata.num_row_groups == 2
    assert len(read_trace(path).references) == 1_500_000


def table(
    references: list[int | None], arrivals: list[int | None], kind: pa.DataType | None = None
) -> pa.Table:
    return pa.table(
        {"reference": pa.array(references, kind or pa.uint32()), "arrival": pa.array(arrivals, pa.uint32())}
    )


HEADER = (
    b'{"version":1,"nr_pages":5,"nr_references":2,"nr_requests":1,"nr_arrivals":1,"unit_ns":7,'
    b'"provenance":{}}'
)


@pytest.mark.parametrize(
    ("columns", "header", "message"),
    [
        (table([1, 2], [1, None]), None, "a Parquet file, but no trace"),
        (table([1, 2], [1, None]), b"[]", "a JSON list, not an object"),
        (table([1, 2], [1, None]), b'{"version":2}', "trace version 2"),
        (table([1, 2], [1, None]), HEADER.replace(b":5", b":-5"), "whole numbers from 0 to 2"),
        (table([1, 2], [1, None]), HEADER.replace(b":5", b":5.5"), "whole numbers from 0 to 2"),
        (table([1, 2], [1, None]), HEADER.replace(b":5", b":true"), "whole numbers from 0 to 2"),
        (table([1, 2], [1, None]), HEADER.replace(b"{}", b"3"), "no provenance"),
        (table([1, 2], [1, None]), HEADER.replace(b'ces":2', b'ces":3'), "2 rows, the header says 3"),
        (table([1, 2], [1, None], pa.int64()), HEADER, "column 'reference' is int64, expected uint32"),
        (table([MARK, 2], [1, 1]), HEADER, "arrivals are not in the rows where requests begin"),
        (table([None, 2], [1, None]), HEADER, "1 references are null"),
        (table([MARK | 5, 2], [1, None]), HEADER, "reference 0 is page 5"),
        (pa.table({"reference": pa.array([MARK, 2], pa.uint32())}), HEADER, "column 'arrival' is None"),
    ],
)
def test_strange_files_are_refused(
    tmp_path: Path, columns: pa.Table, header: bytes | None, message: str
) -> None:
    with pytest.raises(TraceFormatError, match=message):
        read_trace(rewritten(tmp_path / "t.parquet", columns, header))


def test_a_good_one_of_somebody_else_is_read(tmp_path: Path) -> None:
    trace = read_trace(rewritten(tmp_path / "t.parquet", table([MARK | 4, 2], [9, None]), HEADER))
    assert trace.references.tolist() == [MARK | 4, 2]
    assert not trace.references.flags.writeable


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    content = bytearray(write(path).read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(4, len(content) - 1))]
    else:
        place = data.draw(st.integers(4, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        trace = read_trace(path)
    except TraceFormatError:
        return
    assert int((trace.references & np.uint32(PAGE_MASK)).max()) < trace.nr_pages


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(NotSupportedError, match=r"pip install 'epcgroup\[sim\]'"):
        read_trace(path)
