"""``epcg trace`` as a process: interrupts, pipes, what is imported when."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from epcgroup.cli.traceoptions import bounds
from epcgroup.cli.tracerecord import _only_socket
from epcgroup.errors import UsageError
from epcgroup.sim.trace.format import read_trace

EPCG = [sys.executable, "-m", "epcgroup.cli.main", "trace"]


def start(*words: object) -> "subprocess.Popen[bytes]":
    """Start the command; Ctrl-C is not ignored even where the tests run in the background of a shell."""
    return subprocess.Popen(
        [*EPCG, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_import_leaves_no_half_file(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "t.npy"
    with start("import", "lackey", "-", "-o", out) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # A source without end: it is read while the other side is still writing.
        while not list(tmp_path.iterdir()):
            process.stdin.write(b" L 1000,4\n L 2000,4\n" * 10_000)
        process.send_signal(number)
        assert process.stderr.read().endswith(b"epcg: interrupted\n")
        with suppress(BrokenPipeError):
            process.stdin.close()
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    process = start("import", "lackey", "-", "-o", tmp_path / "t.npy", "--json")
    output, errors = process.communicate(b"".join(b" L %x000,4\n" % page for page in range(1, 4)), 60)
    assert (process.returncode, errors) == (0, b"")
    assert json.loads(output)["references"] == 3
    assert read_trace(tmp_path / "t.npy").references.tolist() == [0, 1, 2]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        " resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        " from epcgroup.cli.root import run_command; sys.exit(run_command(sys.argv[1:]))"
    )
    words = [
        "trace",
        "generate",
        "loop",
        "--pages",
        "10",
        "--references",
        "1M",
        "-o",
        str(tmp_path / "t.npy"),
    ]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (74, "epcg: File too large\n")
    assert list(tmp_path.iterdir()) == []


def test_an_old_output_survives_a_bad_input(tmp_path: Path) -> None:
    out = tmp_path / "t.npy"
    out.write_bytes(b"old")
    process = start("import", "csv", "-", "-o", out)
    _, errors = process.communicate(b"1\n2\nx\n", 60)
    assert process.returncode == 65
    assert errors.splitlines()[-1].startswith(b"epcg: <stdin>, line 3: the page (column 1) is no number: 'x'")
    assert out.read_bytes() == b"old"


@pytest.mark.parametrize("text", ["", "5", "a:b", "1:2:3", "1:x"])
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no range: expected START:STOP"):
        bounds(text)


def test_ranges() -> None:
    assert bounds("1:2") == (1.0, 2.0)
    assert bounds(":2") == (0.0, 2.0)
    assert bounds("0.5:") == (0.5, None)
    assert bounds(":") == (0.0, None)


def test_the_socket_of_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPCG_SOCKET", "/some/where.sock")
    assert _only_socket() == Path("/some/where.sock")
    assert os.environ["EPCG_SOCKET"]
