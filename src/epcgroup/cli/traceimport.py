"""``epcg trace import``: one command a format."""

from pathlib import Path
from typing import Any, Final

import click

from epcgroup.cli.options import json_option
from epcgroup.cli.traceoptions import (
    ending_cleanly,
    output_option,
    progress,
    say,
    say_written,
    trace_argument,
)

_TIME_UNITS: Final = ("s", "ms", "us", "ns")


@click.group("import", short_help="Make a trace of another program's file.")
def import_() -> None:
    """Make a trace of another program's file.

    FILE may be compressed (.zst, .gz, .xz); - is standard input. Pages get new numbers, in the order in
    which they are touched first.
    """


@import_.command(short_help="What valgrind's lackey sees: every access of a program.")
@trace_argument
@output_option
@click.option("--code/--no-code", default=True, help="Whether instruction fetches count.")
@json_option
def lackey(file: Path, out: Path, code: bool, as_json: bool) -> None:
    """Import the output of valgrind --tool=lackey --trace-mem=yes --log-file=FILE PROGRAM."""
    from epcgroup.sim.trace.lackey import import_lackey

    with progress("lackey", bytes_=True) as update:
        import_lackey(file, out, wants_code=code, progress=update)
    say_written(out, as_json)


@import_.command(short_help="A cache trace of Twitter, or libCacheSim's sample of one.")
@trace_argument
@output_option
@json_option
def twitter(file: Path, out: Path, as_json: bool) -> None:
    """Import a cache trace of Twitter: a page an object, a request a line, with its arrival."""
    from epcgroup.sim.trace.tables import import_twitter

    with progress("twitter", bytes_=True) as update:
        import_twitter(file, out, progress=update)
    say_written(out, as_json)


@import_.command(short_help="A block trace of the ARC paper (.lis).")
@trace_argument
@output_option
@click.option(
    "--blocks-per-page", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="1: a page a block, as the literature counts; 8: pages of 4 KiB.",
)  # fmt: skip
@json_option
def arc(file: Path, out: Path, blocks_per_page: int, as_json: bool) -> None:
    """Import lines of first block, number of blocks, a field that is ignored, request number."""
    from epcgroup.sim.trace.tables import import_arc

    with progress("arc", bytes_=True) as update:
        import_arc(file, out, blocks_per_page=blocks_per_page, progress=update)
    say_written(out, as_json)


@import_.command("csv", short_help="A column of any table of text.")
@trace_argument
@output_option
@click.option("--column", default="1", show_default=True, metavar="N|NAME", help="Column of the page.")
@click.option("--delimiter", default=",", show_default=True, metavar="C", help="One sign; ' ': any blanks.")
@click.option(
    "--page-size", type=click.IntRange(1), default=1, metavar="BYTES",
    help="The column is an address in pages of this size.  [default: it is the page]",
)  # fmt: skip
@click.option("--key", "is_key", is_flag=True, help="The column is any text: a page for each.")
@click.option("--time-column", default=None, metavar="N|NAME", help="Column of the arrival of a request.")
@click.option("--time-unit", type=click.Choice(_TIME_UNITS), default="s", show_default=True, help="Its unit.")
@click.option(
    "--request-column", default=None, metavar="N|NAME",
    help="Lines in a row with the same value here are one request.",
)  # fmt: skip
@click.option("--header", "has_header", is_flag=True, help="The first line is no data.")
@json_option
def table(file: Path, out: Path, as_json: bool, **form: Any) -> None:  # noqa: ANN401
    """Import a column of a table; columns are counted from 1 or named as in the first line.

    With --time-column every line is a request. Fields in quotes are not known.
    """
    from epcgroup.sim.trace.tables import CsvForm, import_csv

    with progress("csv", bytes_=True) as update:
        import_csv(file, out, CsvForm(**form), progress=update)
    say_written(out, as_json)


@import_.command(short_help="A pod list of Alibaba (openb): pods instead of pages.")
@trace_argument
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="OUT",
    help="A manifest (.yaml) or a table of pods (.csv).",
)  # fmt: skip
@click.option(
    "--epc-per-memory", type=float, default=1 / 256, metavar="X",
    help="EPC claimed for a byte of memory.  [default: 1/256]",
)  # fmt: skip
@click.option("--speed", type=float, default=1.0, show_default=True, help="Times are divided by it.")
@click.option("--qos", multiple=True, metavar="CLASS", help="Only these: LS, BE, Burstable, Guaranteed.")
@click.option("--capacity", default=None, metavar="SIZE", help="EPC of the node of a manifest.")
@json_option
def openb(
    file: Path, out: Path, epc_per_memory: float, speed: float, qos: tuple[str, ...], capacity: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Import arrivals, lifetimes and sizes of pods; those that were never scheduled are left out."""
    from epcgroup.sim.trace.pods import OpenbForm, read_openb, write_pods
    from epcgroup.units import parse_size

    capacity_bytes = None if capacity is None else parse_size(capacity)
    with ending_cleanly():
        pods = read_openb(file, OpenbForm(epc_per_memory, speed, qos))
        write_pods(out, pods.pods, capacity_bytes=capacity_bytes)
    fields = {
        "schema": "epcgroup/pods-written/1",
        "file": str(out),
        "pods": len(pods.pods),
        "never_ran": pods.nr_never_ran,
        "last_end_s": max(pod.arrival_ns + pod.lifetime_ns for pod in pods.pods) / 1e9,
        "largest_epc_bytes": max(pod.epc_bytes for pod in pods.pods),
    }
    say(fields, as_json)
