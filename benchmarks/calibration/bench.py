"""One real workload on a pager of its own, looked at from outside: processor time, operations, pages."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from epcgroup.client.report import Report, read_reports
from epcgroup.node.pagerprocess import PagerOptions, PagerProcess
from epcgroup.node.process import GatedProcess
from epcgroup.observe.figures import operations_at
from epcgroup.units import PAGE_SIZE, parse_size

_GROUP: Final = "/bench"
#: EPC in which nothing is paged.
ROOMY: Final = "512Mi"
_POLL_S: Final = 0.001
_PATIENCE_S: Final = 120.0


def processor_ns(pid: int) -> int:
    """Return the processor time of a process so far, all its threads, without its children.

    Source: Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat.
    """
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def wait_for(found: Callable[[], bool], what: str) -> None:
    """Return when ``found()`` is true; ends the benchmark when it is not for two minutes."""
    deadline = time.monotonic() + _PATIENCE_S
    while not found():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {_PATIENCE_S:.0f} s in vain: {what}")
        time.sleep(_POLL_S)


@dataclass(frozen=True, slots=True)
class Look:
    """A program at one moment: CLOCK_MONOTONIC, processor time, pages of its group charged and faulted."""

    t_ns: int
    processor_ns: int
    resident_pages: int
    faults: int
    statistics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Running:
    """A workload that runs; ``started_ns``: when its gate was opened."""

    process: GatedProcess
    pager: PagerProcess
    report: Path
    log: Path
    started_ns: int

    def lines(self) -> list[Report]:
        """Return what it has reported so far."""
        return list(read_reports(self.report.read_bytes())) if self.report.exists() else []

    def look(self) -> Look:
        """Look at it now."""
        statistics = self.pager.control.statistics()
        current = self.pager.control.read(_GROUP, "misc.current").split()
        return Look(
            time.monotonic_ns(),
            processor_ns(self.process.pid),
            int(current[current.index("sgx_epc") + 1]) // PAGE_SIZE,
            statistics["groups"][_GROUP]["faults"],
            statistics,
        )

    def wait_until_working(self) -> None:
        """Return when its load phase is over."""
        wait_for(lambda: self._alive() and self._phase() == "run", "the load phase of a workload")

    def _phase(self) -> str:
        lines = self.lines()
        return lines[-1].phase if lines else ""

    def _alive(self) -> bool:
        status = self.process.poll()
        if status is not None:
            raise SystemExit(f"a workload ended with status {status}: {self.log.read_text()[-400:]}")
        return True

    def wait_until_open(self) -> int:
        """Return the time from its start until its enclave exists, ns."""
        wait_for(
            lambda: self._alive() and self.pager.control.statistics()["nr_live_enclaves"] > 0, "an enclave"
        )
        return time.monotonic_ns() - self.started_ns

    def operations_between(self, earlier: Look, later: Look) -> float:
        """Return the operations done between two looks; waits for the report that tells."""
        wait_for(lambda: self._alive() and self.lines()[-1].t_ns >= later.t_ns, "a report of a workload")
        run = [line for line in self.lines() if line.phase == "run"]
        return operations_at(run, later.t_ns) - operations_at(run, earlier.t_ns)


@contextmanager
def running(
    words: Sequence[str], *, limit_pages: int | None = None, epc: str = ROOMY, ager: str = "fifo"
) -> Iterator[Running]:
    """Run ``python -m epcgroup.workloads.WORDS`` in a group of its own; ended at the end of the block.

    Args:
        words: name of the workload and its arguments.
        limit_pages: ``misc.max`` of its group; None: none.
        epc: EPC of the pager.
        ager: of the pager.
    """
    with tempfile.TemporaryDirectory(prefix="epcg-") as name:
        folder = Path(name)
        pager = PagerProcess(folder, folder / "pager.log", PagerOptions(parse_size(epc), "fair", ager))
        try:
            pager.control.mkdir(_GROUP)
            if limit_pages is not None:
                pager.control.write(_GROUP, "misc.max", f"sgx_epc {limit_pages * PAGE_SIZE}")
            process = _start(words, folder, pager)
            try:
                process.release()
                yield Running(process, pager, folder / "report", folder / "workload.log", time.monotonic_ns())
            finally:
                process.kill()
        finally:
            pager.stop()


def _start(words: Sequence[str], folder: Path, pager: PagerProcess) -> GatedProcess:
    variables = dict(os.environ) | {
        "EPCG_SOCKET": str(pager.socket),
        "EPCG_STATS": str(folder / "report"),
        "TMPDIR": str(folder),
    }
    command = ["python", "-m", f"epcgroup.workloads.{words[0]}", *words[1:]]
    process = GatedProcess(command, variables, folder, folder / "workload.log")
    pager.control.write(_GROUP, "epc.procs", str(process.pid))
    return process
