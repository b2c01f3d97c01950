"""Sweeps: the same table on any number of threads, after any interruption; what cannot be is told."""

import json
from pathlib import Path

import pytest
from sweeping import SPACE, never, silent, sweep, swept

from epcgroup.plan import journal, pool
from epcgroup.plan.plots import write_plots
from epcgroup.plan.space import Choice, Space
from epcgroup.plan.sweep import TABLE, columns, digest_of, run
from epcgroup.units import PAGE_SIZE

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sweep, done in one thread."""
    folder = tmp_path_factory.mktemp("swept")
    with pool.threads(1) as where:
        assert swept(folder, where) is not None
    return folder


@pytest.mark.parametrize("nr_threads", [2, 5])
def test_the_table_is_the_same_on_any_number_of_threads(
    folder: Path, tmp_path: Path, nr_threads: int
) -> None:
    with pool.threads(nr_threads) as where:
        swept(tmp_path, where)
    assert (tmp_path / TABLE).read_bytes() == (folder / TABLE).read_bytes()


def test_a_sweep_that_was_stopped_goes_on_and_repeats_nothing(folder: Path, tmp_path: Path) -> None:
    def enough() -> bool:
        path = tmp_path / "journal.jsonl"
        return path.exists() and path.read_bytes().count(b"\n") >= 3

    with pool.threads(1) as where:
        assert swept(tmp_path, where, stop=enough) is None
        assert not (tmp_path / TABLE).exists()
        done = (tmp_path / "journal.jsonl").read_bytes()
        assert 3 <= done.count(b"\n") < 8
        assert swept(tmp_path, where) is not None
    after = (tmp_path / "journal.jsonl").read_bytes()
    assert after.startswith(done)
    assert after.count(b"\n") == 8
    assert (tmp_path / TABLE).read_bytes() == (folder / TABLE).read_bytes()


def test_a_simulation_under_way_is_given_up_when_asked(tmp_path: Path) -> None:
    asked: list[bool] = []

    def after_the_first_question() -> bool:
        asked.append(True)
        return len(asked) > 1

    plan = sweep()
    with pool.threads(1) as where, journal.opened(tmp_path, plan.identity) as notes:
        assert not run(plan, where, notes, after_the_first_question, silent)
        assert notes.entries == {}


def test_a_finished_sweep_simulates_nothing(folder: Path) -> None:
    told: list[int] = []
    plan = sweep()
    with pool.threads(1) as where, journal.opened(folder, plan.identity) as notes:
        where.executor.shutdown()  # a call would raise
        assert run(plan, where, notes, never, told.append)
    assert told == [8]


def test_rows_are_by_point_and_pod_and_say_what_was_swept(folder: Path) -> None:
    table = parquet.read_table(folder / TABLE)
    rows = table.to_pylist()
    assert table.column_names == list(columns(SPACE))
    ids = sorted(point.id for point in SPACE.points())
    assert [(row["point"], row["pod"]) for row in rows] == [
        (one, pod) for one in ids for pod in ("kv", "scan")
    ]
    assert {row["epc_bytes"] for row in rows} == {400 * PAGE_SIZE, 512 * PAGE_SIZE}
    assert {(row["series"], row["seed"]) for row in rows} == {
        (s, n) for s in ("mainline", "fair") for n in (1, 2)
    }
    assert table.schema.metadata[b"epcgroup.digest"].decode() == digest_of(rows)
    assert json.loads(table.schema.metadata[b"epcgroup.sweep"]) == sweep().identity


def test_figures_make_sense(folder: Path) -> None:
    rows = parquet.read_table(folder / TABLE).to_pylist()
    for row in rows:
        assert row["counted_s"] == pytest.approx(0.09)
        assert row["requests_per_s"] == row["requests"] / row["counted_s"]
        assert 0 < row["p50_ns"] <= row["p99_ns"] <= row["p999_ns"]
        assert 0 <= row["stall_full"] <= row["stall_some"] <= 1
        assert row["faults"] == row["created"] + row["loaded"]
    short = [row for row in rows if row["pod"] == "kv" and row["epc_bytes"] == 400 * PAGE_SIZE]
    loaded = {
        series: sum(row["loaded"] for row in short if row["series"] == series)
        for series in ("mainline", "fair")
    }
    assert loaded["fair"] == 0 < loaded["mainline"]


def test_a_point_that_cannot_be_simulated_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    space = Space("grid", (("epc", Choice((0, 512 * PAGE_SIZE))),), (1,))
    with pool.threads(2) as where:
        result = swept(tmp_path, where, sweep(space))
    assert result is not None
    ((point, why),) = result.failed
    assert point == "epc=0 seed=1"
    assert "capacity_bytes of 0" in why
    assert {row["epc_bytes"] for row in result.rows} == {512 * PAGE_SIZE}


def test_plots_are_the_same_for_the_same_rows_and_only_of_what_varies(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = parquet.read_table(folder / TABLE).to_pylist()
    names = ["epc", "series"]
    paths = write_plots(rows, names, tmp_path)
    assert [path.name for path in paths] == ["by-epc.svg", "by-series.svg"]
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_plots(rows, names, tmp_path)] == before
    assert b"requests a second" in before[0]
    only = [row for row in rows if row["series"] == "fair"]
    assert [path.name for path in write_plots(only, names, tmp_path)] == ["by-epc.svg"]
