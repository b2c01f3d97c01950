"""The report of a comparison: one page of HTML that needs nothing but itself.

Every text that came from outside (names, manifest, facts of the machine) is escaped where it is put in.
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Final

from epcgroup.observe.fields import FIELDS, format_count, text, with_troubles
from epcgroup.observe.figures import MACHINE, samples_in, seconds_of
from epcgroup.observe.plots import COLOURS, pod_strip
from epcgroup.observe.story import RunStory, Story
from epcgroup.observe.verdict import FAILED, ISOLATED, NOT_ISOLATED, PodVerdict, Verdict
from epcgroup.units import format_size

_COLUMNS: Final = (
    "operations_per_s", "p50_ns", "p99_ns", "limit_bytes", "current_max_bytes", "peak_bytes", "faults_per_s",
    "evictions_per_s", "evicted_by",
)  # fmt: skip
_TONE: Final = {ISOLATED: "good", NOT_ISOLATED: "bad", FAILED: "bad"}
_STATE_TONE: Final = {
    "protected": "good", "not protected": "bad", "hurt without limits": "warn", "held to its limit": "good",
    "over its limit": "bad",
}  # fmt: skip

_LIVE: Final = "The EPC is in software: costs are of the order of the hardware's paging, not equal to it."
_SIMULATED: Final = (
    "No program ran: the engine is the live one, time is virtual, programs are models and every cost is a "
    "figure of the cost model (epcg costs). The same input and seed give the same digests on any machine."
)


def page(story: Story) -> str:
    """Return the report as HTML.

    Raises:
        NotSupportedError: matplotlib is not installed.
    """
    return document(story.title, _parts(story))


def document(title: str, parts: Iterable[str]) -> str:
    """Return a page that needs nothing but itself, of parts that are HTML already."""
    style = files("epcgroup.observe").joinpath("report.css").read_text(encoding="utf-8")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>epcgroup: {escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _parts(story: Story) -> Iterator[str]:
    yield from _head(story)
    yield "<h2>Each pod over time</h2>" + _legend(story)
    verdicts = {} if story.verdict is None else {found.pod: found for found in story.verdict.pods}
    for pod in story.runs[0].figures:
        yield _pod(story, pod, verdicts.get(pod))
    yield "<h2>Figures</h2>" + _figures(story)
    yield _matrices(story)
    if any(run.recording.kills for run in story.runs):
        yield "<h2>Who was killed</h2>" + _kills(story)
    if story.verdict is not None:
        yield "<h2>Checks</h2>" + _checks(story.verdict)
    yield "<h2>What was run</h2>" + _what(story)


def _head(story: Story) -> Iterator[str]:
    times = "The same pods, three times" if len(story.runs) > 1 else "The pods, once"
    yield f"<h1>{escape(story.title)}</h1>"
    yield (
        f'<p class="soft">{times}{_where(story)}, on {format_size(story.capacity_bytes)} of EPC. '
        f"{escape(story.made)}</p>"
    )
    if story.verdict is not None:
        yield _banner(story, story.verdict)


def _banner(story: Story, verdict: Verdict) -> str:
    tone = _TONE.get(verdict.verdict, "warn")
    return (
        f'<div class="banner {tone}"><div class="word">{escape(verdict.verdict)}</div>'
        f"<div>{escape(verdict.meaning)}</div>{_key_figures(story, verdict)}</div>"
    )


def _where(story: Story) -> str:
    return "" if story.runs[0].simulation is None else " in virtual time"


def _key_figures(story: Story, verdict: Verdict) -> str:
    """The p99 of the first victim in each run: the whole story in three numbers."""
    victim = next((pod.pod for pod in verdict.pods if pod.role == "victim"), None)
    if victim is None:
        return ""
    cells = (
        f'<div><b style="color:{COLOURS[run.name]}">{escape(text("p99_ns", run.figures[victim].p99_ns))}</b>'
        f"<span>{escape(run.title)}</span></div>"
        for run in story.runs
    )
    return f'<div class="key"><div><b>p99</b><span>{escape(victim)}</span></div>{"".join(cells)}</div>'


def _legend(story: Story) -> str:
    runs = "".join(
        f'<span><i style="background:{COLOURS[run.name]}"></i>{escape(_run_title(run))}</span>'
        for run in story.runs
    )
    warm_up = any(run.window.start_ns > run.recording.start_ns for run in story.runs)
    box = '<span><i class="box"></i>warm-up, not counted</span>' if warm_up else ""
    return f'<div class="legend">{runs}<span><i class="dash"></i>claim</span>{box}</div>'


def _run_title(run: RunStory) -> str:
    return f"{run.title} ({format_size(run.epc_bytes)} EPC, series {run.series})"


def _pod(story: Story, pod: str, verdict: PodVerdict | None) -> str:
    tags = sentence = ""
    if verdict is not None:
        states = [
            (verdict.role, "plain"),
            *((state, _STATE_TONE.get(state, "plain")) for state in verdict.states),
        ]
        tags = "".join(f'<span class="tag {tone}">{escape(state)}</span>' for state, tone in states)
        sentence = f'<p class="soft">{escape(verdict.sentence)}</p>'
    return (
        f'<section class="card"><div class="head"><h3>{escape(pod)}{tags}</h3></div>'
        f"{sentence}{pod_strip(story, pod)}</section>"
    )


def _row(cells: Iterable[str], kind: str = "") -> str:
    return f"<tr{kind}>" + "".join(cells) + "</tr>"


def _figures(story: Story) -> str:
    columns = with_troubles(_COLUMNS, [pod for run in story.runs for pod in run.figures.values()])
    heads = "".join(
        f'<th title="{escape(FIELDS[name].meaning)}"{_left(name)}>{escape(FIELDS[name].title)}</th>'
        for name in columns
    )
    rows = []
    for pod in story.runs[0].figures:
        present = [run for run in story.runs if pod in run.figures]
        for number, run in enumerate(present):
            first = f"<td><b>{escape(pod)}</b></td>" if number == 0 else "<td></td>"
            swatch = f'<span class="swatch" style="background:{COLOURS[run.name]}"></span>'
            values = (
                f"<td{_left(name)}>{escape(text(name, getattr(run.figures[pod], name)))}</td>"
                for name in columns
            )
            cells = [first, f'<td class="left">{swatch}{escape(run.title)}</td>', *values]
            rows.append(_row(cells, ' class="group"' if number == 0 else ""))
    return (
        '<section class="card scroll"><table><thead><tr><th>POD</th><th class="left">RUN</th>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></section>"
    )


def _left(name: str) -> str:
    return ' class="left"' if FIELDS[name].unit in ("shares", "text") else ""


def _matrices(story: Story) -> str:
    cards = "".join(
        f'<section class="card"><h3><span class="swatch" style="background:{COLOURS[run.name]}"></span>'
        f"{escape(run.title)}</h3>{_matrix(run)}</section>"
        for run in story.runs
    )
    note = (
        "Rows: whose pages were written out. Columns: on whose behalf. Pages a second in the counted window. "
        "What the machine's own reclaim wrote out counts for the pod that used up the free pages."
    )
    return f'<h2>Who evicted whom</h2><p class="soft">{note}</p><div class="grid3">{cards}</div>'


def _kills(story: Story) -> str:
    lines = "".join(
        f"<li>{escape(run.title)}: {escape(kill.group)}: {escape(str(kill))}</li>"
        for run in story.runs
        for kill in run.recording.kills
    )
    return f'<section class="card"><ul>{lines}</ul></section>'


def _matrix(run: RunStory) -> str:
    pods = list(run.figures)
    others = sorted({name for row in run.evicted_by.values() for name in row} - set(pods) - {MACHINE})
    machine = [MACHINE] if any(row.get(MACHINE) for row in run.evicted_by.values()) else []
    columns = [*pods, *others, *machine]
    seconds = seconds_of(samples_in(run.recording.samples, run.window)) or 1.0
    largest = max((pages for row in run.evicted_by.values() for pages in row.values()), default=0.0) or 1.0
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = "".join(
        _row([f"<td>{escape(pod)}</td>", *_cells(run.evicted_by.get(pod, {}), columns, seconds, largest)])
        for pod in pods
    )
    return f'<table class="matrix"><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _cells(row: Mapping[str, float], columns: list[str], seconds: float, largest: float) -> Iterator[str]:
    for name in columns:
        pages = row.get(name, 0.0)
        strength = (pages / largest) ** 0.5
        colour = "#fff" if strength > 0.65 else "inherit"
        shade = f"background:rgba(178,34,24,{strength:.2f});color:{colour}" if pages else "background:#f5f6f8"
        shown = format_count(pages / seconds) if pages else "·"
        yield f'<td class="cell" style="{shade}">{shown}</td>'


def _checks(verdict: Verdict) -> str:
    rows = "".join(
        _row([
            f"<td>{escape(check.name)}</td>",
            f"<td>{check.value:.4g}</td>",
            f"<td>{escape(check.bound)}</td>",
            f'<td class="{"ok" if check.ok else "no"}">{"✓" if check.ok else "✗"}</td>',
        ])
        for check in verdict.checks
    )  # fmt: skip
    return (
        '<section class="card"><table><thead><tr><th>CHECK</th><th>VALUE</th><th>BOUND</th><th></th></tr>'
        f"</thead><tbody>{rows}</tbody></table></section>"
    )


def _what(story: Story) -> str:
    windows = "; ".join(
        f"{run.title}: {(run.window.start_ns - run.recording.start_ns) / 1e9:.1f} to "
        f"{(run.window.end_ns - run.recording.start_ns) / 1e9:.1f} s"
        for run in story.runs
    )
    facts = {"command": story.command, "counted": windows, **story.machine}
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    note = (
        "Rates are differences of totals at the ends of the window; percentiles come from merged histograms "
        "(at most 3 % wide buckets). A pod is a victim if what it held with room for all is inside "
        f"its claim. {_LIVE if story.runs[0].simulation is None else _SIMULATED}"
    )
    return (
        f'<section class="card"><dl>{items}</dl><p class="soft">{escape(note)}</p>'
        f"<details><summary>Manifest</summary><pre>{escape(story.manifest)}</pre></details></section>"
    )
