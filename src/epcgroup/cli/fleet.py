"""``epcg fleet``: pods scheduled onto many nodes by their claims, every node simulated under each series."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from epcgroup.cli.exits import Exit
from epcgroup.cli.options import StopSignals, duration_ns, json_option, out_option, results_folder
from epcgroup.cli.planning import dask_option, pool, progress_bar, threads_option
from epcgroup.errors import UsageError

if TYPE_CHECKING:
    from epcgroup.plan.fleet import Fleet
    from epcgroup.plan.fleettotals import SeriesTotals
    from epcgroup.plan.podtable import PodTable
    from epcgroup.plan.pool import Pool

_HELP: Final = """Schedule pods onto nodes and simulate every node under each series.

FILE is a list of pods (CSV) as `epcg trace import` reads it; --generate draws pods from documented
distributions (docs/fleet.md). Pods are bound by their claims, as the Kubernetes scheduler counts them.

\b
epcg fleet --generate --nodes 100               a day of 100 nodes, with and without limits
epcg fleet openb_pod_list_default.csv --nodes 50
"""
_TABLE: Final = "nodes.parquet"


@click.command(help=_HELP, short_help="Schedule pods onto many nodes and simulate them all.")
@click.argument("file", type=click.Path(path_type=Path), metavar="[FILE]", required=False)
@click.option("--generate", is_flag=True, help="Draw the pods instead of reading them.")
@click.option("--nodes", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="Nodes.")
@click.option("--pods", type=click.IntRange(1), default=30, show_default=True, metavar="N",
              help="Pods drawn for each node.")  # fmt: skip
@click.option("--epc", default=None, metavar="SIZE", help="EPC of a node (default: 93.5Mi).")
@click.option("--duration", default="24h", show_default=True, metavar="TIME", help="Time simulated.")
@click.option("--series", multiple=True, default=("mainline", "fair"), show_default=True, metavar="NAME",
              help="Behaviour; may be given several times.")  # fmt: skip
@click.option("--scoring", default="LeastAllocated", show_default=True, metavar="NAME",
              help="How the scheduler chooses: LeastAllocated spreads, MostAllocated packs.")  # fmt: skip
@click.option("--costs", default=None, metavar="NAME", help="Cost model (default: sgx1).")
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="Of every random choice.")
@threads_option
@dask_option
@out_option
@json_option
def fleet(
    file: Path | None, generate: bool, threads: int | None, address: str | None, out: Path | None,
    as_json: bool, **settings: Any,  # noqa: ANN401 - what the options above give
) -> int:  # fmt: skip
    """Schedule pods onto nodes and simulate every node under each series."""
    from epcgroup.plan.fleettotals import scheduled

    if generate == (file is not None):
        raise UsageError("the pods come from FILE or from --generate: give one of them")
    plan = _fleet(file, settings)
    series = _known_series(settings["series"])
    with StopSignals() as stop, results_folder(out, "fleet") as folder:
        with pool(threads, address) as where:
            totals = _simulate(plan, series, where, stop, folder)
        answer = {
            "schema": "epcgroup/fleet/1",
            "nodes": plan.nr_nodes,
            "epc_bytes": plan.epc_bytes,
            "duration_s": plan.duration_ns / 1e9,
            "costs": plan.costs,
            "scoring": settings["scoring"],
            "seed": plan.seed,
            "scheduled": scheduled(plan),
            "series": {name: one.figures() for name, one in totals.items()},
            "table": str(folder / _TABLE),
        }
        if as_json:
            print(json.dumps(answer))
        else:
            _print(answer)
    return int(Exit.OK)


def _known_series(names: tuple[str, ...]) -> tuple[str, ...]:
    from epcgroup.state.series import find

    for name in names:
        find(name)
    return tuple(dict.fromkeys(names))


def _fleet(file: Path | None, settings: dict[str, Any]) -> "Fleet":
    """Return the fleet of a command line, its pods bound to nodes."""
    from epcgroup.plan.fleet import Fleet
    from epcgroup.plan.podmodels import distributions
    from epcgroup.plan.scheduler import SCORINGS, schedule

    if settings["scoring"] not in SCORINGS:
        raise UsageError(f"no scoring {settings['scoring']!r}: one of {', '.join(SCORINGS)}")
    given, nr_nodes, seed = distributions(), settings["nodes"], settings["seed"]
    length_ns = duration_ns(settings["duration"])
    epc_bytes = given.epc_bytes if settings["epc"] is None else _epc_bytes(settings["epc"])
    table = _pods(file, settings, epc_bytes, length_ns)
    placement = schedule(table, nr_nodes, epc_bytes, length_ns, settings["scoring"])
    return Fleet(
        table, placement, nr_nodes, epc_bytes, length_ns, given, settings["costs"] or given.costs, seed
    )


def _epc_bytes(text: str) -> int:
    from epcgroup.abi.protocol import LEAST_EPC_BYTES
    from epcgroup.units import PAGE_SIZE, format_size, parse_size

    size_bytes = parse_size(text) // PAGE_SIZE * PAGE_SIZE
    if size_bytes < LEAST_EPC_BYTES:
        raise UsageError(f"--epc must be at least {format_size(LEAST_EPC_BYTES)}")
    return size_bytes


def _pods(file: Path | None, settings: dict[str, Any], epc_bytes: int, length_ns: int) -> "PodTable":
    from epcgroup.plan.podmodels import distributions
    from epcgroup.plan.podtable import generated, of_records

    seed = settings["seed"]
    if file is None:
        return generated(settings["pods"] * settings["nodes"], epc_bytes, length_ns, seed, distributions())
    from epcgroup.sim.trace.pods import read_pods

    return of_records(read_pods(file), seed, distributions())


def _simulate(
    plan: "Fleet", series: tuple[str, ...], where: "Pool", stop: StopSignals, folder: Path
) -> "dict[str, SeriesTotals]":
    """Simulate every node, write its row, add it up; stopped by somebody, it leaves no table."""
    from epcgroup.plan.fleet import COLUMNS, nodes_under
    from epcgroup.plan.fleettotals import SeriesTotals
    from epcgroup.plan.tables import writing

    totals = {name: SeriesTotals() for name in series}
    nr_all, about = plan.nr_nodes * len(series), {"epcgroup.seed": str(plan.seed)}
    with (
        writing(folder / _TABLE, COLUMNS, about) as table,
        progress_bar(where.name, nr_all) as done,
    ):
        done(0)
        for number, node in enumerate(nodes_under(plan, series, where, stop), 1):
            table.add([node.row])
            totals[str(node.row["series"])].add(node)
            done(number)
        if table.nr_rows < nr_all:
            print("epcg: interrupted before all nodes were simulated: no figures", file=sys.stderr)
            raise click.exceptions.Exit(int(Exit.INTERRUPTED))
    return totals


def _print(answer: dict[str, Any]) -> None:
    from epcgroup.cli.live import output
    from epcgroup.plan.summary import fleet_table
    from epcgroup.units import format_size

    console, pods = output(), answer["scheduled"]
    lines = [
        f"{answer['nodes']} × {format_size(answer['epc_bytes'])} of EPC, {answer['duration_s'] / 3600:.3g} h:"
        f" {pods['pods']} pods, {pods['pods_beyond_claim']} of them take more than they claim",
        f"bound by {answer['scoring']}: {pods['pods_per_node']:.1f} pods a node ({pods['pods_per_node_most']}"
        f" at most), {pods['claimed']:.0%} of EPC claimed",
        f"pending: {pods['pods_pending']} pods ({format_size(pods['pending_bytes'])}) found no node,"
        f" {pods['pods_waited']} waited for one",
    ]
    console.print("\n".join(lines), highlight=False)
    console.print(fleet_table(answer["series"]))
    console.print(f"Table:  {answer['table']}", soft_wrap=True, highlight=False)
    for name, figures in answer["series"].items():
        console.print(f"Digest: {figures['digest']} {name}", soft_wrap=True, highlight=False)
