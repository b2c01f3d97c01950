"""``epcg sweep`` and ``epcg fleet`` as processes: killed, stopped, gone on, on two workers of Dask."""

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_pager import wait_until

from epcgroup.cli.exits import Exit
from epcgroup.errors import PlatformError
from epcgroup.plan import pool

pytest.importorskip("pyarrow")
# Processes that find nothing compiled yet take a minute to begin.
pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(400)]
EPCG = [sys.executable, "-m", "epcgroup.cli.main"]
MANIFEST = """\
apiVersion: v1
kind: Node
metadata: {name: n}
status: {capacity: {sgx.intel.com/epc: 4Mi}}
"""
POD = """\
---
apiVersion: v1
kind: Pod
metadata:
  name: %s
  annotations:
    epcgroup.io/model: |
      memory: 3Mi
      touches: [{%s: 3Mi}]
      requests: {poisson: 50000, compute: 5us, draws: 2}
spec:
  containers:
    - {name: main, command: ["true"], resources: {limits: {sgx.intel.com/epc: 2Mi}}}
"""
SPEC = """\
manifest: pods.yaml
duration: 1s
reps: 6
grid:
  epc: [4Mi, 8Mi]
  series: [mainline, fair]
"""
NR_POINTS = 24


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*EPCG, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a SPEC that was swept without disturbance, into ``whole``."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "pods.yaml").write_text(MANIFEST + POD % ("kv", "zipf") + POD % ("scan", "loop"))
    (folder / "s.yaml").write_text(SPEC)
    answer = run("sweep", "s.yaml", "--out", "whole", "--threads", 1, cwd=folder)
    assert answer.returncode == Exit.OK, answer.stderr
    return folder


def table(folder: Path, name: str) -> bytes:
    return (folder / name / "sweep.parquet").read_bytes()


def nr_noted(folder: Path) -> int:
    path = folder / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def interrupted(folder: Path, out: str, number: signal.Signals) -> subprocess.Popen[str]:
    """Start a sweep and send it a signal when some points are done."""
    command = [*EPCG, "sweep", "s.yaml", "--out", out, "--threads", "1"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: nr_noted(folder / out) >= 3, 300)
        process.send_signal(number)
        _, process.errors = process.communicate(timeout=60)  # type: ignore[attr-defined]
    return process


def test_after_kill_it_goes_on_where_it_was(folder: Path) -> None:
    process = interrupted(folder, "killed", signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    nr_done = nr_noted(folder / "killed")
    assert 3 <= nr_done < NR_POINTS
    with (folder / "killed" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"id": "cut sho')
    answer = run("sweep", "s.yaml", "--out", "killed", cwd=folder)
    assert answer.returncode == Exit.OK, answer.stderr
    assert nr_noted(folder / "killed") == NR_POINTS
    assert table(folder, "killed") == table(folder, "whole")


def test_ctrl_c_says_how_to_go_on(folder: Path) -> None:
    process = interrupted(folder, "stopped", signal.SIGINT)
    assert process.returncode == Exit.INTERRUPTED
    nr_done = nr_noted(folder / "stopped")
    told = (
        f"epcg: interrupted: {nr_done} of {NR_POINTS} points are in stopped; the same command goes on there"
    )
    assert told in process.errors  # type: ignore[attr-defined]
    answer = run("sweep", "s.yaml", "--out", "stopped", "--json", cwd=folder)
    assert answer.returncode == Exit.OK, answer.stderr
    found = json.loads(answer.stdout)
    assert (found["nr_points"], len(found["rows"]), found["failed"]) == (NR_POINTS, 2 * NR_POINTS, [])
    assert table(folder, "stopped") == table(folder, "whole")


def test_another_spec_does_not_mix_with_what_is_there(folder: Path) -> None:
    (folder / "t.yaml").write_text(SPEC.replace("[4Mi, 8Mi]", "[4Mi, 6Mi]").replace("1s", "2s"))
    answer = run("sweep", "t.yaml", "--out", "whole", cwd=folder)
    assert answer.returncode == Exit.USAGE
    assert (
        "whole holds another sweep: axes.epc was [4194304, 8388608], is [4194304, 6291456]" in answer.stderr
    )
    assert "scenario.duration_ns was 1000000000, is 2000000000" in answer.stderr
    assert "To keep it, give --out another folder; to start anew, remove whole" in answer.stderr


def test_a_fleet_that_is_stopped_leaves_no_figures(tmp_path: Path) -> None:
    command = [*EPCG, "fleet", "--generate", "--nodes", "500", "--out", "."]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until((tmp_path / "nodes.parquet.new").exists, 300)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert "epcg: interrupted before all nodes were simulated: no figures" in errors
    assert output == ""
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def dask_address() -> Iterator[str]:
    """A Dask cluster of two worker processes on this machine."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own, of its start and end
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
        try:
            yield cluster.scheduler_address
        finally:
            cluster.close()


def test_a_cluster_without_workers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(pool, "_DASK_WAIT_S", 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own, of its start and end
        with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
            address = cluster.scheduler_address
            with pytest.raises(PlatformError, match=f"at {address} has no worker"), pool.dask(address):
                pass


def test_two_dask_workers_make_the_same_sweep(folder: Path, dask_address: str) -> None:
    answer = run("sweep", "s.yaml", "--out", "dask", "--dask", dask_address, cwd=folder)
    assert answer.returncode == Exit.OK, answer.stderr
    assert f"Dask at {dask_address}" in answer.stderr
    assert table(folder, "dask") == table(folder, "whole")


def test_two_dask_workers_make_the_same_fleet(tmp_path: Path, dask_address: str) -> None:
    fleet = ("fleet", "--generate", "--nodes", 4, "--pods", 12, "--duration", "1h", "--json")
    threads = run(*fleet, "--threads", 2, "--out", "threads", cwd=tmp_path)
    dask = run(*fleet, "--dask", dask_address, "--out", "dask", cwd=tmp_path)
    assert (threads.returncode, dask.returncode) == (Exit.OK, Exit.OK), threads.stderr + dask.stderr
    one, other = (json.loads(answer.stdout) for answer in (threads, dask))
    assert one["series"] == other["series"]
    assert (tmp_path / "threads/nodes.parquet").read_bytes() == (tmp_path / "dask/nodes.parquet").read_bytes()
