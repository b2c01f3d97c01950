import os
import subprocess
import sys
from pathlib import Path

import pytest
from live_pager import LivePager, end, read_line, wait_until

from epcgroup.client import read_reports

pytestmark = pytest.mark.live
EXAMPLES = Path(__file__).parents[2] / "examples"
#: What each says at its end.
SAYS = {
    "hello_enclave.py": "256 pages, page 1 says hello",
    "numpy_in_enclave.py": "2099200 bytes of weights in enclave 1: 513",
    "outlive_the_pager.py": "done",
    "report_progress.py": "2000 operations, p99",
}


def start(name: str, pager: LivePager, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "EPCG_SOCKET": str(pager.socket), "EPCG_STATS": str(pager.folder / "stats")}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_to_its_end(name: str, live_pager: LivePager) -> None:
    process = start(name, live_pager, "0.2")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert SAYS[name] in said
    wait_until(live_pager.is_empty)
    if name == "report_progress.py":
        reports = list(read_reports((live_pager.folder / "stats").read_bytes()))
        assert (reports[-1].phase, reports[-1].operations) == ("done", 2000)


def test_the_example_that_outlives_its_pager_does(live_pager: LivePager) -> None:
    process = start("outlive_the_pager.py", live_pager)
    try:
        assert read_line(process, 60) == "working\n"
        live_pager.process.kill()
        said, _ = process.communicate(timeout=20)
    finally:
        end(process)
    assert process.returncode == 0, said
    assert "stopped: the pager of enclave 1 is gone" in said
