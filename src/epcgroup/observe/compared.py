"""The three runs of a comparison as one table in a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from epcgroup.observe.fields import FIELDS, text, with_troubles
from epcgroup.observe.story import RunStory

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS: Final = (
    "claim_bytes", "current_max_bytes", "peak_bytes", "faults_per_s", "evictions_per_s", "evicted_by",
    "operations_per_s", "p99_ns",
)  # fmt: skip
_STYLES: Final = {"not-enforced": "dark_orange3", "enforced": "deep_sky_blue1"}


def compared_table(runs: Sequence[RunStory]) -> "Table":
    """Return a table of one row a pod and run, the rows of a pod together."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("POD", style="bold", no_wrap=True)
    table.add_column("RUN", no_wrap=True)
    columns = with_troubles(_COLUMNS, [figures for run in runs for figures in run.figures.values()])
    for name in columns:
        left = FIELDS[name].unit in ("shares", "text")
        table.add_column(
            FIELDS[name].title, justify="left" if left else "right", no_wrap=name != "evicted_by"
        )
    for pod in runs[0].figures:
        present = [run for run in runs if pod in run.figures]
        for number, run in enumerate(present):
            cells = [text(name, getattr(run.figures[pod], name)) for name in columns]
            title = Text(run.title, style=_STYLES.get(run.name, "dim"))
            table.add_row(pod if number == 0 else "", title, *cells, end_section=number == len(present) - 1)
    return table
