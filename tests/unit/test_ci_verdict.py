"""The last step of CI: it must not call a failed demo good."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "verdict.py"
GOOD = {"name": "kv.operations", "value": 0.97, "bound": 0.9, "ok": True}
BAD = {"name": "kv.p99", "value": 3.0, "bound": 1.5, "ok": False}


def judge(tmp_path: Path, text: str) -> tuple[int, str]:
    log = tmp_path / "log"
    log.write_text(text)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(log)], check=False, capture_output=True, text=True
    )
    return done.returncode, done.stdout.splitlines()[-1]


def document(verdict: str, *checks: dict[str, Any]) -> str:
    return (
        f"userfaultfd: yes {{full}}\n{json.dumps({'verdict': verdict, 'checks': list(checks)}, indent=2)}\n"
    )


def test_good(tmp_path: Path) -> None:
    assert judge(tmp_path, document("isolated", GOOD)) == (0, "verdict: isolated")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "verdict: isolated\n",
        '{"verdict": "isolated", "checks": [',
        document("isolated"),
        document("isolated", GOOD, BAD),
        document("not isolated", GOOD),
        document("isolated", GOOD) + document("not isolated", GOOD),
    ],
)
def test_bad(tmp_path: Path, text: str) -> None:
    code, last = judge(tmp_path, text)
    assert code == 1
    assert "FAILED" in last
