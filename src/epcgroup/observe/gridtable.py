"""A grid of simulations as one table in a terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from epcgroup.observe.fields import format_count, format_ns, format_share
from epcgroup.observe.gridstory import GridRow
from epcgroup.observe.intervals import Interval
from epcgroup.units import format_size

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class GridField:
    """One figure of a combination: its title, how it is shown, and what it means."""

    title: str
    show: Callable[[float], str]
    meaning: str

    def text(self, found: Interval | None) -> str:
        """Return a figure as people read it; ``–`` for none."""
        return "–" if found is None else found.text(self.show)


#: Name → how it is shown.
FIGURES: Final[Mapping[str, GridField]] = {
    "requests_per_s": GridField("REQUESTS/s", format_count, "Requests answered, all pods together."),
    "p50_ns": GridField("P50", format_ns, "Median latency of all requests, from merged histograms."),
    "p99_ns": GridField("P99", format_ns, "99th percentile of the latency, from merged histograms."),
    "p999_ns": GridField("P99.9", format_ns, "99.9th percentile of the latency, from merged histograms."),
    "loads_per_s": GridField("LOADS/s", format_count, "Pages brought back into the EPC."),
    "evictions_per_s": GridField("EVICT/s", format_count, "Pages written out of the EPC."),
    "miss_ratio": GridField("MISSES", lambda value: f"{value * 100:.3g} %",
                            "Page references that found their page outside the EPC."),
    "stall_some": GridField("STALL", format_share, "Share of the time in which a program waited for EPC."),
    "jain": GridField("JAIN", lambda value: f"{value:.3f}",
                      "Fairness of the pods' progress, relative to what each does with room for all."),
    "over_optimum": GridField("OVER OPTIMUM", format_share,
                              "Misses more than those of the offline optimum, where the future is known."),
}  # fmt: skip


def shown_figures(rows: Sequence[GridRow]) -> dict[str, GridField]:
    """Return the figures that have a value anywhere in a grid."""
    return {
        name: figure
        for name, figure in FIGURES.items()
        if any(row.figures.get(name) is not None for row in rows)
    }


def grid_table(rows: Sequence[GridRow]) -> "Table":
    """Return a table of one row a combination; a figure without any value in the grid has no column."""
    from rich import box
    from rich.table import Table

    shown = shown_figures(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("SERIES", "POLICY", "EPC", "LIMITS", "PODS RUN"):
        table.add_column(title, no_wrap=True, style="bold" if title == "SERIES" else None)
    for figure in shown.values():
        table.add_column(figure.title, justify="right", no_wrap=True)
    for row in rows:
        cell = row.cell
        table.add_row(
            cell.series, cell.policy, format_size(cell.epc_bytes), cell.limit_text, row.ran_text,
            *(figure.text(row.figures[name]) for name, figure in shown.items()),
        )  # fmt: skip
    return table
