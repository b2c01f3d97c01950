"""A result as Parquet: what is read back is what was simulated."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from epcgroup.errors import NotSupportedError
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import NODE_COLUMNS, PHASES, POD_COLUMNS, Result
from epcgroup.sim.scenario import Component, ContainerSpec, PodSpec, Program, Requests, Scenario
from epcgroup.sim.table import to_table, write_parquet

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an extra: epcgroup[sim]")
NS = 10**9


@pytest.fixture(scope="module")
def result() -> Result:
    pods = tuple(
        PodSpec(
            name,
            (ContainerSpec("main", Program(pages, (Component("loop", pages),), Requests("paced", 2000.0))),),
            limit_bytes=limit << 12,
            start_ns=start_ns,
        )
        for name, pages, limit, start_ns in [("a", 200, 1000, 0), ("b", 900, 400, NS // 2)]
    )
    return simulate(Scenario(1000 << 12, pods, 2 * NS, sample_ns=NS // 10))


def test_one_row_for_each_sample_and_pod(result: Result, tmp_path: Path) -> None:
    write_parquet(result, tmp_path / "t.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
    table = parquet.read_table(tmp_path / "t.parquet")
    nr_samples = len(result.times_ns)
    assert table.num_rows == 2 * nr_samples
    assert table["pod"].to_pylist() == ["a", "b"] * nr_samples
    assert table["time_ns"].to_pylist() == np.repeat(result.times_ns, 2).tolist()
    for index, name in enumerate(POD_COLUMNS):
        read = table[name].to_pylist()
        read = [PHASES.index(phase) for phase in read] if name == "phase" else read
        assert np.reshape(read, (nr_samples, 2)).tolist() == result.pods[:, :, index].tolist(), name
    for index, name in enumerate(NODE_COLUMNS):
        assert table[f"node_{name}"].to_pylist()[::2] == result.node[:, index].tolist()


def test_maps_hold_what_is_not_zero(result: Result) -> None:
    table = to_table(result)
    evicted = dict(table["reclaimed_by"].to_pylist()[-1])
    assert evicted
    assert sum(evicted.values()) == result.pods[-1, 1, POD_COLUMNS.index("evictions")]
    latency = dict(table["latency"].to_pylist()[-1])
    assert [latency.get(bucket, 0) for bucket in range(result.latency.shape[2])] == result.latency[
        -1, 1
    ].tolist()


def test_the_file_says_what_was_simulated(result: Result) -> None:
    metadata = to_table(result).schema.metadata
    assert metadata[b"epcgroup.digest"].decode() == result.digest
    assert int(metadata[b"epcgroup.accesses"]) == result.nr_accesses
    scenario = json.loads(metadata[b"epcgroup.scenario"])
    assert (scenario["seed"], scenario["pods"][1]["name"], scenario["series"]) == (1, "b", "fair")


def test_the_same_result_is_the_same_file(result: Result, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_parquet(result, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_without_pyarrow_the_error_says_what_to_install(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NotSupportedError, match=r"pip install 'epcgroup\[sim\]'"):
        write_parquet(result, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []
