"""Show a run while it goes on: a live table on a terminal, a plain line every few seconds elsewhere.

Both go to standard error; standard output belongs to the result.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from epcgroup.node.podrun import Phase
from epcgroup.node.runner import NodeRun, RunResult, Watcher
from epcgroup.observe.fields import NARROW_TABLE, TABLE, WIDE
from epcgroup.observe.figures import NS, PodFigures, Window, figures
from epcgroup.observe.sample import Sample
from epcgroup.observe.table import plain_line, pod_table
from epcgroup.units import format_size

if TYPE_CHECKING:
    from rich.console import Console

_WINDOW_NS: Final = 2 * NS
_LINE_EVERY_NS: Final = 4 * NS
_FILE_WIDTH: Final = 140


def recent(run: NodeRun, sample: Sample) -> list[PodFigures]:
    """Return what every pod did in the last two seconds before a sample."""
    window = Window(sample.t_ns - _WINDOW_NS, sample.t_ns)
    return [figures(run.recording, target, window) for target in run.recording.targets]


def heading(title: str, run: NodeRun, sample: Sample) -> str:
    """Return one line about the run as a whole."""
    pager = run.options.pager
    charged = sum(
        sample.groups[target.path].current_bytes
        for target in run.recording.targets
        if target.path in sample.groups
    )
    duration = run.options.duration_ns
    of = f" of {duration / NS:g} s" if duration is not None else ", Ctrl-C ends it"
    return (
        f"{title} · EPC {format_size(pager.epc_bytes)}, {format_size(charged)} charged"
        f" ({charged / pager.epc_bytes:.0%}) · series {pager.series}"
        f" · {(sample.t_ns - run.recording.start_ns) / NS:.0f} s{of}"
    )


def _place(run: NodeRun) -> str:
    """Return where the groups are files, or what was lost."""
    if run.mount is not None:
        return f"groups as files: {run.mount}/kubepods"
    return f"groups are not offered as files: {run.mount_problem}" if run.mount_problem else ""


class TableView:
    """A table that is drawn anew after every sample."""

    def __init__(self, title: str, console: "Console") -> None:
        from rich.live import Live

        self._title = title
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def start(self, run: NodeRun) -> None:
        """Begin to draw."""
        if place := _place(run):
            self._live.console.print(place, style="dim", highlight=False)
        self._live.start()

    def sample(self, run: NodeRun, sample: Sample) -> None:
        """Draw."""
        columns = TABLE if self._live.console.width >= WIDE else NARROW_TABLE
        rows = recent(run, sample)
        self._live.update(pod_table(rows, heading(self._title, run, sample), columns), refresh=True)

    def close(self) -> None:
        """Stop drawing; the table vanishes."""
        self._live.stop()


class PlainView:
    """A line every few seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._next_ns = 0

    def start(self, run: NodeRun) -> None:
        """Say what begins."""
        pager = run.options.pager
        facts = [f"EPC {format_size(pager.epc_bytes)}", f"series {pager.series}", _place(run)]
        _say(f"{self._title}: {', '.join(fact for fact in facts if fact)}")

    def sample(self, run: NodeRun, sample: Sample) -> None:
        """Print a line if it is time."""
        elapsed_ns = sample.t_ns - run.recording.start_ns
        if elapsed_ns >= self._next_ns:
            self._next_ns = elapsed_ns + _LINE_EVERY_NS
            _say(plain_line(elapsed_ns / NS, recent(run, sample)))

    def close(self) -> None:
        """Nothing to tidy up."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


View = TableView | PlainView


def make_view(title: str) -> View:
    """Return the view that suits standard error."""
    if not sys.stderr.isatty():
        return PlainView(title)
    from rich.console import Console

    return TableView(title, Console(stderr=True))


def watcher(
    view: View, stop: Callable[[], bool], extra: Callable[[NodeRun, Sample], Any] | None = None
) -> Watcher:
    """Return a watcher that shows a run in a view.

    Args:
        view: where to.
        stop: asked on each turn.
        extra: called after each sample too.
    """

    def on_sample(run: NodeRun, sample: Sample) -> None:
        view.sample(run, sample)
        if extra is not None:
            extra(run, sample)

    return Watcher(_say, view.start, on_sample, stop)


def whole_window(result: RunResult) -> Window:
    """Return the whole length of a run."""
    return Window(result.recording.start_ns, result.end_ns)


def whole_figures(result: RunResult) -> list[PodFigures]:
    """Return what every pod did in the whole run, and what became of it."""
    recording, window = result.recording, whole_window(result)
    return [
        replace(
            figures(recording, target, window),
            phase=str(run.phase),
            reason=run.reason if run.phase is Phase.FAILED else "",
        )
        for target, run in zip(recording.targets, result.pods, strict=True)
    ]


def final_table(result: RunResult) -> None:
    """Print what every pod did in the whole run, and what became of it, on standard output."""
    title = f"{whole_window(result).seconds:.0f} s, series {result.options.pager.series}"
    console = output()
    console.print(pod_table(whole_figures(result), title, TABLE if console.width >= WIDE else NARROW_TABLE))


def output(file_width: int = _FILE_WIDTH) -> "Console":
    """Return standard output as a console; wide enough for every table where it is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else file_width)
