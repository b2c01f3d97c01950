"""What a program in enclave memory tells about its own work: one JSON line a time, appended to a file.

The file is named by ``$EPCG_STATS``; without it nothing is written. Every line holds totals since the start,
so a reader may skip lines, and a line is written in one system call, so it never sees half of one but at the
end of a file whose writer was killed.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from epcgroup.abi.histogram import Histogram
from epcgroup.errors import FileFormatError

#: Environment variable that names the file.
STATS_VARIABLE: Final = "EPCG_STATS"
#: Time between two lines. The contract with readers is at least one every 500 ms; half of it leaves room.
INTERVAL_NS: Final = 250_000_000
#: What a program does: fill its memory, work, or it has ended.
PHASES: Final = ("load", "run", "done")


@dataclass(frozen=True, slots=True)
class Report:
    """One line: totals since the start of the program at ``t_ns`` (CLOCK_MONOTONIC)."""

    t_ns: int
    operations: int = 0
    errors: int = 0
    verified_bytes: int = 0
    checksum_errors: int = 0
    latency: Histogram = field(default_factory=Histogram)
    phase: str = "load"

    def to_json(self) -> str:
        """Return the line, without its end."""
        fields = {name: getattr(self, name) for name in self.__slots__} | {"latency": self.latency.to_dict()}
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> "Report":
        """Return the report a line holds.

        Raises:
            FileFormatError: the line is no report; the message quotes its beginning.
        """
        try:
            fields = json.loads(line)
            numbers = {name: int(fields[name]) for name in cls.__slots__[:5]}
            phase = fields["phase"]
            if phase not in PHASES:
                raise ValueError(f"phase {phase!r}, expected one of {', '.join(PHASES)}")
            return cls(**numbers, latency=Histogram.from_dict(fields["latency"]), phase=phase)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise FileFormatError(f"not a report: {line[:80]!r} ({type(error).__name__}: {error})") from error


def read_reports(data: bytes) -> Iterator[Report]:
    """Yield the reports of a file's content; an unfinished last line is left out.

    Raises:
        FileFormatError: a finished line is no report.
    """
    for line in data.splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield Report.from_json(line)


class Reporter:
    """Totals of a running program and the file they go to; one user, one thread.

    Counters are plain attributes, so that the program may raise them without a call.
    """

    __slots__ = (
        "_due_ns",
        "_fd",
        "checksum_errors",
        "errors",
        "latency",
        "operations",
        "phase",
        "verified_bytes",
    )

    def __init__(self, path: str | None = None) -> None:
        """Open the file at ``path``, or the one ``$EPCG_STATS`` names, to append to.

        Raises:
            OSError: the file cannot be opened.
        """
        path = path or os.environ.get(STATS_VARIABLE)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o644) if path else -1
        self._due_ns = 0
        self.operations = self.errors = self.verified_bytes = self.checksum_errors = 0
        self.latency = Histogram()
        self.phase = "load"

    def tick(self, now_ns: int | None = None) -> None:
        """Write a line if the last one is old enough; ``now_ns`` saves the clock reading."""
        now_ns = time.monotonic_ns() if now_ns is None else now_ns
        if now_ns >= self._due_ns:
            self._write(now_ns)

    def enter(self, phase: str) -> None:
        """Change the phase, one of ``PHASES``, and write a line at once."""
        self.phase = phase
        self._write(time.monotonic_ns())

    def snapshot(self, now_ns: int | None = None) -> Report:
        """Return the totals as a value of its own."""
        return Report(
            time.monotonic_ns() if now_ns is None else now_ns,
            self.operations,
            self.errors,
            self.verified_bytes,
            self.checksum_errors,
            self.latency.copy(),
            self.phase,
        )

    def _write(self, now_ns: int) -> None:
        self._due_ns = now_ns + INTERVAL_NS
        if self._fd >= 0:
            os.write(self._fd, (self.snapshot(now_ns).to_json() + "\n").encode())

    def close(self) -> None:
        """Write the last line, phase ``done``, and close the file; again is fine."""
        if self.phase != "done":
            self.enter("done")
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
