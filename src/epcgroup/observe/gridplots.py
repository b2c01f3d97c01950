"""A grid of simulations as one plot: a line for each combination, a panel for each figure, with intervals.

matplotlib is an extra (``report``) and is imported only when something is drawn.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from epcgroup.errors import NotSupportedError
from epcgroup.observe.gridstory import GridRow
from epcgroup.observe.gridtable import FIGURES
from epcgroup.observe.plots import STYLE, log_ticks, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS: Final = ("requests_per_s", "p99_ns", "stall_some", "jain")
#: Colour of each series; told apart also by those who do not see red and green. Source: Okabe and Ito, 2008.
_COLOURS: Final = {"mainline": "#d55e00", "v2": "#cc79a7", "v17": "#009e73", "fair": "#0072b2"}
#: A latency of nothing cannot be drawn on a logarithmic axis.
_LOGARITHMIC: Final = ("p99_ns",)


def grid_plot(rows: Sequence[GridRow]) -> str:
    """Return the plot as an SVG element.

    Raises:
        NotSupportedError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotSupportedError("plots need matplotlib: pip install 'epcgroup[report]'") from error
    style: Any = {**STYLE, "svg.hashsalt": "grid"}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(12.0, 0.9 + 0.3 * len(rows)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(1, len(_PANELS), sharey=True)
        for axis, name in zip(axes, _PANELS, strict=True):
            _panel(axis, name, rows)
        axes[0].set_yticks(range(len(rows)), [row.cell.title for row in rows])
        axes[0].invert_yaxis()
        return svg_text(figure, "grid", "figures of every combination")


def _panel(axis: "Axes", name: str, rows: Sequence[GridRow]) -> None:
    field = FIGURES[name]
    axis.set_title(field.title, loc="left", fontsize=9.5, fontweight="bold")
    for place, row in enumerate(rows):
        found = row.figures[name]
        if found is not None:
            axis.errorbar(
                found.value, place, xerr=found.half, fmt="o", markersize=5, capsize=3, linewidth=1.4,
                color=_COLOURS.get(row.cell.series, "#3c4350"),
            )  # fmt: skip
    if name in _LOGARITHMIC:
        axis.set_xscale("log")
        log_ticks(axis.xaxis, *axis.get_xlim(), field.show)
    else:
        most = max(1e-9, axis.get_xlim()[1])
        axis.set_xlim(-0.03 * most, 1.06 * most)
        axis.xaxis.set_major_formatter(lambda value, _: field.show(value))
    axis.tick_params(length=0, labelsize=8.5)
