"""``epcg sim`` and ``epcg compare --simulate``: what they print, byte for byte, and what they refuse."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusal import assert_refused

from epcgroup.cli.exits import Exit
from epcgroup.cli.root import run_command
from epcgroup.sim.trace.writer import open_writer

GOLDEN = Path(__file__).parents[2] / "golden" / "sim"

#: Models only: figures measured on some machine do not change what is printed.
MANIFEST = """\
{apiVersion: v1, kind: Node, metadata: {name: n}, status: {capacity: {sgx.intel.com/epc: 16Mi}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: kv
  annotations:
    epcgroup.io/model: |
      {memory: 8Mi, populate: true, touches: [{uniform: all}],
       requests: {poisson: 200, burst: 10, draws: 8, compute: 100us}}
spec:
  containers:
    - {name: main, resources: {limits: {sgx.intel.com/epc: 9Mi}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: greedy
  annotations:
    epcgroup.io/start: 500ms
    epcgroup.io/model: |
      {memory: 24Mi, touches: [{loop: all}], requests: {paced: 8000, compute: 5us}}
spec:
  containers:
    - {name: main, resources: {limits: {sgx.intel.com/epc: 6Mi}}}
"""
TRACED = """\
{apiVersion: v1, kind: Node, metadata: {name: n}, status: {capacity: {sgx.intel.com/epc: 4Mi}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: one
  annotations: {epcgroup.io/model: "{trace: t.npy, repeat: true, requests: {closed: 10us}}"}
spec: {containers: [{name: main, resources: {limits: {sgx.intel.com/epc: 2Mi}}}]}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "m.yaml").write_text(MANIFEST)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: Exit = Exit.OK) -> str:
    assert run_command(words) == code, capsys.readouterr().err
    return capsys.readouterr().out


def shown(text: str) -> str:
    """Output without what depends on the machine: how long it took, and trailing blanks of tables."""
    text = re.sub(r"^time: (\S+ s) in .*? as fast", r"time: \1 in TIME", text, flags=re.MULTILINE)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def test_a_simulation_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "sim", "m.yaml", "--duration", "4s", "--cost", "hit=2")
    assert shown(text) == (GOLDEN / "sim.txt").read_text()


def test_a_comparison_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "compare", "m.yaml", "--simulate", "--duration", "4s", "--out", "out")
    assert shown(text) == (GOLDEN / "compare.txt").read_text()
    assert sorted(os.listdir("out")) == ["report.html", "result.json"]
    html = Path("out/report.html").read_text()
    for words in ("three times in virtual time", "No program ran", "digests", "Who evicted whom"):
        assert words in html


GRID = ("compare", "m.yaml", "--simulate", "--duration", "2s", "--series", "mainline,fair", "--policy",
        "second-chance,lru", "--epc", "16Mi,12Mi", "--limits", "1,0.5", "--reps", "2")  # fmt: skip


@pytest.mark.slow
def test_a_grid_is_as_it_was_on_any_number_of_threads(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [said(capsys, *GRID, "--out", "out", "--threads", threads) for threads in ("1", "3")]
    assert shown(texts[0]) == (GOLDEN / "grid.txt").read_text()
    assert texts[0] == texts[1]
    page = Path("out/report.html").read_text()
    assert page.count("fair, lru, 12Mi, limits 0.5 x claim") >= 3


def test_the_same_seed_gives_the_same_document(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("sim", "m.yaml", "--duration", "2s", "--json")
    one, two, other = (said(capsys, *words, "--seed", seed) for seed in ("5", "5", "6"))
    assert one == two
    assert json.loads(one)["simulation"]["digest"] != json.loads(other)["simulation"]["digest"]


CALLS: tuple[tuple[str, ...], ...] = (
    ("sim", "m.yaml", "--duration", "1s"),
    ("compare", "m.yaml", "--simulate", "--duration", "1s", "--out", "out"),
    (*GRID, "--out", "out"),
)


def keys(value: Any, path: str = "") -> set[str]:  # noqa: ANN401
    """Names of all members of a document; items of a list are one."""
    if isinstance(value, dict):
        found = {f"{path}.{name}" for name in value}
        return found.union(*(keys(item, f"{path}.{name}") for name, item in value.items()))
    return set().union(*(keys(item, f"{path}[]") for item in value)) if isinstance(value, list) else set()


@pytest.mark.slow
def test_documents_have_the_members_they_had(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs read these: a member that goes or is called otherwise needs a new number of the schema."""
    pods = re.compile(r"\.(kv|greedy)\b")
    lines = []
    for words in CALLS:
        document = json.loads(said(capsys, *words, "--json"))
        lines += [document["schema"], *sorted({"  " + pods.sub(".POD", key) for key in keys(document)})]
    assert "\n".join(lines) + "\n" == (GOLDEN / "schema.txt").read_text()


def test_the_folder_gets_result_and_samples(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("sim", "m.yaml", "--duration", "1s", "--json", "--out", "out", "--parquet", "s.parquet")
    document = said(capsys, *words)
    assert json.loads(Path("out/result.json").read_text()) == json.loads(document)
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an extra: epcgroup[sim]")
    tables = [parquet.read_table(path) for path in ("s.parquet", "out/samples.parquet")]
    assert tables[0].equals(tables[1])
    assert set(tables[0]["pod"].to_pylist()) == {"kv", "greedy"}


def test_a_policy_of_ones_own_is_named_by_module_and_class(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("sim", "m.yaml", "--duration", "2s", "--series", "mainline", "--json", "--policy")
    policies = ("lru", "epcgroup.sim.policy.lru:Lru", "second-chance")
    known, own, other = (json.loads(said(capsys, *words, name))["figures"] for name in policies)
    assert known == own
    assert known != other


def test_pods_that_never_fit_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sim", "m.yaml", "--duration", "1s", "--epc", "10Mi"]) == Exit.OK
    captured = capsys.readouterr()
    assert "Pending" in captured.out
    assert "greedy" in captured.err


def test_where_the_future_is_known_the_optimum_is_the_bound(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = np.random.default_rng(1).zipf(1.3, 60_000) % 900
    with open_writer(here / "t.npy", {"made": "by a test"}) as writer:
        writer.append(pages.astype(np.uint32))
    (here / "t.yaml").write_text(TRACED)
    words = ("compare", "t.yaml", "--simulate", "--duration", "1s", "--series", "fair",
             "--policy", "lru,fifo",
             "--out", "out", "--json")  # fmt: skip
    rows = json.loads(said(capsys, *words))["rows"]
    assert [row["policy"] for row in rows] == ["lru", "fifo"]
    over = [row["figures"]["over_optimum"]["value"] for row in rows]
    assert 0 < over[0] < over[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["sim"], Exit.USAGE, "Missing argument 'FILE'"),
        (["sim", "gone.yaml"], Exit.NO_INPUT, "gone.yaml: No such file"),
        (["sim", "m.yaml", "--series", "v3"], Exit.USAGE, "'v3' is not one of"),
        (["sim", "m.yaml", "--duration", "30"], Exit.USAGE, "'30' is not a duration"),
        (["sim", "m.yaml", "--epc", "1GB"], Exit.USAGE, "--epc: '1GB' is not a size"),
        (["sim", "m.yaml", "--epc", "4Ki"], Exit.USAGE, "--epc must be at least"),
        (["sim", "m.yaml", "--cost", "eldu"], Exit.USAGE, "--cost 'eldu': expected KEY=NUMBER"),
        (["sim", "m.yaml", "--cost", "edlu=1"], Exit.USAGE, "edlu"),
        (["sim", "m.yaml", "--costs", "sgx3"], Exit.USAGE, "sgx3"),
        (["sim", "m.yaml", "--policy", "belady"], Exit.USAGE, "no policy 'belady': one of second-chance"),
        (["sim", "m.yaml", "--policy", "nothing.here:Policy"], Exit.USAGE, "nothing.here"),
        (["sim", "m.yaml", "--policy", "optimum"], Exit.USAGE, "optimum"),
        (["sim", "m.yaml", "--parquet", "gone/x"], Exit.USAGE, "--parquet gone/x: there is no folder"),
        (["sim", "bad.yaml"], Exit.DATA, "bad.yaml:6: document 2 (Pod p): metadata.annotations"),
        (["compare", "m.yaml", "--policy", "lru"], Exit.USAGE, "--policy goes with --simulate"),
        (["compare", "m.yaml", "--reps", "3"], Exit.USAGE, "--reps goes with --simulate"),
        (["compare", "m.yaml"], Exit.DATA, "has a model but no command: it can be simulated"),
        (["run", "m.yaml"], Exit.DATA, "has a model but no command: it can be simulated"),
        (["compare", "m.yaml", "--simulate", "--ager", "fifo"], Exit.USAGE, "--ager is of the pager"),
        (["compare", "m.yaml", "--simulate", "--series", "fair,v4"], Exit.USAGE, "'v4': allowed are"),
        (["compare", "m.yaml", "--simulate", "--series", "fair,,"], Exit.USAGE, "expected different values"),
        (["compare", "m.yaml", "--simulate", "--limits", "-1"], Exit.USAGE, "'-1': expected a factor"),
        (["compare", "m.yaml", "--simulate", "--epc", "1Mi,x"], Exit.USAGE, "--epc: 'x' is not a size"),
        (["compare", "m.yaml", "--simulate", "--reps", "2", "--check"], Exit.USAGE, "leave the lists out"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_a_code(
    words: list[str], code: Exit, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.yaml").write_text(
        MANIFEST.splitlines()[0] + "\n---\napiVersion: v1\nkind: Pod\nmetadata:\n"
        "  {name: p, annotations: {epcgroup.io/model: stdy}}\nspec: {containers: [{name: c}]}\n"
    )
    assert_refused(words, code, message, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["sim", "m.yaml"], ["compare", "m.yaml", "--simulate", "--threads", "2", "--out", "out"]]
)
def test_an_interrupt_ends_it_at_once_and_cleanly(words: list[str], here: Path) -> None:
    command = [sys.executable, "-m", "epcgroup.cli.main", *words, "--duration", "100h"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("of 360000 s" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert out == ""
    assert err.splitlines()[-1] == "epcg: interrupted"
    assert "Traceback" not in err


def test_an_enclave_that_can_never_fit(capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.yaml").write_text(
        MANIFEST.replace("limits: {sgx.intel.com/epc: 6Mi}", "limits: {sgx.intel.com/epc: 52Ki}")
    )
    # Where the claim alone says so, before anything runs; with limits below the claims, as the pod's end.
    for command in (("sim", "m.yaml"), ("compare", "m.yaml", "--simulate")):
        assert run_command([*command, "--duration", "1s"]) == Exit.DATA
        assert "its enclave of 6144 pages (24Mi) needs at least 15 pages (60Ki)" in capsys.readouterr().err
    Path("m.yaml").write_text(
        MANIFEST.replace("limits: {sgx.intel.com/epc: 6Mi}", "limits: {sgx.intel.com/epc: 60Ki}")
    )
    words = (
        "compare",
        "m.yaml",
        "--simulate",
        "--limits",
        "1,0.9",
        "--duration",
        "1s",
        "--series",
        "fair",
        "--json",
    )
    assert run_command([*words, "--out", "out"]) == Exit.POD_FAILED
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["failed"] for row in rows] == [0, 1]
