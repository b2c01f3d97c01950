"""The text of ``docs/calibration.md``: a template, and what was found."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, Final

from benchmarks.calibration.agreement import FEW_PAGES, Compared, Order
from benchmarks.calibration.live import DURATION_S, WINDOW_S
from benchmarks.calibration.locality import Locality
from benchmarks.calibration.oracle import Count
from benchmarks.calibration.published.case import VERDICTS, Case
from benchmarks.calibration.speed import Rate

_TEMPLATE: Final = Path(__file__).parent / "template.md"
#: Where the parts of the page about published experiments begin, and what follows them.
_PUBLISHED_PARTS: Final = (
    ("| Do published experiments", "| Do policies that"),
    ("## Published experiments", "## libCacheSim as an oracle"),
)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def agreement_table(rows: Sequence[Compared]) -> str:
    """Return live and simulated side by side, one line a pod and setting."""
    keys = dict.fromkeys((row.setting, row.pod) for row in rows)
    lines = []
    for setting, pod in keys:
        line = [setting.scenario, f"`{setting.series}`", setting.ager, pod]
        for row in rows:
            if (row.setting, row.pod) == (setting, pod):
                line += [f"{row.live:,.0f}", f"{row.simulated:,.0f}", difference(row)]
        lines.append(line)
    quantities = ("evictions live", "sim.", "", "loads live", "sim.", "", "resident live", "sim.", "")
    return table(("scenario", "series", "ager", "pod", *quantities), lines)


def difference(row: Compared) -> str:
    """Return a difference in words; bold where it is too large."""
    if not row.agrees:
        return f"**{row.difference:+.1%}**"
    return "–" if row.is_few else f"{row.difference:+.1%}"


def agreement_summary(rows: Sequence[Compared]) -> str:
    """Return what all differences come to."""
    sizes = sorted(abs(row.difference) for row in rows if not row.is_few)
    good = sum(row.agrees for row in rows)
    half, nine = statistics.median(sizes), sizes[int(0.9 * (len(sizes) - 1))]
    return (
        f"{good} of {len(rows)} figures agree within 10 %. Of the {len(sizes)} that are not almost nothing on"
        f" both sides half differ by less than {half:.1%}, nine of ten by less than {nine:.1%}, the worst by"
        f" {sizes[-1]:.1%}. (–: fewer than {FEW_PAGES:.0f} pages on both sides.)"
    )


def order_table(orders: Sequence[Order]) -> str:
    """Return the order of the series, live and simulated."""
    return table(
        ("scenario", "pod", "live", "simulated", "same"),
        [
            [
                order.scenario,
                order.pod,
                order.text(order.live),
                order.text(order.simulated),
                "yes" if order.agrees else "**no**",
            ]
            for order in orders
        ],
    )


def speed_table(rates: Sequence[Rate]) -> str:
    """Return operations a second."""
    return table(
        ("program", "live", "simulated", "difference"),
        [
            [
                f"`{rate.program} {rate.arguments}`",
                f"{rate.live:,.0f}",
                f"{rate.simulated:,.0f}",
                f"{rate.simulated / rate.live - 1:+.0%}",
            ]
            for rate in rates
        ],
    )


def locality_table(found: Sequence[Locality]) -> str:
    """Return faults a request."""
    return table(
        ("program", "live", "simulated", "difference"),
        [
            [
                f"`{' '.join(row.words)}`",
                f"{row.live:.2f}",
                f"{row.simulated:.2f}",
                f"{row.simulated / row.live - 1:+.0%}",
            ]
            for row in found
        ],
    )


def figures_table(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return measured figures of a data file: name of a table → key → figure."""
    return table(
        ("", "value", "what"),
        [
            [f"{name} `{key}`".strip(), f"{figure['value']:,} {figure['unit']}", figure["source"]]
            for name, figures in tables.items()
            for key, figure in figures.items()
            if isinstance(figure, dict)
        ],
    )


def measured_note(data: Mapping[str, Any]) -> str:
    """Return when and where the figures of a data file were measured."""
    head = data["measured"]
    machine = f"{head['cpu']}, {head['cpus']} CPUs, kernel {head['kernel']}, Python {head['python']}"
    return f"measured on {head['date']}: {machine}"


def published_table(cases: Sequence[Case]) -> str:
    """Return the list of published experiments with the verdicts."""
    return table(
        ("experiment", "result"),
        [
            [f"[{case.text('title')}](#{_anchor(case.text('title'))})", VERDICTS[case.verdict]]
            for case in cases
        ],
    )


def _anchor(title: str) -> str:
    kept = (char for char in title.lower() if char.isalnum() or char in " -_")
    return "".join(kept).replace(" ", "-")


def published_section(case: Case) -> str:
    """Return the section of one published experiment."""
    title, verdict = case.text("title"), VERDICTS[case.verdict]
    parts = [
        f"### {title}",
        f"**{verdict.capitalize()}.** {case.text('published')}",
        f"*Source:* {case.text('source')}.",
        f"*Here:* {case.text('setup')}",
        table(case.header, case.rows),
    ]
    if case.plot:
        parts.append(f"![{title}](calibration-{case.name}.svg)")
    parts += [f"*Why:* {case.text('why')}", f"*Our assumptions:* {'; '.join(case.assumptions)}."]
    return "\n\n".join(parts)


def oracle_table(counts: Sequence[Count]) -> str:
    """Return the miss counts."""
    return table(
        ("trace", "pages", "policy", "here", "libCacheSim", "same"),
        [
            [
                count.trace,
                f"{count.capacity_pages:,}",
                count.policy,
                f"{count.ours:,}",
                f"{count.theirs:,}",
                "yes" if count.ours == count.theirs else "**no**",
            ]
            for count in counts
        ],
    )


def answers(
    rows: Sequence[Compared], orders: Sequence[Order], cases: Sequence[Case], counts: Sequence[Count]
) -> dict[str, str]:
    """Return the short answers at the head of the page."""
    same = sum(count.ours == count.theirs for count in counts)
    good, ordered = sum(row.agrees for row in rows), sum(order.agrees for order in orders)
    return {
        "live_answer": f"{good} of {len(rows)} figures within 10 %; the series in the same order in"
        f" {ordered} of {len(orders)} cases",
        "published_answer": published_answer(cases),
        "oracle_answer": f"{same} of {len(counts)} miss counts identical" if counts else "not asked here",
    }


def published_answer(cases: Sequence[Case]) -> str:
    """Return how many published experiments came out how."""
    verdicts = [case.verdict for case in cases]
    said = [f"{verdicts.count(key)} {text}" for key, text in VERDICTS.items() if key in verdicts]
    return f"of {len(verdicts)}: " + ", ".join(said)


def with_published(text: str, cases: Sequence[Case]) -> str:
    """Return a page with these published experiments, and all else as it stands in ``text``."""
    template = _TEMPLATE.read_text()
    fields = {
        "published_answer": published_answer(cases),
        "published_table": published_table(cases),
        "published_sections": "\n\n".join(map(published_section, cases)),
    }
    for first, last in _PUBLISHED_PARTS:
        begin, end = template.index(first), template.index(last)
        part = Template(template[begin:end]).substitute(fields)
        text = text[: text.index(first)] + part + text[text.index(last) :]
    return text


def render(fields: Mapping[str, str]) -> str:
    """Return the page."""
    fixed = {
        "window": f"{WINDOW_S[0]:g} to {WINDOW_S[1]:g}",
        "duration": f"{DURATION_S:g}",
        "few": f"{FEW_PAGES:.0f}",
    }
    return Template(_TEMPLATE.read_text()).substitute({**fixed, **fields})
