"""``epcg sweep`` and ``epcg fleet`` from the command line: what they write, and what they refuse."""

import json
import sys
from pathlib import Path

import pytest

from epcgroup.cli.exits import Exit
from epcgroup.cli.root import run_command
from epcgroup.sim.trace.pods import PodRecord, write_pods
from epcgroup.units import PAGE_SIZE

parquet = pytest.importorskip("pyarrow.parquet")
Capture = pytest.CaptureFixture[str]
MANIFEST = """\
apiVersion: v1
kind: Node
metadata: {name: n}
status: {capacity: {sgx.intel.com/epc: 4Mi}}
---
apiVersion: v1
kind: Pod
metadata:
  name: kv
  annotations:
    epcgroup.io/model: |
      touches: [{zipf: 1Mi}]
      requests: {poisson: 1000}
spec:
  containers:
    - {name: main, command: ["true"], resources: {limits: {sgx.intel.com/epc: 2Mi}}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "pods.yaml").write_text(MANIFEST)
    path = tmp_path / "s.yaml"
    path.write_text("manifest: pods.yaml\nduration: 100ms\nreps: 2\ngrid: {series: [mainline, fair]}\n")
    return path


def test_a_sweep_leaves_its_results_beside_the_spec(spec: Path, capsys: Capture) -> None:
    assert run_command(["sweep", str(spec), "--threads", "2"]) == Exit.OK
    output = capsys.readouterr().out
    folder = spec.with_name("s.sweep")
    assert {path.name for path in folder.iterdir()} == {
        "by-series.svg", "journal.jsonl", "spec.json", "sweep.parquet",
    }  # fmt: skip
    assert f"Table:  {folder}/sweep.parquet" in output
    assert parquet.read_table(folder / "sweep.parquet").num_rows == 4
    assert run_command(["sweep", str(spec), "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert f"Digest: {found['digest']}" in output
    assert found["schema"] == "epcgroup/sweep/1"
    assert [row["pod"] for row in found["rows"]] == ["kv"] * 4


def test_points_that_cannot_be_simulated_are_findings(spec: Path, capsys: Capture) -> None:
    spec.write_text(
        "manifest: pods.yaml\nduration: 100ms\nwarm-up: 0\ngrid: {policy: [second-chance, optimum]}\n"
    )
    assert run_command(["sweep", str(spec)]) == Exit.FINDINGS
    assert "epcg: cannot be simulated: policy=optimum seed=1: " in capsys.readouterr().err


def test_without_the_extras_figures_are_told_and_files_are_not_written(
    spec: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyarrow", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run_command(["sweep", str(spec), "--json"]) == Exit.OK
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["table"], found["plots"], len(found["rows"])) == (None, [], 4)
    assert "no table: tables need pyarrow: pip install 'epcgroup[sim]'" in captured.err
    assert "no plots: plots need matplotlib: pip install 'epcgroup[report]'" in captured.err


def fleet(*more: object) -> int:
    return run_command(["fleet", *map(str, more)])


def test_a_generated_fleet(tmp_path: Path, capsys: Capture) -> None:
    arguments = ("--generate", "--nodes", 3, "--pods", 6, "--duration", "10m", "--out", tmp_path)
    assert fleet(*arguments, "--series", "mainline", "--series", "v17", "--json") == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["nodes"], found["scheduled"]["pods"], list(found["series"])) == (3, 18, ["mainline", "v17"])
    rows = parquet.read_table(tmp_path / "nodes.parquet").to_pylist()
    assert [(row["series"], row["node"]) for row in rows] == [
        (s, n) for s in ("mainline", "v17") for n in range(3)
    ]
    for series, figures in found["series"].items():
        assert figures["requests"] == sum(row["requests"] for row in rows if row["series"] == series) > 0


def test_a_list_of_pods(tmp_path: Path, capsys: Capture) -> None:
    minute = 60 * 10**9
    pods = [PodRecord(f"p{i}", i * minute, 2 * minute, (i + 1) * 512 * PAGE_SIZE) for i in range(8)]
    write_pods(tmp_path / "pods.csv", pods)
    assert (
        fleet(tmp_path / "pods.csv", "--epc", "8Mi", "--nodes", 1, "--duration", "10m", "--seed", 4)
        == Exit.OK
    )
    output = capsys.readouterr().out
    assert "1 × 8Mi of EPC, 0.167 h: 8 pods" in output
    # Pods of 10 to 16 MiB never fit; the third and the fourth wait for the one before them.
    assert "pending: 4 pods (52Mi) found no node, 2 waited for one" in output
    assert "Digest: " in output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "the pods come from FILE or from --generate: give one of them"),
        (("pods.csv", "--generate"), "give one of them"),
        (("--generate", "--series", "fare"), "no series 'fare'"),
        (("--generate", "--scoring", "Best"), "no scoring 'Best': one of LeastAllocated, MostAllocated"),
        (("--generate", "--epc", "4Ki"), "--epc must be at least"),
        (("--generate", "--costs", "sgx3"), "no cost model 'sgx3'"),
        (("--generate", "--duration", "0s"), "--duration must be more than nothing"),
    ],
)
def test_what_a_fleet_refuses(arguments: tuple[str, ...], problem: str, capsys: Capture) -> None:
    assert fleet(*arguments) == Exit.USAGE
    assert problem in capsys.readouterr().err
