"""``epcg trace``: page reference streams as files."""

from pathlib import Path
from typing import Any

import click

from epcgroup.cli.options import json_option
from epcgroup.cli.traceimport import import_
from epcgroup.cli.traceoptions import (
    COUNT,
    bounds,
    output_option,
    progress,
    say,
    say_written,
    trace_argument,
)
from epcgroup.cli.tracerecord import record
from epcgroup.errors import UsageError

#: As ``sim.trace.generate.KINDS``, which loads the compiler.
_KINDS = ("zipf", "uniform", "scan", "loop", "phases", "zipf+scan")


@click.group(short_help="Import, record, look at, cut, mix and generate traces.")
def trace() -> None:
    """Page reference traces: import, record, look at, cut, mix, generate.

    A trace is one .npy file that is mapped when it is followed, or a .parquet file.
    """


trace.add_command(import_)
trace.add_command(record)


@trace.command(short_help="What is in a trace.")
@trace_argument
@json_option
def info(file: Path, as_json: bool) -> None:
    """Check a trace and print its figures."""
    from epcgroup.sim.trace.format import read_trace
    from epcgroup.sim.trace.info import describe

    say({"file": str(file), **describe(read_trace(file)).to_json()}, as_json)


@trace.command(short_help="A part of a trace; or the same in the other form.")
@trace_argument
@output_option
@click.option("--references", default=None, metavar="START:STOP", help="These references.")
@click.option("--requests", default=None, metavar="START:STOP", help="These requests.")
@click.option(
    "--share", default=None, metavar="START:STOP", help="This share, 0.25:0.5 is the second quarter."
)
@click.option("--keep-pages", is_flag=True, help="Pages keep their numbers.")
@json_option
def cut(
    file: Path, out: Path, references: str | None, requests: str | None, share: str | None, keep_pages: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Write a part of a trace; requests that begin in it stay whole.

    Without a range: all of it, which turns .parquet into .npy and back.
    """
    from epcgroup.sim.trace import cut as cutting

    given = {
        by: text
        for by, text in {"references": references, "requests": requests, "share": share}.items()
        if text is not None
    }
    if len(given) > 1:
        raise UsageError(f"{' and '.join('--' + by for by in given)}: give one of them")
    chosen = [cutting.Bounds(by, *bounds(text)) for by, text in given.items()] or [cutting.Bounds()]
    with progress("cut") as update:
        cutting.cut(file, out, chosen[0], keeps_pages=keep_pages, progress=update)
    say_written(out, as_json)


@trace.command(short_help="Several traces as one, by weights.")
@click.argument("parts", nargs=-1, required=True, metavar="FILE[=WEIGHT]...")
@output_option
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the order.")
@click.option("--until-all", is_flag=True, help="Go on with the others where one ends.")
@json_option
def mix(parts: tuple[str, ...], out: Path, seed: int, until_all: bool, as_json: bool) -> None:
    """Interleave traces request by request (reference by reference where there are none).

    The chance that the next request is a trace's own goes by its weight (1 unless given). Each trace has
    pages of its own. Arrivals are left out.
    """
    from epcgroup.sim.trace import mix as mixing

    with progress("mix") as update:
        chosen = [mixing.Part(*_part(text)) for text in parts]
        mixing.mix(chosen, out, seed=seed, until_all=until_all, progress=update)
    say_written(out, as_json)


def _part(text: str) -> tuple[Path, float]:
    name, equals, weight = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), 1.0
    try:
        return Path(name), float(weight)
    except ValueError as error:
        raise UsageError(f"{weight!r} in {text!r} is no weight: expected FILE=NUMBER") from error


@trace.command(short_help="A synthetic trace, from a seed.")
@click.argument("kind", type=click.Choice(_KINDS))
@output_option
@click.option("--pages", "nr_pages", type=COUNT, required=True, help="Pages to draw from.")
@click.option("--references", "nr_references", type=COUNT, required=True, help="Length.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of everything random.")
@click.option("--exponent", type=float, default=0.99, show_default=True, help="zipf: of the distribution.")
@click.option("--set-pages", type=COUNT, default=1000, show_default=True, help="phases: of the working set.")
@click.option("--phase", "phase_references", type=COUNT, default=100_000, show_default=True,
              help="phases: references until it jumps.")  # fmt: skip
@click.option(
    "--scan-share", type=float, default=0.3, show_default=True, help="zipf+scan: windows that scan."
)
@click.option(
    "--scan-pages", type=COUNT, default=0, help="zipf+scan: pages of the scans.  [default: --pages]"
)
@click.option("--window", type=COUNT, default=200_000, show_default=True, help="zipf+scan: references each.")
@click.option(
    "--request-pages", type=COUNT, default=0, help="References of a request.  [default: no requests]"
)
@click.option("--rate", "rate_per_s", type=float, default=0.0, help="Poisson arrivals of requests a second.")
@json_option
def generate(out: Path, as_json: bool, **recipe: Any) -> None:  # noqa: ANN401
    """Generate a trace of independent Zipf or uniform draws, a scan, a loop, phases, or Zipf with scans.

    The same seed gives the same file. Counts may be written as 10M or 64Ki.
    """
    from epcgroup.sim.trace.generate import Recipe
    from epcgroup.sim.trace.generate import generate as make

    with progress("generate") as update:
        make(Recipe(**recipe), out, progress=update)
    say_written(out, as_json)
