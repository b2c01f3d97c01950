"""``epcg sim``: run the pods of a manifest in virtual time."""

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from epcgroup.cli.exits import Exit
from epcgroup.cli.options import (
    StopSignals,
    duration_ns,
    json_option,
    load,
    manifest_argument,
    out_option,
    results_folder,
)
from epcgroup.cli.simoptions import (
    SIM_SERIES,
    SimProgress,
    cost_option,
    costs_option,
    cpus_option,
    seed_option,
    sim_options,
)
from epcgroup.errors import UsageError
from epcgroup.sim.policy import names

if TYPE_CHECKING:
    from epcgroup.node.objects import Manifest
    from epcgroup.node.simulate import SimOptions
    from epcgroup.sim.result import Result


@click.command(short_help="Simulate pods: the same engine in virtual time.")
@manifest_argument
@click.option("--series", type=click.Choice(SIM_SERIES), default="fair", show_default=True,
              help="Behaviour of the EPC manager.")  # fmt: skip
@click.option("--policy", default="second-chance", show_default=True, metavar="NAME",
              help=f"Who is evicted: {', '.join(names())}, or module:Class of your own.")  # fmt: skip
@costs_option
@cost_option
@click.option("--epc", default=None, metavar="SIZE", help="EPC of the node (default: the manifest's).")
@cpus_option
@click.option("--duration", default="60s", show_default=True, metavar="TIME", help="Virtual time of the run.")
@seed_option
@json_option
@click.option("--parquet", type=click.Path(path_type=Path, dir_okay=False), default=None, metavar="FILE",
              help="Write a row for each sample and pod.")  # fmt: skip
@out_option
def sim(
    file: Path, duration: str, as_json: bool, parquet: Path | None, out: Path | None,
    **texts: Any,  # noqa: ANN401
) -> int:  # fmt: skip
    """Simulate the pods of a Kubernetes manifest.

    FILE is a manifest as for epcg run; nothing is started, no time passes. What a program does with its
    memory is known of our own workloads; of others the pod's annotation epcgroup.io/model says it.
    """
    manifest = load(file)
    if parquet is not None:
        _check_parquet(parquet)
    options = sim_options(duration_ns(duration), **texts)
    with StopSignals() as stop, nullcontext() if out is None else results_folder(out, "sim") as folder:
        result, real_s = _simulated(manifest, options, stop)
        if parquet is not None:
            from epcgroup.sim.table import write_parquet

            write_parquet(result, parquet)
        report = None if folder is None else _keep(manifest, result, folder)
        _print(manifest, result, real_s, report, as_json=as_json)
    return int(Exit.POD_FAILED if _failed(result) else Exit.OK)


def _check_parquet(path: Path) -> None:
    """Refuse what would only fail after a long simulation."""
    from epcgroup.sim.table import check_available

    check_available()
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--parquet {path}: there is no folder {path.absolute().parent}")


def _simulated(manifest: "Manifest", options: "SimOptions", stop: StopSignals) -> tuple["Result", float]:
    from epcgroup.cli.compiling import say_when_compiling
    from epcgroup.node.floors import check_floors
    from epcgroup.node.simulate import scenario_of
    from epcgroup.sim.machine import simulate

    say_when_compiling()
    scenario = scenario_of(manifest, options)
    check_floors(manifest, options.series, is_simulated=True)
    progress = SimProgress(Path(manifest.file).name, options.duration_ns, stop)
    start_s = time.monotonic()
    result = simulate(scenario, progress)
    return result, time.monotonic() - start_s


def _failed(result: "Result") -> bool:
    from epcgroup.node.simcompare import last_phases

    return "Failed" in last_phases(result)


def _print(
    manifest: "Manifest", result: "Result", real_s: float, report: str | None, *, as_json: bool
) -> None:
    from epcgroup.node.simcompare import explain
    from epcgroup.node.simreport import summary, to_json, whole_figures
    from epcgroup.node.simulate import notes

    if as_json:
        print(json.dumps(to_json(manifest, result)))
    else:
        from rich.text import Text

        from epcgroup.cli.live import output
        from epcgroup.observe.fields import NARROW_TABLE, SIMULATED, SIMULATED_WIDE
        from epcgroup.observe.table import pod_table

        scenario = result.scenario
        console = output(SIMULATED_WIDE)
        title = f"{scenario.duration_ns / 1e9:g} s, series {scenario.series}, policy {scenario.policy}"
        title += f", costs {scenario.costs}, seed {scenario.seed}"
        columns = SIMULATED if console.width >= SIMULATED_WIDE else NARROW_TABLE
        console.print(pod_table(whole_figures(manifest, result), title, columns))
        for line in (*summary(result, real_s), *([] if report is None else [f"report: {report}"])):
            console.print(Text(line), soft_wrap=True)
    for line in (*notes(manifest), *explain(manifest, result)):
        print(line, file=sys.stderr)


def _keep(manifest: "Manifest", result: "Result", folder: Path) -> str | None:
    """Write ``result.json`` and, where they can be, samples and report; return the path of the latter."""
    from epcgroup.cli.compare import keep
    from epcgroup.errors import NotSupportedError
    from epcgroup.node.simreport import story_of, to_json
    from epcgroup.observe.page import page
    from epcgroup.sim.table import write_parquet

    try:
        write_parquet(result, folder / "samples.parquet")
    except NotSupportedError as error:
        print(f"epcg: no samples.parquet: {error}", file=sys.stderr)
    made = time.strftime("%Y-%m-%d %H:%M %Z")
    return keep(folder, to_json(manifest, result), lambda: page(story_of(manifest, result, made)), None)
