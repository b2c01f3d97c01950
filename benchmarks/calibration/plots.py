"""The plots of ``docs/calibration.md``, as SVG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.calibration.agreement import QUANTITIES, TOLERANCE, Compared
from benchmarks.calibration.live import Outcome
from benchmarks.calibration.published.case import Case
from epcgroup.observe.plots import INK, STYLE

#: Told apart also by those who do not see red and green. Source: Okabe and Ito, 2008.
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a8f98")
_MARKERS: Final = {"evictions": "o", "loads": "s", "resident_pages": "^"}
_NAMES: Final = {"evictions": "evictions", "loads": "loads", "resident_pages": "resident pages"}


def _saved(figure: Figure, path: Path) -> None:
    figure.savefig(path, facecolor="white", metadata={"Date": None, "Creator": None})


def _style(name: str) -> Any:  # noqa: ANN401
    style: Any = {**STYLE, "svg.hashsalt": name}
    return matplotlib.rc_context(style)


def differences(rows: Sequence[Compared], path: Path) -> None:
    """Draw every difference between live and simulated as a point, one line a pod and setting."""
    lines = list(dict.fromkeys((row.setting, row.pod) for row in rows))
    with _style("differences"):
        figure = Figure(figsize=(7.6, 0.8 + 0.19 * len(lines)), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(-100 * TOLERANCE, 100 * TOLERANCE, color="#eef3f8", zorder=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        for quantity, colour in zip(QUANTITIES, COLOURS, strict=False):
            mine = [row for row in rows if row.quantity == quantity]
            axes.plot(
                [_shown(row) for row in mine],
                [lines.index((row.setting, row.pod)) for row in mine],
                _MARKERS[quantity],
                color=colour,
                markersize=4.5,
                label=_NAMES[quantity],
                alpha=0.85,
            )
        labels = [f"{s.scenario} · {s.series} · {s.ager} · {pod}" for s, pod in lines]
        axes.set_yticks(range(len(lines)), labels, fontsize=7)
        axes.invert_yaxis()
        axes.set_xlabel(f"simulated against live, % (band: ± {100 * TOLERANCE:.0f} %)")
        axes.set_xlim(-_WIDEST, _WIDEST)
        figure.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=8)
        _saved(figure, path)


#: What differs by more is drawn at the edge.
_WIDEST: Final = 25.0


def _shown(row: Compared) -> float:
    return max(-_WIDEST, min(_WIDEST, 100 * row.difference))


def courses(shown: Mapping[str, tuple[Outcome, Outcome]], path: Path) -> None:
    """Draw pages held over time, a panel for each title: live (line) and simulated (dashes)."""
    with _style("courses"):
        figure = Figure(figsize=(10.5, 2.9), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (title, (live, simulated)) in zip(panels, shown.items(), strict=True):
            for colour, pod in zip(COLOURS, live.series, strict=False):
                seen, made = live.series[pod], simulated.series[pod]
                axes.plot(seen.seconds, seen.resident_pages, color=colour, linewidth=1.8, label=pod)
                axes.plot(made.seconds, made.resident_pages, "--", color=INK, linewidth=0.9)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("seconds")
            axes.set_ylim(bottom=0)
            axes.legend(frameon=False, fontsize=7, loc="lower right")
        panels[0].set_ylabel("pages held")
        _saved(figure, path)


def curves(case: Case, path: Path) -> None:
    """Draw the curves of a published experiment."""
    plot = case.plot
    with _style(case.name):
        figure = Figure(figsize=(6.8, 3.0), layout="constrained")
        axes = figure.subplots()
        for number, (name, values) in enumerate(plot["curves"].items()):
            style = "o-" if len(plot["x"]) < _FEW_POINTS else "-"
            axes.plot(
                plot["x"], values, style, color=COLOURS[number], markersize=4, linewidth=1.5, label=name
            )
        if plot["log"]:
            axes.set_yscale("log")
            axes.set_xscale("log", base=2)
            axes.set_xticks(plot["x"], [str(x) for x in plot["x"]])
            axes.minorticks_off()
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel(plot["xlabel"])
        axes.set_ylabel(plot["ylabel"])
        axes.legend(frameon=False, fontsize=8)
        _saved(figure, path)


_FEW_POINTS: Final = 20
