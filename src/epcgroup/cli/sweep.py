"""``epcg sweep``: simulate a manifest under many settings; one table and plots of all."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from epcgroup.cli.exits import Exit
from epcgroup.cli.options import StopSignals, json_option, out_option, results_folder
from epcgroup.cli.planning import dask_option, pool, progress_bar, threads_option

if TYPE_CHECKING:
    from epcgroup.plan.sweep import Found, Sweep

_HELP: Final = """Simulate the manifest of SPEC under many settings.

SPEC is YAML: a manifest, and what is varied (docs/sweep.md):

\b
manifest: noisy-neighbour.yaml
duration: 60s
reps: 3
grid:
  epc: [48Mi, 64Mi, 96Mi]
  series: [mainline, fair]

The folder given by --out gets a table (sweep.parquet) and a plot for each key. What is finished is on disk
at once: after Ctrl-C, or worse, the same command goes on where it was.
"""
_MOST_FAILED: Final = 5


@click.command(help=_HELP, short_help="Simulate one manifest under many settings.")
@click.argument("spec", type=click.Path(path_type=Path), metavar="SPEC")
@threads_option
@dask_option
@out_option
@json_option
def sweep(spec: Path, threads: int | None, address: str | None, out: Path | None, as_json: bool) -> int:
    """Simulate the manifest of a SPEC under many settings."""
    from epcgroup.node.sweepfile import load_sweep
    from epcgroup.plan import journal
    from epcgroup.plan.sweep import found, run

    plan = load_sweep(spec)
    points = plan.space.points()
    with StopSignals() as stop, results_folder(out or _default_folder(spec), "sweep") as folder:
        with journal.opened(folder, plan.identity) as notes:
            with pool(threads, address) as where, progress_bar(where.name, len(points)) as done:
                complete = run(plan, where, notes, stop, done)
            if not complete:
                return _interrupted(len(notes.entries), len(points), folder)
            result = found(plan, notes)
        return _conclude(plan, result, folder, as_json=as_json)


def _default_folder(spec: Path) -> Path:
    """Results of a long sweep belong where they can be found again: beside the SPEC."""
    return spec.with_name(spec.stem + ".sweep")


def _interrupted(nr_done: int, nr_all: int, folder: Path) -> int:
    print(
        f"epcg: interrupted: {nr_done} of {nr_all} points are in {folder}; the same command goes on there",
        file=sys.stderr,
    )
    raise click.exceptions.Exit(int(Exit.INTERRUPTED))


def _conclude(plan: "Sweep", result: "Found", folder: Path, *, as_json: bool) -> int:
    table, plots = _write_table(plan, result, folder), _write_plots(plan, result, folder)
    if as_json:
        print(json.dumps(_to_json(plan, result, table, plots)))
    else:
        _print(plan, result, table, plots)
    for point, why in result.failed[:_MOST_FAILED]:
        print(f"epcg: cannot be simulated: {point}: {why}", file=sys.stderr)
    if len(result.failed) > _MOST_FAILED:
        print(f"epcg: … and {len(result.failed) - _MOST_FAILED} more points", file=sys.stderr)
    return int(Exit.FINDINGS if result.failed else Exit.OK)


def _write_table(plan: "Sweep", result: "Found", folder: Path) -> Path | None:
    """Write the table; where it cannot be written say so."""
    from epcgroup.errors import NotSupportedError
    from epcgroup.plan.sweep import write_table

    try:
        return write_table(plan, result, folder)
    except NotSupportedError as error:
        print(f"epcg: no table: {error}; then the same command writes it", file=sys.stderr)
        return None


def _write_plots(plan: "Sweep", result: "Found", folder: Path) -> Sequence[Path]:
    """Write the plots; where they cannot be drawn say so."""
    from epcgroup.errors import NotSupportedError
    from epcgroup.plan.plots import write_plots

    try:
        return write_plots(result.rows, [name for name, _ in plan.space.axes], folder)
    except NotSupportedError as error:
        print(f"epcg: no plots: {error}", file=sys.stderr)
        return ()


def _to_json(plan: "Sweep", result: "Found", table: Path | None, plots: Sequence[Path]) -> dict[str, Any]:
    return {
        "schema": "epcgroup/sweep/1",
        "sweep": plan.identity,
        "nr_points": len(plan.space.points()),
        "digest": result.digest,
        "table": None if table is None else str(table),
        "plots": [str(path) for path in plots],
        "failed": [{"point": point, "error": why} for point, why in result.failed],
        "rows": result.rows,
    }


def _print(plan: "Sweep", result: "Found", table: Path | None, plots: Sequence[Path]) -> None:
    from epcgroup.cli.live import output
    from epcgroup.plan.summary import summary_table

    console = output()
    console.print(summary_table(result.rows, [name for name, _ in plan.space.axes]))
    tables = [] if table is None else [f"Table:  {table}"]
    lines = [*tables, *(f"Plot:   {path}" for path in plots), f"Digest: {result.digest}"]
    console.print("\n".join(lines), soft_wrap=True, highlight=False)
