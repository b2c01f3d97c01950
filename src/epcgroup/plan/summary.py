"""Sweeps and fleets as tables in a terminal.

What must not live here: the figures themselves (``measure.py``).
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from epcgroup.observe.fields import format_count, format_ns
from epcgroup.plan.measure import Row
from epcgroup.plan.points import SIZE, Value, column, key_of
from epcgroup.units import format_size

if TYPE_CHECKING:
    from rich.table import Table

#: Longest table; the rest is in the file.
_MOST_ROWS: Final = 48
#: Title → figure of a row and how it is written.
_SHOWN: Final[dict[str, tuple[Callable[[Row], Value | None], Callable[[float], str]]]] = {
    "REQ/S": (lambda row: row["requests_per_s"], format_count),
    "P99": (lambda row: row["p99_ns"], format_ns),
    "STALL": (lambda row: row["stall_some"], lambda share: f"{share:.1%}"),
    "LOADED": (lambda row: row["loaded"], format_count),
    "EVICTED": (lambda row: row["evictions"], format_count),
    "REFUSED": (lambda row: row["refused"], format_count),
}
#: Title → figure of a fleet's series and how it is written.
_FLEET: Final[dict[str, tuple[str, Callable[[float], str]]]] = {
    "REQUESTS": ("requests", format_count),
    "EVICTED": ("evictions", format_count),
    "LOADED": ("loaded", format_count),
    "STALL": ("stall_some_mean", lambda share: f"{share:.4%}"),
    "WORST NODE": ("stall_some_max", lambda share: f"{share:.4%}"),
    "P99": ("p99_ns", format_ns),
    "P99.9": ("p999_ns", format_ns),
    "WAIT/REQ\nBEYOND": ("wait_per_request_beyond_ns", format_ns),
    "WAIT/REQ\nWITHIN": ("wait_per_request_within_ns", format_ns),
}


def summary_table(rows: Sequence[Row], names: Sequence[str]) -> "Table":
    """Return a table of a sweep, a row a point and pod.

    Of repetitions it shows the median, and half the way from lowest to highest as a part of it.
    """
    from rich import box
    from rich.table import Table

    together: dict[tuple[str, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: [_sortable(row[column(name)]) for name in names]):
        key = (*(_text(name, row[column(name)]) for name in names), str(row["pod"]))
        together.setdefault(key, []).append(row)
    left = len(together) - _MOST_ROWS
    caption = f"… {left} more rows are in the file" if left > 0 else None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
    for name in (*names, "POD"):
        table.add_column(name.upper(), no_wrap=True)
    for title in _SHOWN:
        table.add_column(title, justify="right", no_wrap=True)
    for key, alike in list(together.items())[:_MOST_ROWS]:
        table.add_row(*key, *(_cell(alike, *shown) for shown in _SHOWN.values()))
    return table


def _sortable(value: Value | None) -> tuple[str, float]:
    return (value, 0.0) if isinstance(value, str) else ("", float(value or 0))


def _text(name: str, value: Value | None) -> str:
    if key_of(name)[0].kind == SIZE:
        return format_size(int(value or 0))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(alike: Sequence[Row], figure: Callable[[Row], Value | None], text: Callable[[float], str]) -> str:
    values = [float(value) for value in map(figure, alike) if value is not None]
    if not values:
        return "–"
    middle, spread = statistics.median(values), max(values) - min(values)
    return text(middle) + (f" ±{spread / 2 / middle:.0%}" if spread and middle else "")


def fleet_table(series: Mapping[str, Row]) -> "Table":
    """Return a table of a fleet, a row a series."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("SERIES", style="bold")
    for title in (*_FLEET, "HURT\nWITHIN"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, figures in series.items():
        cells = (_number(figures[figure], text) for figure, text in _FLEET.values())
        hurt = f"{figures['pods_hurt']} of {figures['pods_within']}"
        table.add_row(name, *cells, hurt)
    return table


def _number(value: Value | None, text: Callable[[float], str]) -> str:
    return "–" if value is None else text(float(value))
