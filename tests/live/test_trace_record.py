"""``epcg trace record``: what it writes is what the pager counted, page by page."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import StartPager
from live_pager import LivePager, Puppet, end, wait_until

from epcgroup.cli.tracerecord import _sockets
from epcgroup.errors import UsageError
from epcgroup.sim.trace.format import PAGE_MASK, read_trace

pytestmark = pytest.mark.live
EPCG = (sys.executable, "-m", "epcgroup.cli.main", "trace", "record")
NR_PAGES, NR_LIMIT = 512, 128
#: A pager whose recorder is full after ten events; it must not start itself anew after compiling.
SMALL = (
    "-c",
    "import sys, epcgroup.pager.recorder as recorder; from epcgroup.pager.__main__ import main;"
    " recorder._MAX_WORDS = 20; sys.exit(main())",
)


class Recording:
    """A recording of the command in a process of its own."""

    def __init__(self, pager: LivePager, group: str, out: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*EPCG, group, "-o", str(out), "--socket", str(pager.socket), "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> dict[str, Any]:
        """Ctrl-C; returns what it said."""
        self.process.send_signal(signal.SIGINT)
        return self.result()

    def result(self) -> dict[str, Any]:
        output, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return dict(json.loads(output))


@pytest.fixture
def scans() -> Iterator[list["subprocess.Popen[str]"]]:
    """Programs that are ended."""
    programs: list[subprocess.Popen[str]] = []
    yield programs
    for program in programs:
        end(program)


def start_scan(pager: LivePager, group: str) -> "subprocess.Popen[str]":
    """Start the workload; it waits for a line before it becomes the program."""
    words = ["-m", "epcgroup.workloads.scan", "--size", str(NR_PAGES * 4096), "--rate", "5000"]
    program = subprocess.Popen(
        ["/bin/sh", "-c", 'read _ && exec "$@"', "sh", sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "EPCG_SOCKET": str(pager.socket)},
    )
    with pager.control() as control:
        control.write(group, "epc.procs", str(program.pid))
    return program


def is_recording(pager: LivePager) -> bool:
    """Whether the recording has begun: only then is another refused."""
    with pager.control() as control:
        try:
            control.record("start", "/no/such/group")
        except UsageError as error:
            return "runs: one at a time" in str(error)
    return False


def loaded(pager: LivePager, group: str) -> int:
    return int(pager.statistics()["groups"][group]["loaded"])


@pytest.mark.parametrize("ager", ["fifo", "refault"])
def test_scan_is_recorded_exactly(
    start_pager: StartPager, tmp_path: Path, scans: list["subprocess.Popen[str]"], ager: str
) -> None:
    pager = start_pager("--ager", ager)
    pager.make_group("/kubepods")
    pager.make_group("/kubepods/scan", NR_LIMIT)
    pager.make_group("/kubepods/scan/main")
    scans.append(start_scan(pager, "/kubepods/scan/main"))
    out = tmp_path / "scan.npy"
    recording = Recording(pager, "scan", out, "--faults-only")
    wait_until(lambda: is_recording(pager), 60)
    before = pager.statistics()["groups"]["/kubepods/scan"]
    assert scans[0].stdin is not None
    scans[0].stdin.write("go\n")
    scans[0].stdin.flush()
    wait_until(lambda: loaded(pager, "/kubepods/scan") > 3 * NR_PAGES, 60)
    end(scans[0])
    wait_until(lambda: pager.statistics()["nr_live_enclaves"] == 0)
    after = pager.statistics()["groups"]["/kubepods/scan"]
    said = recording.stop()
    trace = read_trace(out)
    assert said["faults"] == said["counted_by_the_pager"] == len(trace.references)
    assert said["created"] == after["created"] - before["created"] == NR_PAGES
    assert said["loaded"] == after["loaded"] - before["loaded"]
    assert trace.nr_pages == NR_PAGES
    assert trace.nr_requests == len(trace.references)
    assert trace.provenance["estimated"] is said["estimated"] is False
    pages = trace.references & np.uint32(PAGE_MASK)
    # A program that sweeps faults on its pages in their order; the ager only spares it some of them.
    if ager == "fifo":
        assert (pages == np.arange(len(pages)) % NR_PAGES).all()
        assert said["touches_seen"] == 0
    assert set(pages.tolist()) == set(range(NR_PAGES))


def test_touches_the_ager_sees_are_an_estimate(start_pager: StartPager, tmp_path: Path) -> None:
    pager = start_pager("--ager", "refault")
    pager.make_group("/pod", 300)
    puppet = pager.puppet(1240, group="/pod")
    puppet.ask("fill", 0, 1240, 1)
    out = tmp_path / "hot.npy"
    recording = Recording(pager, "/pod", out)
    wait_until(lambda: is_recording(pager), 60)
    soft_before = pager.statistics()["groups"]["/pod"]["soft"]
    before = loaded(pager, "/pod")
    puppet.ask("hot", 40, 1200, 4)
    said = recording.stop()
    statistics = pager.statistics()["groups"]["/pod"]
    trace = read_trace(out)
    assert said["touches_seen"] == statistics["soft"] - soft_before > 0
    assert said["loaded"] == statistics["loaded"] - before
    assert len(trace.references) == said["faults"] + said["touches_seen"]
    assert trace.provenance["estimated"] is said["estimated"] is True
    assert trace.provenance["ager"] == "refault"


def faulted(pager: LivePager, puppet: Puppet) -> None:
    assert puppet.ask("fill", 0, 100, 1) == 100


def test_two_enclaves_have_pages_of_their_own(live_pager: LivePager, tmp_path: Path) -> None:
    live_pager.make_group("/pod")
    out = tmp_path / "two.parquet"
    recording = Recording(live_pager, "/pod", out)
    wait_until(lambda: is_recording(live_pager), 60)
    for _ in range(2):
        faulted(live_pager, live_pager.puppet(150, group="/pod"))
    said = recording.stop()
    trace = read_trace(out)
    assert said["faults"] == said["counted_by_the_pager"] == 200
    assert trace.nr_pages == 300
    pages = (trace.references & np.uint32(PAGE_MASK)).tolist()
    assert pages == [*range(100), *range(150, 250)]


def test_others_are_not_recorded_and_nothing_is_no_file(live_pager: LivePager, tmp_path: Path) -> None:
    live_pager.make_group("/pod")
    live_pager.make_group("/podium")
    out = tmp_path / "none.npy"
    recording = Recording(live_pager, "/pod", out)
    wait_until(lambda: is_recording(live_pager), 60)
    faulted(live_pager, live_pager.puppet(150, group="/podium"))
    recording.process.send_signal(signal.SIGINT)
    _, errors = recording.process.communicate(timeout=60)
    assert recording.process.returncode == 71
    assert "no page came in meanwhile, nothing is written" in errors
    assert list(tmp_path.iterdir()) == []


def test_a_recording_nobody_fetches_ends_by_itself(start_pager: StartPager) -> None:
    pager = start_pager(program=SMALL, environment={"EPCG_PAGER_WARMED": "1"})
    pager.make_group("/pod")
    puppet = pager.puppet(150, group="/pod")
    with pager.control() as control:
        control.record("start", "/pod")
        faulted(pager, puppet)
        reply = control.record("fetch", "/pod")
        assert reply["is_over"] is True
        assert reply["created"] > 10
        # It is over: the next one may begin.
        assert control.record("start", "/pod")["is_over"] is False
        assert control.record("stop", "/pod")["is_over"] is True
        with pytest.raises(UsageError, match="no recording runs"):
            control.record("fetch", "/pod")
        with pytest.raises(UsageError, match="start, fetch or stop, not 'pause'"):
            control.record("pause", "/pod")


def test_it_ends_with_its_group(live_pager: LivePager, tmp_path: Path) -> None:
    live_pager.make_group("/pod")
    recording = Recording(live_pager, "/pod", tmp_path / "t.npy")
    wait_until(lambda: is_recording(live_pager), 60)
    puppet = live_pager.puppet(150, group="/pod")
    faulted(live_pager, puppet)
    assert puppet.leave() == 0
    with live_pager.control() as control:
        wait_until(lambda: control.statistics()["nr_live_enclaves"] == 0)
        control.rmdir("/pod")
    said = recording.result()
    assert said["faults"] == len(read_trace(tmp_path / "t.npy").references) == 100
    assert said["counted_by_the_pager"] is None


def test_it_ends_after_its_time(live_pager: LivePager, tmp_path: Path) -> None:
    live_pager.make_group("/pod")
    puppet = live_pager.puppet(1000, group="/pod")
    recording = Recording(live_pager, "/pod", tmp_path / "t.npy", "--duration", "3s")
    wait_until(lambda: is_recording(live_pager), 60)
    puppet.ask("fill", 0, 1000, 1)
    said = recording.result()
    assert said["faults"] == said["counted_by_the_pager"] == 1000


def test_a_running_pager_is_found(live_pager: LivePager) -> None:
    assert live_pager.socket in set(_sockets())


def test_the_end_of_the_pager_keeps_what_was_fetched(live_pager: LivePager, tmp_path: Path) -> None:
    live_pager.make_group("/pod")
    out = tmp_path / "kept.npy"
    recording = Recording(live_pager, "/pod", out)
    wait_until(lambda: is_recording(live_pager), 60)
    live_pager.puppet(8000, group="/pod").ask("fill", 0, 8000, 1)
    # More than what the writer keeps to itself: it has been fetched.
    wait_until(lambda: any(file.stat().st_size > 20_000 for file in tmp_path.glob(".kept.npy.*.tmp")), 60)
    with live_pager.control() as control:
        control.shutdown()
    live_pager.process.wait(30)
    said = recording.result()
    assert said["counted_by_the_pager"] is None
    assert len(read_trace(out).references) == said["faults"] > 4000
