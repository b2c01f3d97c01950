"""The command: quick, lazy, and every error one line with an exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from refusal import assert_refused

from epcgroup import __version__
from epcgroup.cli.exits import Exit
from epcgroup.cli.options import results_folder
from epcgroup.cli.root import run_command
from epcgroup.errors import UsageError

GOLDEN = Path(__file__).parents[2] / "golden"
#: What must not be imported just to print the help.
HEAVY = (
    "numpy",
    "numba",
    "rich",
    "yaml",
    "msgspec",
    "matplotlib",
    "cryptography",
    "epcgroup.engine",
    "subprocess",
)


def test_help_is_as_it_was(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    texts = []
    for words in ([], ["run"], ["compare"], ["sim"], ["doctor"]):
        assert run_command([*words, "--help"]) == Exit.OK
        texts.append(capsys.readouterr().out)
    assert "\n".join(texts) == (GOLDEN / "cli-help.txt").read_text()


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from epcgroup.cli.root import run_command; run_command(['--help']);"
        f" print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("module", ["click", "epcgroup.errors", "epcgroup.cli.doctor"])
def test_ctrl_c_while_it_starts_is_one_line(module: str) -> None:
    script = f"""
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["epcg", "doctor"]
from epcgroup.cli.main import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip(), done.stdout) == (Exit.INTERRUPTED, "epcg: interrupted", "")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == Exit.OK
    assert capsys.readouterr().out == f"epcg {__version__}\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nothing"], Exit.USAGE, "No such command 'nothing'"),
        (["run"], Exit.USAGE, "Missing argument 'FILE'"),
        (["run", "x.yaml", "--series", "v3"], Exit.USAGE, "'v3' is not one of"),
        (["run", "gone.yaml"], Exit.NO_INPUT, "gone.yaml: No such file or directory"),
        (["run", "."], Exit.NO_INPUT, ".: Is a directory"),
        (["run", "good.yaml", "--duration", "30"], Exit.USAGE, "'30' is not a duration"),
        (["run", "good.yaml", "--duration", "9" * 400 + "s"], Exit.USAGE, "is not a duration"),
        (["run", "good.yaml", "--duration", "0s"], Exit.USAGE, "--duration must be more than nothing"),
        (["compare", "good.yaml", "--roomy-epc", "1GB"], Exit.USAGE, "'1GB' is not a size"),
        (["compare", "good.yaml", "--roomy-epc", "4Ki"], Exit.USAGE, "--roomy-epc must be at least"),
        (["compare", "bad.yaml"], Exit.DATA, "bad.yaml:1:5: not YAML"),
        (["run", "good.yaml", "--duration", "1s", "--out", "bad.yaml"], Exit.USAGE, "is a file"),
        (["run", "good.yaml", "--duration", "1s", "--out", "bad.yaml/x"], Exit.NO_INPUT, "Not a directory"),
    ],
)
def test_errors_are_one_line_and_a_code(
    words: list[str], code: Exit, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("a: [")
    (tmp_path / "good.yaml").write_text(
        "{apiVersion: v1, kind: Node, metadata: {name: n}, status: {capacity: {sgx.intel.com/epc: 4Mi}}}\n"
        "---\n{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, args: [a]}]}}\n"
    )
    assert_refused(words, code, message, capsys)


@pytest.mark.parametrize(
    ("redirection", "message"),
    [("<&-", "no standard input"), ("<binary", "<stdin>: not UTF-8 text at byte 6")],
)
def test_standard_input_that_is_no_manifest(redirection: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"kind: \xff")
    done = subprocess.run(
        f"{sys.executable} -m epcgroup.cli.main run - {redirection}",
        shell=True, capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in (Exit.USAGE, Exit.DATA)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        results_folder(out, "run"),
        pytest.raises(UsageError, match="another run"),
        results_folder(out, "run"),
    ):
        pass
    with results_folder(out, "run") as folder:
        assert list(folder.iterdir()) == []


def test_doctor_for_programs_and_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    names = {capability["name"] for capability in found["capabilities"]}
    assert {"userfaultfd", "FUSE", "cgroup2", "SGX", "misc.capacity", "BPF LSM", "kernel", "CPUs"} <= names
    assert code == (Exit.OK if found["able"] else Exit.FINDINGS)
    for capability in found["capabilities"]:
        assert capability["enables"]
        assert capability["ok"] or capability["how"] or capability["name"] == "memory"
    assert run_command(["doctor", "--brief"]) == code
    assert capsys.readouterr().out.count("\n") == 1
    assert run_command(["doctor"]) == code
    shown = capsys.readouterr().out
    assert "userfaultfd" in shown
    assert "\x1b" not in shown


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m epcgroup.cli.main doctor | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
