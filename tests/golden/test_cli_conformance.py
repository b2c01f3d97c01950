"""``epcg conformance``: TAP for folders, a trace for standard input, scripts on demand."""

import io
from pathlib import Path

import pytest

from epcgroup.cli.exits import Exit
from epcgroup.cli.root import run_command
from epcgroup.conformance.replay import replay

SCRIPT = "boot 64\nmkdir /a\nproc p /a\nenclave E p 16\nadd E 4\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / f"{name}.script").write_text(SCRIPT)
        (tmp_path / f"{name}.out").write_text(replay(SCRIPT, "v17"))
    return tmp_path


def test_agreeing_traces(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["conformance", "--series", "v17", str(folder)]) == Exit.OK
    assert capsys.readouterr().out == "TAP version 13\n1..2\nok 1 - v17 one\nok 2 - v17 two\n"


def test_a_difference_is_shown_and_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "two.out"
    out.write_text(out.read_text().replace("= ret=0 count=4", "= ret=0 count=5"))
    assert run_command(["conformance", str(folder)]) == Exit.FINDINGS
    output = capsys.readouterr().out
    assert "ok 1 - v17 one\nnot ok 2 - v17 two\n" in output
    assert "  operation: '#5 add E 4'\n  expected: '= ret=0 count=5'\n  got: '= ret=0 count=4'\n" in output


def test_a_folder_without_scripts_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["conformance", str(tmp_path)]) == Exit.USAGE
    assert "no *.script in it" in capsys.readouterr().err
    assert run_command(["conformance", str(tmp_path / "gone")]) == Exit.NO_INPUT
    assert "gone: No such file or directory" in capsys.readouterr().err


def test_standard_input_and_generated_scripts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["conformance", "--generate", "3", "20"]) == Exit.OK
    script = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(script))
    assert run_command(["conformance", "--series", "mainline"]) == Exit.OK
    assert capsys.readouterr().out == replay(script, "mainline")
