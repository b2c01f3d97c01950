"""Options that several sub-commands share, and how their texts become values."""

import signal
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import click

from epcgroup.errors import UsageError

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
    from epcgroup.node.manifest import load_manifest, parse_manifest

    if str(path) == "-":
        return parse_manifest("<stdin>", sys.stdin.read())
    return load_manifest(path)


class StopSignals:
    """SIGINT and SIGTERM as a wish to stop: the first ends the run cleanly, a second one at once.

    Attributes:
        wished: True once a signal came.
    """

    def __init__(self) -> None:
        self.wished = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.wished:
            raise KeyboardInterrupt
        self.wished = True

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.wished


def make_folder(path: Path) -> Path:
    """Make a folder for results, with its parents, and return it."""
    path.mkdir(parents=True, exist_ok=True)
    return path
