"""docs/kernel-map.md has a row for every patch, and both sides of each row exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NR_PATCHES = {"V2": 18, "V17": 16}
_REFERENCE = re.compile(r"`([\w/]+\.py)` \(((?:`\w+`(?:, )?)+)\)")

#: Series, number of the patch, our side, the side of the tests.
Row = tuple[str, int, str, str]


def _rows() -> list[Row]:
    rows: list[Row] = []
    for line in (ROOT / "docs/kernel-map.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        patch = re.fullmatch(r"(V2|V17) (\d+)", cells[0])
        if patch:
            assert len(cells) == 4, line
            rows.append((patch.group(1), int(patch.group(2)), cells[2], cells[3]))
    return rows


def _references(cell: str) -> list[tuple[str, str]]:
    """(file, function) of every reference in a cell."""
    return [
        (file, name) for file, names in _REFERENCE.findall(cell) for name in re.findall(r"`(\w+)`", names)
    ]


@cache
def _functions(path: Path) -> frozenset[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("series", sorted(NR_PATCHES))
def test_every_patch_has_one_row(series: str) -> None:
    assert [row[1] for row in _rows() if row[0] == series] == list(range(1, NR_PATCHES[series] + 1))


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row[0]}-{row[1]}")
def test_both_sides_of_a_row_exist(row: Row) -> None:
    for cell, folder in ((row[2], ROOT / "src/epcgroup"), (row[3], ROOT)):
        references = _references(cell)
        assert references, f"no `file` (`function`) in {cell!r}"
        for file, name in references:
            assert (folder / file).is_file(), file
            assert name in _functions(folder / file), f"{file} has no {name}"


def test_tests_are_tests() -> None:
    for *_, cell in _rows():
        for file, name in _references(cell):
            assert file.startswith("tests/"), file
            assert name.startswith("test_"), name
