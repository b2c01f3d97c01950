"""Plots of a sweep as SVG files: each figure against each swept key, a column a pod.

matplotlib is an extra (``report``) and is imported only when something is drawn.

What must not live here: the figures themselves (``measure.py``).
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from epcgroup.errors import NotSupportedError
from epcgroup.observe.fields import format_count, format_ns
from epcgroup.observe.plots import STYLE
from epcgroup.plan.measure import Row
from epcgroup.plan.points import SIZE, WORD, column, key_of
from epcgroup.units import format_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What is drawn: figure, its title, how a value is written, whether on a logarithmic scale.
_DRAWN: Final = (
    ("requests_per_s", "requests a second", format_count, False),
    ("p99_ns", "p99", format_ns, True),
    ("stall_some", "time stalled (some)", lambda share: f"{share:.3g}", False),
    ("evictions_per_s", "evictions a second", format_count, False),
)
#: Keys that give dots their colour, the first that is swept and not the axis.
_COLOURED: Final = ("series", "policy", "costs")
#: Told apart also by those who do not see red and green. Source: Okabe and Ito, 2008.
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f98")
#: Columns of one picture.
_MOST_PODS: Final = 6
#: Up to so many values of a key there is a line through the medians.
_MOST_LINED: Final = 24
#: Up to so many values of a key each has its own mark on the axis.
_MOST_TICKED: Final = 8
#: A key whose values span more than this factor has a logarithmic axis.
_WIDE: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Against:
    """The rows of a sweep, seen along one key.

    Attributes:
        name: of the key.
        rows: of all points.
        groups: values of the key that gives the colour, ("",) if there is none.
        group_column: its column.
    """

    name: str
    rows: Sequence[Row]
    groups: tuple[str, ...]
    group_column: str

    @property
    def places(self) -> dict[Any, float]:
        """Value of the key → its place on the axis: itself, or its number if it is a word."""
        values = sorted(
            {row[column(self.name)] for row in self.rows}, key=lambda value: (str(type(value)), value)
        )
        return {value: float(i if self.is_word else value or 0) for i, value in enumerate(values)}

    @property
    def is_word(self) -> bool:
        """Whether the values are words."""
        return key_of(self.name)[0].kind == WORD


def write_plots(rows: Sequence[Row], names: Sequence[str], folder: Path) -> list[Path]:
    """Write ``by-KEY.svg`` for each swept key that has more than one value; return their paths.

    Raises:
        NotSupportedError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise NotSupportedError("plots need matplotlib: pip install 'epcgroup[report]'") from error
    paths: list[Path] = []
    for name in names:
        against = _along(rows, name, names)
        if len(against.places) > 1:
            style: Any = {**STYLE, "svg.hashsalt": name}
            with matplotlib.rc_context(style):
                paths.append(_write(against, folder / f"by-{name}.svg"))
    return paths


def _along(rows: Sequence[Row], name: str, names: Sequence[str]) -> _Against:
    coloured = next((key for key in _COLOURED if key in names and key != name), None)
    if coloured is None:
        return _Against(name, rows, ("",), "")
    groups = tuple(dict.fromkeys(str(row[coloured]) for row in rows))
    return _Against(name, rows, tuple(sorted(groups)), coloured)


def _write(against: _Against, path: Path) -> Path:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    pods = list(dict.fromkeys(str(row["pod"]) for row in against.rows))[:_MOST_PODS]
    figure = Figure(figsize=(1.2 + 3.4 * len(pods), 2.2 * len(_DRAWN)), layout="constrained")
    FigureCanvasSVG(figure)
    grid = figure.subplots(len(_DRAWN), len(pods), squeeze=False, sharex=True)
    for number, pod in enumerate(pods):
        rows = [row for row in against.rows if row["pod"] == pod]
        for axis, (figure_name, title, text, logarithmic) in zip(grid[:, number], _DRAWN, strict=True):
            _panel(axis, against, rows, figure_name)
            _dress_y(axis, text, logarithmic=logarithmic)
            if number == 0:
                axis.set_ylabel(title)
        grid[0, number].set_title(pod, loc="left", fontweight="bold")
        _dress_x(grid[-1, number], against)
    if against.groups != ("",):
        figure.legend(
            *grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=8, frameon=False
        )
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    return path


def _dress_y(axis: "Axes", text: Callable[[float], str], *, logarithmic: bool) -> None:
    """Begin at nothing, or be logarithmic where there is more than a decade to show."""
    drawn = [np.asarray(line.get_ydata(), np.float64) for line in axis.get_lines()]
    values = [float(y) for ys in drawn for y in ys if y > 0]
    if logarithmic and values and max(values) > 10 * min(values):
        axis.set_yscale("log", nonpositive="mask")
        axis.yaxis.set_minor_formatter(lambda *_: "")
    else:
        axis.set_ylim(0, 1.08 * max(values, default=1.0))
    axis.yaxis.set_major_formatter(lambda value, _: text(value))


def _panel(axis: "Axes", against: _Against, rows: Sequence[Row], figure: str) -> None:
    places = against.places
    for colour, group in zip(_COLOURS * len(against.groups), against.groups, strict=False):
        at: dict[float, list[float]] = {}
        for row in rows:
            value = _value(row, figure)
            if value is not None and (not group or row[against.group_column] == group):
                at.setdefault(places[row[column(against.name)]], []).append(value)
        dots = [(place, value) for place, values in at.items() for value in values]
        axis.plot(*_columns(dots), ".", color=colour, alpha=0.45, markersize=5)
        if len(places) <= _MOST_LINED:
            medians = [(place, statistics.median(values)) for place, values in sorted(at.items())]
            # There is nothing between two words: no line, a mark at each.
            style: dict[str, Any] = (
                {"linestyle": "", "marker": "_", "markersize": 18} if against.is_word else {}
            )
            axis.plot(*_columns(medians), color=colour, linewidth=1.6, label=group, **style)
        else:
            axis.plot([], [], ".", color=colour, label=group)


def _value(row: Row, figure: str) -> float | None:
    value = row["evictions"] if figure == "evictions_per_s" else row[figure]
    if not isinstance(value, int | float):
        return None
    return value / float(row["counted_s"] or 1) if figure == "evictions_per_s" else float(value)


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]


def _dress_x(axis: "Axes", against: _Against) -> None:
    places: Mapping[Any, float] = against.places
    axis.set_xlabel(against.name)
    low, high = min(places.values()), max(places.values())
    if against.is_word:
        axis.set_xticks(list(places.values()), [str(value) for value in places])
        axis.set_xlim(-0.5, high + 0.5)
        return
    if low > 0 and high / low > _WIDE:
        axis.set_xscale("log", base=2)
    if len(places) <= _MOST_TICKED:
        axis.set_xticks(list(places.values()))
        axis.minorticks_off()
    is_size = key_of(against.name)[0].kind == SIZE
    axis.xaxis.set_major_formatter(lambda x, _: format_size(max(int(x), 0)) if is_size else f"{x:g}")
