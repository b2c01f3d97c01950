"""``epcg compare --simulate``: the three runs in virtual time, or a grid of what lists are given."""

import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from epcgroup.cli.compare import conclude, keep
from epcgroup.cli.compiling import say_when_compiling
from epcgroup.cli.exits import Exit
from epcgroup.cli.live import output
from epcgroup.cli.options import StopSignals, results_folder
from epcgroup.cli.simoptions import SIM_SERIES, SimProgress, epc_bytes, listed, sim_options
from epcgroup.errors import UsageError
from epcgroup.node.compare import Case, cases
from epcgroup.node.floors import check_floors
from epcgroup.node.grid import Grid, run_grid, to_json
from epcgroup.node.objects import Manifest
from epcgroup.node.simcompare import compare_simulated
from epcgroup.node.simulate import notes
from epcgroup.observe.gridstory import GridRow, GridStory
from epcgroup.observe.gridtable import grid_table
from epcgroup.observe.story import RunStory

if TYPE_CHECKING:
    from epcgroup.node.simulate import SimOptions

_NO_LIMITS: Final = "none"
#: Columns of a grid with intervals are wide.
_GRID_WIDTH: Final = 220
_QUIET_S: Final = 2.0


class SimComparing:
    """One call of the command."""

    def __init__(
        self, manifest: Manifest, duration_ns: int, roomy_bytes: int | None, texts: dict[str, Any]
    ) -> None:
        """Read the options.

        Raises:
            UsageError: one of them cannot be.
        """
        self._manifest = manifest
        self._roomy_bytes = roomy_bytes
        self._nr_threads: int = texts.pop("threads")
        self._grid = _grid(manifest, roomy_bytes, texts)
        self._options: SimOptions = sim_options(duration_ns, **texts)

    def run(self, out: Path | None, *, as_json: bool, check: bool) -> int:
        """Simulate, print, and return the exit code."""
        say_when_compiling()
        with StopSignals() as stop, results_folder(out, "compare", has_logs=False) as folder:
            if self._grid is None:
                return self._three(stop, folder, as_json=as_json, check=check)
            if check:
                raise UsageError("--check asks for the verdict over three runs: leave the lists out")
            return self._combinations(self._grid, stop, folder, as_json=as_json)

    def _three(self, stop: StopSignals, folder: Path, *, as_json: bool, check: bool) -> int:
        check_floors(self._manifest, is_simulated=True)
        chosen = cases(self._manifest, self._roomy_bytes)
        name = Path(self._manifest.file).name

        def progress_of(case: Case) -> SimProgress:
            return SimProgress(f"{name}, {case.title}", self._options.duration_ns, stop)

        comparison = compare_simulated(self._manifest, chosen, self._options, self._nr_threads, progress_of)
        digests = ", ".join(f"{run.title} {_digest(run)}" for run in comparison.runs)
        facts = self._facts("seed", str(self._options.seed)) | {"digests": digests}
        return conclude(self._manifest, comparison, folder, as_json=as_json, check=check, facts=facts,
                        command="epcg compare --simulate")  # fmt: skip

    def _combinations(self, grid: Grid, stop: StopSignals, folder: Path, *, as_json: bool) -> int:
        def stopped(_: int) -> None:
            if stop():
                raise KeyboardInterrupt

        told = _Told()
        rows = run_grid(self._manifest, grid, self._options, self._nr_threads, told, stopped)
        result = to_json(self._manifest, grid, self._options, rows)
        report = keep(folder, result, lambda: self._page(grid, rows))
        if as_json:
            print(json.dumps({**result, "report": report}))
        else:
            self._print(rows, report)
        for line in notes(self._manifest):
            print(line, file=sys.stderr)
        return int(Exit.POD_FAILED if any(row.nr_failed for row in rows) else Exit.OK)

    def _page(self, grid: Grid, rows: list[GridRow]) -> str:
        from epcgroup.observe.gridpage import grid_page

        return grid_page(
            GridStory(
                title=Path(self._manifest.file).name,
                manifest=self._manifest.text,
                rows=tuple(rows),
                facts=self._facts("repetitions", f"{grid.nr_reps}, seeds from {self._options.seed} on"),
                made=time.strftime("%Y-%m-%d %H:%M %Z"),
            )
        )

    def _facts(self, name: str, value: str) -> dict[str, str]:
        """How it was simulated, for people."""
        options = self._options
        costs = [options.costs, *(f"{key} = {value:g}" for key, value in options.overrides.items())]
        return {
            "command": f"epcg compare --simulate {self._manifest.file}",
            "virtual time": f"{options.duration_ns / 1e9:g} s a run",
            name: value,
            "costs": ", ".join(costs),
            "processors": str(options.nr_cpus or "one for every program"),
        }

    def _print(self, rows: list[GridRow], report: str | None) -> None:
        console = output(_GRID_WIDTH)
        console.print(grid_table(rows))
        failed = sum(row.nr_failed for row in rows)
        if failed:
            console.print(Text(f"{failed} pods failed: their figures say little", style="bold red"))
        if report is not None:
            console.print(Text(f"Report:  {report}"), soft_wrap=True)


def _digest(run: RunStory) -> str:
    return str((run.simulation or {})["digest"])


class _Told:
    """Says on standard error how many simulations of a grid are done, when it takes long."""

    def __init__(self) -> None:
        self._next_s = time.monotonic() + _QUIET_S

    def __call__(self, done: int, of: int) -> None:
        """Take note of one more."""
        now_s = time.monotonic()
        if now_s >= self._next_s and done < of:
            self._next_s = now_s + _QUIET_S
            print(f"{done} of {of} simulations", file=sys.stderr, flush=True)


def _grid(manifest: Manifest, roomy_bytes: int | None, texts: dict[str, Any]) -> Grid | None:
    """The grid that lists ask for, None without any."""
    lists = {name: texts.pop(name) for name in ("series", "policy", "epc", "limits")}
    nr_reps: int | None = texts.pop("reps")
    if nr_reps is None and not any(lists.values()):
        return None
    return Grid(
        series=listed("--series", lists["series"] or "mainline,fair", _series),
        policies=listed("--policy", lists["policy"] or "second-chance", str),
        epc_bytes=listed("--epc", lists["epc"], lambda text: epc_bytes("--epc", text))
        if lists["epc"] else (manifest.node.capacity_bytes,),
        limits=listed("--limits", lists["limits"] or "1", _limit),
        nr_reps=nr_reps or 1,
        roomy_bytes=roomy_bytes,
    )  # fmt: skip


def _series(text: str) -> str:
    if text not in SIM_SERIES:
        raise UsageError(f"--series {text!r}: allowed are {', '.join(SIM_SERIES)}")
    return text


def _limit(text: str) -> float:
    if text == _NO_LIMITS:
        return math.inf
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1000:
        raise UsageError(
            f"--limits {text!r}: expected a factor of the claims, for example 0.5, or {_NO_LIMITS}"
        )
    return value
