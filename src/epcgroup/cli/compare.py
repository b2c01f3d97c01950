"""``epcg compare``: the same pods roomy, not enforced and enforced; a verdict and a report."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
from epcgroup.cli.simoptions import comparing_options, epc_bytes
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

With --simulate no program runs: the same three in virtual time, or, when lists are given (--series, --policy,
--epc, --limits, --reps), every combination of them with confidence intervals over the repetitions.

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
@comparing_options
def compare(
    file: Path, duration: str, as_json: bool, out: Path | None, ager: str | None, roomy_epc: str | None,
    check: bool, simulate: bool, **texts: Any,  # noqa: ANN401
) -> int:  # fmt: skip
    """Run the pods of a manifest three times and judge what enforcing their claims is worth."""
    roomy_bytes = None if roomy_epc is None else epc_bytes("--roomy-epc", roomy_epc)
    if simulate:
        from epcgroup.cli.simcompare import SimComparing

        if ager is not None:
            raise UsageError("--ager is of the pager: with --simulate choose a --policy")
        comparing = SimComparing(load(file), duration_ns(duration), roomy_bytes, texts)
        return comparing.run(out, as_json=as_json, check=check)
    _refuse_simulated(texts)
    return _live(file, duration_ns(duration), as_json, out, ager, roomy_bytes, check=check)


def _refuse_simulated(texts: dict[str, Any]) -> None:
    """Options of the simulator do nothing in a live run, so they are an error there."""
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for option in context.command.params:
        if option.name in texts and context.get_parameter_source(option.name) is given:
            raise UsageError(f"{option.opts[0]} goes with --simulate")


def _live(
    file: Path, length_ns: int, as_json: bool, out: Path | None, ager: str | None, roomy_bytes: int | None,
    *, check: bool,
) -> int:  # fmt: skip
    from epcgroup.node.compare import cases
    from epcgroup.node.compare import compare as run_all
    from epcgroup.node.floors import check_floors
    from epcgroup.node.host import machine
    from epcgroup.node.manifest import check_commands

    manifest = load(file)
    check_commands(manifest)
    check_floors(manifest)
    with StopSignals() as stop, results_folder(out, "compare") as folder:
        views = _Views(manifest, stop)
        try:
            chosen = cases(manifest, roomy_bytes)
            comparison = run_all(manifest, chosen, folder, length_ns, views.watcher, ager)
        finally:
            views.close()
        if comparison is None:
            print("epcg: interrupted before all three runs were made: no verdict", file=sys.stderr)
            raise click.exceptions.Exit(int(Exit.INTERRUPTED))
        return conclude(manifest, comparison, folder, as_json=as_json, check=check, facts=machine())


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


def conclude(
    manifest: "Manifest", comparison: "Comparison", folder: Path, *, as_json: bool, check: bool,
    facts: dict[str, str], command: str = "epcg compare",
) -> int:  # fmt: skip
    """Write the results of a comparison, print them, and return the exit code.

    Args:
        manifest: what was run.
        comparison: of its runs.
        folder: where the results go.
        as_json: print a document instead of tables.
        check: whether only the verdict ``isolated`` is success.
        facts: name → value, about where or how it was made; in JSON they are the machine's.
        command: how it was called.
    """
    from epcgroup.node.compare import to_json
    from epcgroup.observe.page import page
    from epcgroup.observe.verdict import ISOLATED

    result = to_json(manifest, comparison, facts)
    story = _story(manifest, comparison, facts, f"{command} {manifest.file}")
    report = keep(folder, result, lambda: page(story))
    if as_json:
        print(json.dumps({**result, "report": report}))
    else:
        _print(comparison, report)
    for line in comparison.explanations:
        print(line, file=sys.stderr)
    if comparison.nr_failed:
        return int(Exit.POD_FAILED)
    return int(Exit.FINDINGS if check and comparison.verdict.verdict != ISOLATED else Exit.OK)


def _story(manifest: "Manifest", comparison: "Comparison", facts: dict[str, str], command: str) -> "Story":
    from epcgroup.observe.story import Story

    return Story(
        title=Path(manifest.file).name,
        manifest=manifest.text,
        capacity_bytes=manifest.node.capacity_bytes,
        runs=comparison.runs,
        verdict=comparison.verdict,
        machine=facts,
        command=command,
        made=time.strftime("%Y-%m-%d %H:%M %Z"),
    )


def keep(folder: Path, result: dict[str, Any], page: Callable[[], str], indent: int | None = 1) -> str | None:
    """Write ``result.json`` and ``report.html`` and return the path of the latter.

    Where plots cannot be drawn say so and return None.
    """
    from epcgroup.errors import NotSupportedError

    (folder / "result.json").write_text(json.dumps(result, indent=indent) + "\n", encoding="utf-8")
    try:
        text = page()
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
