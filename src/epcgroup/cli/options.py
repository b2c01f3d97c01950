"""Options that several sub-commands share, and how their texts become values."""

import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self

import click

from epcgroup.errors import EpcError, UsageError

if TYPE_CHECKING:
    from epcgroup.node.objects import Manifest

#: Series the pager serves.
SERIES: Final = ("fair", "v17", "mainline")

manifest_argument = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
ager_option = click.option(
    "--ager", default=None, metavar="NAME", help="How the pager tells young pages: refault or fifo."
)
out_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=None, metavar="DIR",
    help="Keep logs, reports and results here.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


def duration_ns(text: str) -> int:
    """Return the nanoseconds of ``--duration``.

    Raises:
        UsageError: no duration, or none at all.
    """
    from epcgroup.node.quantity import parse_duration_ns

    value = parse_duration_ns(text)
    if value <= 0:
        raise UsageError("--duration must be more than nothing")
    return value


def load(path: Path) -> "Manifest":
    """Return the manifest at a path; ``-`` is standard input."""
    from epcgroup.node.manifest import decode, load_manifest, parse_manifest

    if str(path) != "-":
        return load_manifest(path)
    if sys.stdin is None:
        raise UsageError("there is no standard input to read a manifest from")
    return parse_manifest("<stdin>", decode("<stdin>", sys.stdin.buffer.read()))


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP as a wish to stop: the first ends the run cleanly, the second at once.

    Attributes:
        nr_wishes: how many signals came.
    """

    def __init__(self) -> None:
        self.nr_wishes = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup a run outlives its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.nr_wishes += 1
        # More than two change nothing: they would only break into the tidying up.
        if self.nr_wishes == 2:
            raise KeyboardInterrupt

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.nr_wishes > 0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another run writes to {folder} now: give --out another folder") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def results_folder(out: Path | None, verb: str, *, has_logs: bool = True) -> Iterator[Path]:
    """Give the folder for results: the one asked for, made with its parents, or a temporary one.

    An interrupt takes the temporary one away; an error of the run leaves it, for the logs in it, if any.
    """
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        with _locked(out):
            yield out
        return
    folder = Path(tempfile.mkdtemp(prefix=f"epcg-{verb}-"))
    try:
        yield folder
    except EpcError:
        if not has_logs:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        print(f"epcg: the logs of this run are in {folder}", file=sys.stderr)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
