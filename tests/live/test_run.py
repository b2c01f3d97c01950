"""``epcg run`` with real pagers and real programs: claims enforced, failures told, nothing left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from epcgroup.abi.userfaultfd import open_userfaultfd
from epcgroup.errors import NotSupportedError

pytestmark = [pytest.mark.live, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
EPCG = [sys.executable, "-m", "epcgroup.cli.main"]
BATCH = 32
KV = [
    "python", "-m", "epcgroup.workloads.kv", "--size", "4Mi", "--rate", "100", "--value-size", "1000",
]  # fmt: skip
SCAN = ["python", "-m", "epcgroup.workloads.scan", "--size", "16Mi", "--rate", "2000"]


@pytest.fixture(autouse=True)
def _needs_userfaultfd() -> None:
    try:
        os.close(open_userfaultfd().fd)
    except NotSupportedError as error:
        pytest.skip(f"no software EPC without userfaultfd: {error}")


def pod(name: str, command: list[str], claim: str | None = "5Mi", **annotations: str) -> dict[str, Any]:
    limits = {} if claim is None else {"limits": {"sgx.intel.com/epc": claim}}
    metadata = {
        "name": name,
        "annotations": {f"epcgroup.io/{key}": value for key, value in annotations.items()},
    }
    container = {"name": "main", "command": command, "resources": limits}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    def write(*pods: dict[str, Any], capacity: str = "16Mi") -> Path:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
                "status": {"capacity": {"sgx.intel.com/epc": capacity}}}  # fmt: skip
        path = tmp_path / "m.yaml"
        path.write_text("\n---\n".join(json.dumps(document) for document in (node, *pods)))
        return path

    return write


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*EPCG, *map(str, words)], capture_output=True, text=True, timeout=100)


def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def processes_with(text: str) -> list[int]:
    """Live processes whose command line or environment holds a text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                content = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if text.encode() in content:
                found.append(int(entry.name))
    return found


