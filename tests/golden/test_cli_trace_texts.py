"""What people see of ``epcg trace``: help, figures, errors, word for word.

``python -m tests.golden.test_cli_trace_texts`` writes the file anew.
"""

import io
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from epcgroup.cli.root import run_command

GOLDEN = Path(__file__).with_name("cli-trace.txt")
SAMPLE = Path(__file__).parents[1] / "unit" / "sim" / "trace" / "sums.lackey.xz"
TABLE = "time,page\n0.5,7\n0.75,9\n1.5,7\n"
PODS = (
    "name,memory_mib,qos,creation_time,deletion_time,scheduled_time\n"
    "web,16384,LS,10,70,11\nbatch,32768,BE,20,50,20\nlate,1024,BE,30,40,\n"
)
COMMANDS = (
    "trace --help",
    "trace import --help",
    "trace import lackey --help",
    "trace import csv --help",
    "trace import openb --help",
    "trace cut --help",
    "trace mix --help",
    "trace generate --help",
    "trace record --help",
    "trace import lackey sums.lackey.xz -o sums.npy",
    "trace info sums.npy",
    "trace import csv table.csv --column page --time-column time -o table.parquet --json",
    "trace info table.parquet --json",
    "trace cut sums.npy --references 100:300 -o part.npy",
    "trace mix sums.npy part.npy=0.5 -o mixed.npy",
    "trace generate zipf --pages 1k --references 10k -o zipf.npy",
    "trace import openb pods.csv --speed 10 -o pods.yaml",
    "trace info table.csv",
    "trace info gone.npy",
    "trace import lackey table.csv -o x.npy",
    "trace import csv table.csv --column 2 -o x.npy",
    "trace import csv sums.npy -o x.npy",
    "trace cut sums.npy --requests 0:1 -o x.npy",
    "trace cut sums.npy --share 0:1 --references 0:1 -o x.npy",
    "trace cut sums.npy --share half -o x.npy",
    "trace mix sums.npy=heavy part.npy -o x.npy",
    "trace generate zipf --pages many --references 1 -o x.npy",
    "trace generate scan --pages 10 --references 11 -o x.npy",
    "trace generate zipf --pages 10 --references 11 -o x.txt",
    "trace generate zipf --pages 10 --references 11 -o none/x.npy",
    "trace record kv --socket none.sock -o x.npy",
    "trace record kv --duration never --socket none.sock -o x.npy",
)


def transcript(folder: Path) -> str:
    """Return what the commands say, run in a folder, one after the other."""
    shutil.copy(SAMPLE, folder)
    (folder / "table.csv").write_text(TABLE)
    (folder / "pods.csv").write_text(PODS)
    parts = []
    for command in COMMANDS:
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            code = run_command(command.split())
        parts.append(f"$ epcg {command}\n{output.getvalue()}{errors.getvalue()}[{code}]\n")
    return "\n".join(parts)


def test_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    # Once before: the first time on a machine something is compiled, and a line says so.
    with TemporaryDirectory() as before:
        monkeypatch.chdir(before)
        transcript(Path(before))
        monkeypatch.chdir(tmp_path)
    assert transcript(tmp_path) == GOLDEN.read_text()
    # Nothing half is left, whatever went wrong.
    expected = {"sums.lackey.xz", "table.csv", "pods.csv", "sums.npy", "table.parquet", "part.npy"}
    assert {path.name for path in tmp_path.iterdir()} == expected | {"mixed.npy", "zipf.npy", "pods.yaml"}


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    with TemporaryDirectory() as place:
        os.chdir(place)
        transcript(Path(place))
        GOLDEN.write_text(transcript(Path(place)))
