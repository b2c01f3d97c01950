"""Tables: the same rows are the same bytes, and a table appears whole or not at all."""

from pathlib import Path

import pytest

from epcgroup.plan import tables

parquet = pytest.importorskip("pyarrow.parquet")
COLUMNS = {"pod": "text", "requests": "int", "p99_ns": "float"}
ROWS = [{"pod": f"p{i}", "requests": i, "p99_ns": i / 3 if i % 5 else None} for i in range(50)]


def written(path: Path, pieces: int) -> bytes:
    with tables.writing(path, COLUMNS, {"epcgroup.seed": "1"}) as table:
        for first in range(0, len(ROWS), pieces):
            table.add(ROWS[first : first + pieces])
    assert table.nr_rows == len(ROWS)
    return path.read_bytes()


@pytest.mark.parametrize("group", [7, 1_000])
def test_the_same_rows_are_the_same_bytes_in_any_pieces(
    tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_GROUP", group)
    whole, pieces = written(tmp_path / "a.parquet", 50), written(tmp_path / "b.parquet", 3)
    assert whole == pieces
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.to_pylist() == ROWS
    assert table.schema.metadata[b"epcgroup.seed"] == b"1"


def failing(path: Path) -> None:
    with tables.writing(path, COLUMNS, {}) as table:
        table.add(ROWS)
        table.flush()
        raise ZeroDivisionError


def test_an_error_leaves_the_table_of_before(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    before = written(path, 50)
    with pytest.raises(ZeroDivisionError):
        failing(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
