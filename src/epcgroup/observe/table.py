"""Figures as a table in a terminal, and as plain lines where there is no terminal."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from epcgroup.observe.fields import FIELDS, TABLE, text, with_troubles
from epcgroup.observe.figures import PodFigures

if TYPE_CHECKING:
    from rich.table import Table

_PHASE_STYLE = {"Running": "green", "Failed": "red bold", "Pending": "yellow", "Succeeded": "dim"}


def pod_table(rows: Iterable[PodFigures], title: str = "", columns: Sequence[str] = TABLE) -> "Table":
    """Return a table of one row a pod; columns about what went wrong come only where something did."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    rows = list(rows)
    columns = with_troubles(columns, rows)
    for name in columns:
        left = FIELDS[name].unit in ("text", "shares")
        table.add_column(
            FIELDS[name].title, justify="left" if left else "right", no_wrap=name != "evicted_by"
        )
    for row in rows:
        over = row.over_limit_pages > 0
        cells = [Text(text(name, getattr(row, name)), style=_style(name, row, over)) for name in columns]
        table.add_row(*cells)
    return table


def _style(name: str, row: PodFigures, over: bool) -> str:
    if name == "phase":
        return _PHASE_STYLE.get(row.phase, "")
    if name == "current_bytes" and row.current_bytes > row.claim_bytes:
        return "yellow"
    if name == "peak_bytes" and over:
        return "red"
    return "bold" if name == "pod" else ""


def plain_line(seconds: float, rows: Iterable[PodFigures]) -> str:
    """Return one line for a log: time, and of each pod what it holds, does and suffers."""
    parts = []
    for row in rows:
        part = f"{row.pod} {row.phase} {text('current_bytes', row.current_bytes)}"
        if row.operations_per_s is not None:
            operations, p99 = text("operations_per_s", row.operations_per_s), text("p99_ns", row.p99_ns)
            part += f" {operations} ops/s p99 {p99}"
        if row.evictions_per_s >= 1:
            part += f" evicted {text('evictions_per_s', row.evictions_per_s)}/s"
        parts.append(part)
    return f"{seconds:5.1f} s  " + " | ".join(parts)
