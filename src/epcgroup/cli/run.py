"""``epcg run``: run the pods of a manifest on a software EPC and watch them."""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from epcgroup.cli.exits import Exit
from epcgroup.cli.options import (
    SERIES,
    StopSignals,
    ager_option,
    duration_ns,
    json_option,
    load,
    manifest_argument,
    out_option,
    results_folder,
)

if TYPE_CHECKING:
    from epcgroup.node.objects import Manifest
    from epcgroup.node.runner import NodeRun, RunResult
    from epcgroup.observe.sample import Sample


@click.command(short_help="Run pods and watch them live.")
@manifest_argument
@click.option("--series", type=click.Choice(SERIES), default="fair", show_default=True,
              help="Behaviour: our own, the last posted kernel series, or no limits (mainline).")  # fmt: skip
@click.option("--duration", default=None, metavar="TIME", help="Stop after this time, for example 30s.")
@json_option
@click.option(
    "--json-lines", is_flag=True, help="One JSON line a sample on standard output, then the result."
)
@out_option
@ager_option
@click.option(
    "--mount/--no-mount", default=True, help="Offer the groups as files while the run lasts (FUSE)."
)
def run(
    file: Path, series: str, duration: str | None, as_json: bool, json_lines: bool, out: Path | None,
    ager: str | None, mount: bool,
) -> int:  # fmt: skip
    """Run the pods of a Kubernetes manifest, held to their EPC claims.

    FILE holds one Node and any number of Pods; - is standard input. Ctrl-C ends the run cleanly.
    """
    from epcgroup.node.floors import check_floors
    from epcgroup.node.manifest import check_commands
    from epcgroup.node.pagerprocess import PagerOptions
    from epcgroup.node.runner import NodeRun, RunOptions

    manifest = load(file)
    check_commands(manifest)
    check_floors(manifest, series)
    length_ns = None if duration is None else duration_ns(duration)
    with StopSignals() as stop, results_folder(out, "run") as folder:
        options = RunOptions(
            pager=PagerOptions(manifest.node.capacity_bytes, series, ager),
            folder=folder,
            duration_ns=length_ns,
            # Without an end the past is dropped, so that a run may last for days.
            keep_ns=None if duration is not None else 60 * 10**9,
            mount=mount,
        )
        result = _watched(NodeRun(manifest, options), manifest, stop, json_lines)
        _print_result(manifest, result, as_json or json_lines)
        if out is None and not result.failed:
            shutil.rmtree(folder)
    return int(Exit.POD_FAILED if result.failed else Exit.OK)


def _watched(node: "NodeRun", manifest: "Manifest", stop: StopSignals, json_lines: bool) -> "RunResult":
    from epcgroup.cli.live import make_view, watcher

    view = make_view(Path(manifest.file).name)
    try:
        return node.run(watcher(view, stop, _line if json_lines else None))
    finally:
        view.close()


def _line(node: "NodeRun", sample: "Sample") -> None:
    from epcgroup.cli.live import recent

    pods = [figures.to_json() for figures in recent(node, sample)]
    seconds = (sample.t_ns - node.recording.start_ns) / 1e9
    print(json.dumps({"t_s": round(seconds, 3), "pods": pods}), flush=True)


def to_json(manifest: "Manifest", result: "RunResult") -> dict[str, Any]:
    """Return a run for JSON: the figures are those of its whole length."""
    from epcgroup.cli.live import whole_figures, whole_window

    return {
        "schema": "epcgroup/run/1",
        "manifest": manifest.file,
        "capacity_bytes": manifest.node.capacity_bytes,
        "series": result.options.pager.series,
        "duration_s": round(whole_window(result).seconds, 3),
        "interrupted": result.interrupted,
        "pods": [pod.to_json() for pod in result.pods],
        "figures": [pod.to_json() for pod in whole_figures(result)],
        "kills": [kill.to_json(result.recording.start_ns) for kill in result.recording.kills],
        "pager": result.pager,
    }


def _print_result(manifest: "Manifest", result: "RunResult", as_json: bool) -> None:
    from epcgroup.cli.live import final_table
    from epcgroup.node.failures import explain

    if as_json:
        print(json.dumps(to_json(manifest, result)))
    else:
        final_table(result)
    for line in explain(result):
        print(line, file=sys.stderr)
