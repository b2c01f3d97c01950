"""docs/series.md and docs/files.md say what the code does: tables are read and compared."""

import re
from pathlib import Path

import pytest

from epcgroup.face.epc import Epc
from epcgroup.state import files
from epcgroup.state import series as on
from tests.unit.engine.driving import machine
from tests.unit.state import state_layout

_DOCS = Path(__file__).parents[3] / "docs"


def _rows(name: str) -> list[list[str]]:
    """Cells of every table row of a page."""
    lines = (_DOCS / name).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def test_table_of_files_is_complete() -> None:
    table = {row[0].strip("`"): row for row in _rows("files.md") if len(row) == 5 and row[0] != "file"}
    table.pop("---", None)
    assert list(table) == list(files.FILES)
    for name, row in table.items():
        file = files.FILES[name]
        assert int(row[1], 8) == file.mode
        for series in on.SERIES:
            state = Epc.create(64, series=series, nr_groups=2, nr_enclaves=1, nr_enclave_pages=8).state
            place, which = row[2], row[3]
            listed = which == "all" or which == series or (which == "not v2" and series != "v2")
            root = place == "root" or place.startswith("everywhere")
            if "(v2: below the root)" in place and series == "v2":
                root = False
            assert file.exists(state, True) is (root and listed), (name, series)
            assert file.exists(state, False) is (place != "root" and listed), (name, series)


@pytest.mark.parametrize("name", ["epc.stat", "epc.events"])
def test_every_key_is_described(name: str) -> None:
    epc = machine(64, "/a").epc
    described = {key for row in _rows("files.md") for key in re.findall(r"`([a-z_]+)`", row[0])}
    keys = {line.split()[0] for line in epc.read("/a", name).splitlines()}
    assert keys <= described


def test_every_deviation_names_a_switch_and_a_test() -> None:
    here = Path(__file__).parent
    tests = "".join(path.read_text() for path in here.glob("test_*.py"))
    text = (_DOCS / "series.md").read_text()
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in tests, name
    literal, fair = on.SERIES["v17"], on.SERIES["fair"]
    for field in on.FIELDS:
        if getattr(literal, field) != getattr(fair, field):
            assert f"`{field}`" in text, field


def test_every_series_is_described() -> None:
    first = {row[0].strip("`") for row in _rows("series.md")}
    assert set(on.SERIES) <= first


def test_table_of_the_state_is_current() -> None:
    assert state_layout.PAGE.read_text() == state_layout.render()
    assert "| `frames` | int32 | `(nr_frames + 1, FRAME_COLUMNS)` | 24 |" in state_layout.render()