def test_pods_are_held_to_their_claims(manifest: Callable[..., Path], tmp_path: Path) -> None:
    path = manifest(pod("kv", KV), pod("greedy", SCAN, "8Mi"), pod("late", KV, "5Mi"))
    done = run("run", path, "--duration", "5s", "--json", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    kv, greedy, late = result["pods"]
    assert [p["phase"] for p in (kv, greedy)] == ["Succeeded", "Succeeded"]
    assert (late["phase"], late["reason"]) == ("Pending", "Unschedulable")
    assert late["message"] == "0/1 nodes are available: 1 Insufficient sgx.intel.com/epc."
    figures = {f["pod"]: f for f in result["figures"]}
    assert figures["greedy"]["limit_bytes"] == 8 << 20
    assert 7 << 20 < figures["greedy"]["peak_bytes"] <= (8 << 20) + BATCH * 4096
    assert figures["greedy"]["evicted_by"].keys() == {"greedy"}
    assert figures["greedy"]["verified_bytes"] > 16 << 20
    assert figures["kv"]["evictions_per_s"] == 0
    assert figures["kv"]["operations"] > 100
    assert not any(f["checksum_errors"] for f in result["figures"])
    assert "\x1b" not in done.stderr
    assert not processes_with(str(tmp_path))


def test_mainline_enforces_nothing(manifest: Callable[..., Path]) -> None:
    done = run(
        "run", manifest(pod("greedy", SCAN, "4Mi")), "--duration", "6s", "--json", "--series", "mainline"
    )
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(done.stdout)["figures"]
    assert figures["limit_bytes"] is None
    assert figures["peak_bytes"] > 8 << 20


def test_a_pod_without_a_claim_gets_no_epc(manifest: Callable[..., Path]) -> None:
    done = run("run", manifest(pod("free", KV, None)), "--duration", "5s", "--json")
    assert done.returncode == 2
    (free,) = json.loads(done.stdout)["pods"]
    assert free["phase"] == "Failed"


def test_a_failed_pod_is_told_with_its_last_words(manifest: Callable[..., Path], tmp_path: Path) -> None:
    path = manifest(pod("bad", ["sh", "-c", "echo the reason; exit 7"]), pod("good", ["true"]))
    done = run("run", path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "pod bad failed: Error: main: exit status 7" in done.stderr
    assert f"{tmp_path}/out/logs/bad.main.log: … the reason" in done.stderr
    assert "Succeeded" in done.stdout
    assert "\x1b" not in done.stdout


def test_damaged_memory_is_a_failed_run(manifest: Callable[..., Path]) -> None:
    done = run("run", manifest(pod("kv", [*KV, "--corrupt-after", "50"])), "--duration", "5s", "--json")
    assert done.returncode == 2
    result = json.loads(done.stdout)
    assert result["figures"][0]["checksum_errors"] > 0
    assert result["pods"][0]["containers"][0]["exit_status"] == 65


def test_start_and_end_times_and_room_that_comes_free(manifest: Callable[..., Path]) -> None:
    sleep = ["sleep", "30"]
    path = manifest(pod("a", sleep, "12Mi", end="2s"), pod("b", sleep, "12Mi", start="500ms", end="4s"))
    done = run("run", path, "--json-lines")
    assert done.returncode == 0, done.stderr
    *lines, last = [json.loads(line) for line in done.stdout.splitlines()]
    seen = [(line["t_s"], *(p["phase"] for p in line["pods"])) for line in lines]
    assert [p["reason"] for p in last["pods"]] == ["Ended", "Ended"]
    assert all(b == "Pending" for t, a, b in seen if t < 0.4)
    assert not any((a, b) == ("Running", "Running") for _, a, b in seen)
    assert any((a, b) == ("Succeeded", "Running") for _, a, b in seen)


def start(path: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*EPCG, "run", str(path), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def is_working(out: Path) -> bool:
    report = out / "reports" / "kv.main.jsonl"
    return report.exists() and '"run"' in report.read_text()


def state_of(out: Path) -> Path:
    """The shared state file that the pager of a run has named in its log."""
    found = re.search(r"'state': '([^']+)'", (out / "logs" / "pager.log").read_text())
    assert found is not None
    return Path(found.group(1))


def test_an_interrupt_ends_everything_cleanly(manifest: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(manifest(pod("kv", KV)), "--json", "--out", str(out))
    until(lambda: is_working(out))
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    result = json.loads(stdout)
    assert result["interrupted"] is True
    assert (result["pods"][0]["phase"], result["pods"][0]["reason"]) == ("Succeeded", "Stopped")
    assert not processes_with(str(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_it_as_cleanly(number: int, manifest: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(manifest(pod("kv", KV)), "--json", "--out", str(out))
    until(lambda: is_working(out))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["interrupted"] is True
    assert not processes_with(str(tmp_path))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the sockets of a run: pytest's own has not."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        yield Path(folder)


def test_nothing_stays_when_the_user_is_impatient(
    manifest: Callable[..., Path], short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = short_folder
    monkeypatch.setenv("TMPDIR", str(temporary))
    deaf = ["sh", "-c", "trap '' TERM; touch $TMPDIR/deaf; while :; do sleep 0.1; done"]
    process = start(manifest(pod("deaf", deaf)))
    until(lambda: list(temporary.glob("epcg.*/tmp/deaf")))
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)  # the last may come when Python itself is leaving
    assert list(temporary.iterdir()) == []
    assert str(temporary) not in Path("/proc/mounts").read_text()
    assert not processes_with(str(temporary))


def test_more_groups_than_a_pager_has_room_for_by_itself(manifest: Callable[..., Path]) -> None:
    crowd = pod("crowd", ["true"], None)
    crowd["spec"]["initContainers"] = [
        {"name": f"i{i}", "command": ["true"]} if i else {"name": "i0", "command": ["false"]}
        for i in range(1100)
    ]
    done = run("run", manifest(crowd), "--json", "--no-mount")
    assert json.loads(done.stdout)["pods"][0]["reason"] == "InitError", done.stderr


def test_a_long_temporary_folder_is_no_obstacle(
    manifest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("d" * 100)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    done = run("run", manifest(pod("kv", KV)), "--duration", "4s", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["figures"][0]["operations"] > 0
    assert list(long.iterdir()) == []


def test_a_host_without_fuse_is_told_what_is_lost(
    manifest: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSE_LIBRARY_PATH", "/nonexistent/libfuse3.so")
    path = manifest(pod("p", ["true"]))
    done = run("run", path, "--json")
    assert done.returncode == 0, done.stderr
    assert "groups are not offered as files: no libfuse3" in done.stderr
    assert "not offered" not in run("run", path, "--json", "--no-mount").stderr


@pytest.mark.parametrize("name", ["groups", "pager.sock", "tmp", "p" * 200])
def test_a_pod_may_have_any_name(name: str, manifest: Callable[..., Path], tmp_path: Path) -> None:
    done = run("run", manifest(pod(name, ["sh", "-c", "touch here; pwd"])), "--json", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(done.stdout)["figures"]
    assert figures["phase"] == "Succeeded"
    assert (tmp_path / "o" / "logs" / f"{name}.main.log").read_text().strip().endswith(f"pods/{name}/main")


def test_groups_can_be_read_as_files_while_it_runs(manifest: Callable[..., Path], tmp_path: Path) -> None:
    if not Path("/dev/fuse").exists():
        pytest.skip("no /dev/fuse")
    out = tmp_path / "out"
    process = start(manifest(pod("kv", KV)), "--json", "--out", str(out))
    try:
        until(lambda: is_working(out))
        assert process.stderr is not None
        place = process.stderr.readline().strip().rpartition("groups as files: ")[2]
        group = Path(place) / "kv" / "main"
        assert (group / "misc.max").read_text() == f"sgx_epc {5 << 20}\n"
        assert int((group / "misc.current").read_text().split()[1]) > 1 << 20
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not Path(place).exists()


def test_the_death_of_the_pager_ends_the_run(manifest: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(manifest(pod("kv", KV)), "--out", str(out))
    until(lambda: is_working(out))
    (pager,) = [pid for pid in processes_with(str(out / "logs" / "pager.log")) if pid != process.pid]
    os.kill(pager, signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 71
    assert "epcg: the pager ended with status -9" in stderr
    assert not state_of(out).exists()
    assert not processes_with(str(tmp_path))


def test_nothing_outlives_a_killed_epcg(manifest: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(manifest(pod("kv", KV)), "--no-mount", "--out", str(out))
    until(lambda: is_working(out))
    assert processes_with(str(out))
    process.kill()
    process.communicate(timeout=60)
    until(lambda: not processes_with(str(out)), 20)
    until(lambda: not state_of(out).exists(), 20)


def test_kills_are_told_with_who_and_why(manifest: Callable[..., Path], tmp_path: Path) -> None:
    shop = (ROOT / "examples" / "oom-kill.yaml").read_text()
    # Of the second the first process, the larger enclave, dies. Of the third nobody can know before.
    killed = "import os, subprocess, sys; scan = [sys.executable, '-m', 'epcgroup.workloads.scan', '--size'];"
    killed += "subprocess.Popen([*scan, '1Mi', '--rate', '200'], env={**os.environ, 'EPCG_STATS': ''});"
    killed += "os.execv(sys.executable, [*scan, '9Mi', '--rate', '0'])"
    narrow = ["sh", "-c", 'exec "$0" -m epcgroup.workloads.scan --size 16Mi', sys.executable]
    path = manifest(
        pod("killed", ["python", "-c", killed], "28Ki", oom="kill"), pod("narrow", narrow, "40Ki", oom="kill")
    )
    path.write_text(f"{path.read_text()}\n---\n{shop.partition('---')[2]}")
    done = run("run", path, "--json", "--out", tmp_path / "out")
    assert done.returncode == 2, done.stderr
    result = json.loads(done.stdout)
    pods = {p["name"]: (p["phase"], p["reason"]) for p in result["pods"]}
    assert pods == {
        "killed": ("Failed", "OOMKilled"), "narrow": ("Failed", "Error"), "shop": ("Succeeded", "Completed"),
    }  # fmt: skip
    kills = {kill["group"]: kill for kill in result["kills"]}
    assert set(kills) == {"/kubepods/killed/main", "/kubepods/shop/main"}
    assert kills["/kubepods/shop/main"]["level"] == "/kubepods/shop/main"
    assert kills["/kubepods/shop/main"]["pages"] > 3
    figures = {f["pod"]: (f["oom_kills"], f["reason"]) for f in result["figures"]}
    assert figures == {"killed": (1, "OOMKilled"), "narrow": (0, "Error"), "shop": (1, "")}
    assert "pod killed failed: OOMKilled: main: an enclave of " in done.stderr
    assert "/kubepods/shop/main: an enclave of " in done.stderr
    assert "EPC (SECS, version arrays, one page), the limit of /kubepods/narrow/main is 40960" in done.stderr
    assert "the report ended: SIGBUS" in (tmp_path / "out" / "logs" / "shop.main.log").read_text()


def test_a_claim_below_the_floor_is_told_before_anything_runs(manifest: Callable[..., Path]) -> None:
    path = manifest(pod("narrow", SCAN, "32Ki"))
    for words in (("run", path), ("compare", path)):
        done = run(*words)
        assert done.returncode not in (0, 1, 2)
        assert "its enclave of 4096 pages (16Mi) needs at least 11 pages" in done.stderr
        assert done.stdout == ""
