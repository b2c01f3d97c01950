"""What the commands below ``epcg trace`` share: their output, how far they are, how they end."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from epcgroup.errors import EpcError, UsageError
from epcgroup.units import parse_size

_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)
#: Least time between two updates of a bar, in references or bytes.
_STEP: Final = 1 << 20


class Count(click.ParamType[int]):
    """A number of things: ``1000``, ``10M``, ``64Ki``."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Return the number; a number passes."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value))
        except EpcError:
            self.fail(f"{value!r} is no number: expected digits with an optional k, M, G, Ki, Mi or Gi")


COUNT: Final = Count()

trace_argument = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
output_option = click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="OUT",
    help="The trace to write: .npy (mapped when read) or .parquet.",
)  # fmt: skip


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does: no half file stays."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Under nohup a command outlives its terminal.
    numbers = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress(title: str, *, bytes_: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on standard error, if that is a terminal; gives what is told what is done, of how much."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from epcgroup.cli.compiling import say_when_compiling

    say_when_compiling()
    count = DownloadColumn() if bytes_ else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
    with ending_cleanly(), bar:
        task = bar.add_task(title, total=None)
        shown = -_STEP

        def update(done: int, total: int | None) -> None:
            nonlocal shown
            if done >= shown + _STEP:
                shown = done
                bar.update(task, completed=done, total=total)

        yield update


def bounds(text: str) -> tuple[float, float | None]:
    """Return what ``START:STOP`` says; both may be left out.

    Raises:
        UsageError: it is something else.
    """
    start, colon, stop = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(start or 0), float(stop) if stop else None
    except ValueError as error:
        raise UsageError(f"{text!r} is no range: expected START:STOP, for example 0:1000000") from error


def say(fields: dict[str, Any], as_json: bool) -> None:
    """Print fields as one JSON document, or one a line, without those that are not there."""
    if as_json:
        print(json.dumps(fields))
        return
    shown = {key: value for key, value in fields.items() if value is not None and key != "schema"}
    width = max(map(len, shown))
    for key, value in shown.items():
        text = (
            f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)
        )
        print(f"{key.replace('_', ' '):<{width}}  {text}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def say_written(path: Path, as_json: bool) -> None:
    """Say what was written."""
    from epcgroup.sim.trace.format import read_header

    header = read_header(path)
    fields = {
        "schema": "epcgroup/trace-written/1",
        "file": str(path),
        "pages": header.nr_pages,
        "references": header.nr_references,
        "requests": header.nr_requests,
        "provenance": dict(header.provenance) if as_json else None,
    }
    say(fields, as_json)
