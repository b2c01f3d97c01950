"""Plots of a comparison as SVG text: one strip for each pod, the three runs in one colour each.

matplotlib is an extra (``report``) and is imported only when something is drawn.
"""

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from epcgroup.errors import NotSupportedError
from epcgroup.observe.fields import format_count, format_ns
from epcgroup.observe.figures import NS
from epcgroup.observe.series import Line, held_bytes, program_lines, step_ns
from epcgroup.observe.story import RunStory, Story
from epcgroup.units import LIMIT_MAX, format_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colour of each run; told apart also by those who do not see red and green. Source: Okabe and Ito, 2008.
COLOURS: Final = {"roomy": "#8a8f98", "not-enforced": "#d55e00", "enforced": "#0072b2", "run": "#0072b2"}
_WIDTHS: Final = {"roomy": 1.6, "not-enforced": 1.6, "enforced": 2.0, "run": 2.0}
#: Colour of text.
INK: Final = "#3c4350"
_GRID: Final = "#e6e8ec"
_MIB: Final = 1 << 20
#: What all plots share.
STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": "#c4c8d0",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "axes.axisbelow": True,
}


def pod_strip(story: Story, pod: str) -> str:
    """Return the plots of one pod as an SVG element: EPC held, operations a second, p99.

    Raises:
        NotSupportedError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotSupportedError("plots need matplotlib: pip install 'epcgroup[report]'") from error
    style: Any = {**STYLE, "svg.hashsalt": pod}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(12.0, 2.75), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(1, 3)
        _resident(axes[0], story, pod)
        _program(axes[1], axes[2], story, pod)
        for axis in axes:
            _dress(axis, story)
        return svg_text(figure, pod, f"plots of pod {pod}")


def svg_text(figure: Any, name: str, label: str) -> str:  # noqa: ANN401
    """Return a figure as an SVG element for a page.

    Args:
        figure: of matplotlib.
        name: unique in the page.
        label: what it shows, for those who cannot see it.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    # Several pictures share one page: their ids must not meet.
    prefix = re.sub(r"[^a-z0-9]", "_", name) + "__"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}", svg)
    return re.sub(r'<svg [^>]*viewBox="([^"]+)"[^>]*>', _svg_head(label), svg, count=1)


def _svg_head(label: str) -> str:
    return (
        r'<svg viewBox="\1" role="img" xmlns="http://www.w3.org/2000/svg"'
        rf' xmlns:xlink="http://www.w3.org/1999/xlink" aria-label="{label}">'
    )


def _draw(axis: "Axes", run: RunStory, line: Line, scale: float = 1.0) -> None:
    values = [value / scale for value in line.values]
    axis.plot(line.seconds, values, color=COLOURS[run.name], linewidth=_WIDTHS[run.name], label=run.title)


def _target(run: RunStory, pod: str) -> Any:  # noqa: ANN401
    return next(target for target in run.recording.targets if target.pod == pod)


def _resident(axis: "Axes", story: Story, pod: str) -> None:
    axis.set_title("EPC held (MiB)", loc="left", fontsize=9.5, fontweight="bold")
    for run in story.runs:
        _draw(axis, run, held_bytes(run.recording, _target(run, pod)), _MIB)
    claim_bytes = story.runs[0].figures[pod].claim_bytes
    if claim_bytes != LIMIT_MAX:
        axis.axhline(claim_bytes / _MIB, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axis.annotate(f"claim {format_size(claim_bytes)}", (1.0, claim_bytes / _MIB),
                      xycoords=("axes fraction", "data"), xytext=(-2, 3), textcoords="offset points",
                      ha="right", fontsize=8.5)  # fmt: skip
    axis.set_ylim(0, axis.get_ylim()[1] * 1.05)
    axis.yaxis.set_major_formatter(lambda value, _: format_count(value))


def _program(operations: "Axes", latency: "Axes", story: Story, pod: str) -> None:
    operations.set_title("operations a second", loc="left", fontsize=9.5, fontweight="bold")
    step = step_ns(story.runs[0].recording)
    each = "each second" if step == NS else f"every {format_ns(step)}"
    latency.set_title(f"p99 of {each} (log)", loc="left", fontsize=9.5, fontweight="bold")
    drawn = False
    for run in story.runs:
        lines = program_lines(run.recording, _target(run, pod), run.window.end_ns)
        if lines is not None:
            drawn = True
            _draw(operations, run, lines[0])
            _draw(latency, run, lines[1])
    if not drawn:
        for axis in (operations, latency):
            axis.text(0.5, 0.5, "reports nothing", transform=axis.transAxes, ha="center")
        return
    operations.set_ylim(0, max(1.0, operations.get_ylim()[1] * 1.08))
    operations.yaxis.set_major_formatter(lambda value, _: format_count(value))
    latency.set_yscale("log")
    log_ticks(latency.yaxis, *latency.get_ylim(), format_ns)


def log_ticks(axis: Any, low: float, high: float, show: Callable[[float], str]) -> None:  # noqa: ANN401
    """Label a logarithmic axis of matplotlib: its decades, and steps between them where there are few."""
    from matplotlib.ticker import LogLocator

    decades = high / low
    steps = (1.0,) if decades > 100 else (1.0, 2.0, 5.0) if decades > 5 else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(lambda value, _: show(value))
    axis.set_minor_formatter(lambda *_: "")


def _dress(axis: "Axes", story: Story) -> None:
    """What all plots share: the axis of time, and warm-up greyed, because it is not counted."""
    start = max((run.window.start_ns - run.recording.start_ns) / 1e9 for run in story.runs)
    end = max((run.window.end_ns - run.recording.start_ns) / 1e9 for run in story.runs)
    axis.axvspan(0, start, color="#f3f4f7", zorder=0)
    axis.set_xlim(0, end)
    axis.set_xlabel("seconds", fontsize=8.5)
    axis.tick_params(length=0, labelsize=8.5)
