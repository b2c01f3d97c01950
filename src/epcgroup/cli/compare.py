"""``epcg compare``: the same pods roomy, not enforced and enforced; a verdict and a report."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from epcgroup.cli.exits import Exit
from epcgroup.cli.options import (
    StopSignals,
    ager_option,
    duration_ns,
    json_option,
    load,
    manifest_argument,
    out_option,
    results_folder,
)
from epcgroup.errors import UsageError

if TYPE_CHECKING:
    from epcgroup.node.compare import Case, Comparison
    from epcgroup.node.objects import Manifest
    from epcgroup.node.runner import Watcher
    from epcgroup.observe.story import Story


_HELP: Final = """Run the pods of FILE three times and judge what enforcing their claims is worth.

\b
roomy          EPC for all of them: what each pod does when nothing is short
not enforced   the node's EPC, shared as kernels do today
enforced       the node's EPC, every pod held to its claim

The folder given by --out gets report.html, result.json, logs and reports.
"""


@click.command(help=_HELP, short_help="Run pods with and without limits and judge.")
@manifest_argument
@click.option("--duration", default="20s", show_default=True, metavar="TIME", help="Length of each run.")
@json_option
@out_option
@ager_option
@click.option(
    "--roomy-epc", default=None, metavar="SIZE", help="EPC of the roomy run (default: 16 x the node's)."
)
@click.option("--check", is_flag=True, help="Exit with 1 unless the verdict is isolated.")
def compare(
    file: Path, duration: str, as_json: bool, out: Path | None, ager: str | None, roomy_epc: str | None,
    check: bool,
) -> int:  # fmt: skip
    """Run the pods of a manifest three times and judge what enforcing their claims is worth."""
    from epcgroup.node.compare import cases
    from epcgroup.node.compare import compare as run_all

    manifest = load(file)
    chosen = cases(manifest, ager, None if roomy_epc is None else _roomy_bytes(roomy_epc))
    length_ns = duration_ns(duration)
    with StopSignals() as stop, results_folder(out, "compare") as folder:
        views = _Views(manifest, stop)
        try:
            comparison = run_all(manifest, chosen, folder, length_ns, views.watcher)
        finally:
            views.close()
        if comparison is None:
            print("epcg: interrupted before all three runs were made: no verdict", file=sys.stderr)
            raise click.exceptions.Exit(int(Exit.INTERRUPTED))
        return _conclude(manifest, comparison, folder, as_json=as_json, check=check)


def _roomy_bytes(text: str) -> int:
    from epcgroup.abi.protocol import LEAST_EPC_BYTES
    from epcgroup.units import format_size, parse_size

    size = parse_size(text)
    if size < LEAST_EPC_BYTES:
        raise UsageError(f"--roomy-epc must be at least {format_size(LEAST_EPC_BYTES)}")
    return size


class _Views:
    """One view a run, the last one closed when the next begins."""

    def __init__(self, manifest: "Manifest", stop: Callable[[], bool]) -> None:
        self._name = Path(manifest.file).name
        self._stop = stop
        self._close: Callable[[], None] = lambda: None

    def watcher(self, case: "Case") -> "Watcher":
        """Return a watcher for a run, shown in a view of its own."""
        from epcgroup.cli.live import make_view, watcher

        self.close()
        view = make_view(f"{self._name}, {case.title}")
        self._close = view.close
        return watcher(view, self._stop)

    def close(self) -> None:
        """Close the view of the last run."""
        self._close()
        self._close = lambda: None


def _conclude(
    manifest: "Manifest", comparison: "Comparison", folder: Path, *, as_json: bool, check: bool
) -> int:
    from epcgroup.node.compare import to_json
    from epcgroup.node.failures import explain
    from epcgroup.node.host import machine
    from epcgroup.observe.verdict import ISOLATED

    facts = machine()
    result = to_json(manifest, comparison, facts)
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    report = _write_report(_story(manifest, comparison, facts), folder)
    if as_json:
        print(json.dumps({**result, "report": report}))
    else:
        _print(comparison, report)
    for story in comparison.runs:
        for line in explain(comparison.results[story.name]):
            print(f"{story.title}: {line}", file=sys.stderr)
    if comparison.nr_failed:
        return int(Exit.POD_FAILED)
    return int(Exit.FINDINGS if check and comparison.verdict.verdict != ISOLATED else Exit.OK)


def _story(manifest: "Manifest", comparison: "Comparison", facts: dict[str, str]) -> "Story":
    from epcgroup.observe.story import Story

    return Story(
        title=Path(manifest.file).name,
        manifest=manifest.text,
        capacity_bytes=manifest.node.capacity_bytes,
        runs=comparison.runs,
        verdict=comparison.verdict,
        machine=facts,
        command=f"epcg compare {manifest.file}",
        made=time.strftime("%Y-%m-%d %H:%M %Z"),
    )


def _write_report(story: "Story", folder: Path) -> str | None:
    """Write ``report.html`` and return its path; where plots cannot be drawn say so and return None."""
    from epcgroup.errors import NotSupportedError
    from epcgroup.observe.page import page

    try:
        text = page(story)
    except NotSupportedError as error:
        print(f"epcg: no report.html: {error}", file=sys.stderr)
        return None
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return str(path)


def _print(comparison: "Comparison", report: str | None) -> None:
    from rich.text import Text

    from epcgroup.cli.live import output
    from epcgroup.observe.compared import compared_table
    from epcgroup.observe.verdict import FAILED, ISOLATED, NOT_ISOLATED

    console = output()
    console.print(compared_table(comparison.runs))
    for pod in comparison.verdict.pods:
        console.print(
            Text.assemble((f"{pod.pod}: ", "bold"), ", ".join(pod.states), ". ", (pod.sentence, "dim"))
        )
    for check in comparison.verdict.checks:
        if not check.ok:
            console.print(
                Text(f"not met: {check.name}: {check.value:.4g}, must be {check.bound}", style="yellow")
            )
    verdict = comparison.verdict
    style = {ISOLATED: "bold green", NOT_ISOLATED: "bold red", FAILED: "bold red"}.get(
        verdict.verdict, "bold yellow"
    )
    console.print(Text.assemble("\n", "Verdict: ", (verdict.verdict, style), f". {verdict.meaning}"))
    if report is not None:
        console.print(Text(f"Report:  {report}"), soft_wrap=True)
