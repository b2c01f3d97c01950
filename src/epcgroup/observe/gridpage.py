"""The report of a grid of simulations: one page of HTML that needs nothing but itself.

Every text that came from outside (names, manifest, facts) is escaped where it is put in.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from epcgroup.observe.fields import FIELDS, format_share
from epcgroup.observe.gridplots import grid_plot
from epcgroup.observe.gridstory import GridRow, GridStory
from epcgroup.observe.gridtable import FIGURES, GridField, shown_figures
from epcgroup.observe.page import document

#: Figures of a pod, as in the grid's own; progress is relative to the roomy run.
_OF_PODS: Final = {
    "progress": GridField("PROGRESS", format_share, "Requests answered, relative to the roomy run."),
    **{name: FIGURES[name] for name in ("requests_per_s", "p50_ns", "p99_ns", "loads_per_s", "stall_some")},
}


def grid_page(story: GridStory) -> str:
    """Return the report as HTML.

    Raises:
        NotSupportedError: matplotlib is not installed.
    """
    return document(story.title, _parts(story))


def _parts(story: GridStory) -> Iterator[str]:
    nr_runs = sum(row.nr_reps for row in story.rows)
    yield f"<h1>{escape(story.title)}</h1>"
    yield (f'<p class="soft">{len(story.rows)} combinations, {nr_runs} simulations. {escape(story.made)}</p>')
    yield f'<h2>Side by side</h2><section class="card">{grid_plot(story.rows)}</section>'
    yield "<h2>Figures</h2>" + _figures(story.rows)
    yield "<h2>Each pod</h2>" + "".join(_pod(story.rows, pod) for pod in story.rows[0].pods)
    yield "<h2>What was simulated</h2>" + _what(story)


def _heads(figures: dict[str, GridField]) -> str:
    return "".join(
        f'<th title="{escape(figure.meaning)}">{escape(figure.title)}</th>' for figure in figures.values()
    )


def _table(heads: str, rows: Iterator[tuple[str, list[str]]]) -> str:
    body = "".join(
        f'<tr><td class="left">{escape(title)}</td>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for title, cells in rows
    )
    return f'<table><thead><tr><th class="left"></th>{heads}</tr></thead><tbody>{body}</tbody></table>'


def _figures(rows: Sequence[GridRow]) -> str:
    shown = shown_figures(rows)
    cells = (
        (row.cell.title, [row.ran_text, *(figure.text(row.figures[name]) for name, figure in shown.items())])
        for row in rows
    )
    heads = "<th>PODS RUN</th>" + _heads(shown)
    return f'<section class="card scroll">{_table(heads, cells)}</section>'


def _pod(rows: Sequence[GridRow], pod: str) -> str:
    cells = (
        (row.cell.title, [figure.text(row.pods[pod][name]) for name, figure in _OF_PODS.items()])
        for row in rows
    )
    return (
        f'<section class="card scroll"><div class="head"><h3>{escape(pod)}</h3></div>'
        f"{_table(_heads(_OF_PODS), cells)}</section>"
    )


def _what(story: GridStory) -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in story.facts.items())
    note = (
        "± is the 95 % interval of the mean over the repetitions (Student's t). Percentiles come from the "
        "merged histograms of all repetitions (at most 3 % wide buckets), their interval from the percentile "
        f"of each. {FIELDS['stall_some'].meaning} Every simulation has a digest in result.json: the same "
        "input and seed give the same digest on any number of threads."
    )
    return (
        f'<section class="card"><dl>{items}</dl><p class="soft">{escape(note)}</p>'
        f"<details><summary>Manifest</summary><pre>{escape(story.manifest)}</pre></details></section>"
    )
