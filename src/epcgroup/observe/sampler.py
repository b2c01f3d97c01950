"""Look: read the files of the groups and the reports of the programs.

What must not live here: what the numbers mean over time (``figures.py``).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Final

from epcgroup.cgroupfs.texts import parse_flat_keyed, parse_misc, parse_nested_keyed, parse_value
from epcgroup.cgroupfs.tree import Tree, if_there
from epcgroup.client.report import Report
from epcgroup.errors import FileFormatError
from epcgroup.observe.sample import GroupSample, Kill, Recording, Sample
from epcgroup.units import LIMIT_MAX

#: Name of EPC among the misc resources. Source: the series, ``misc_res_name``.
RESOURCE: Final = "sgx_epc"
#: A program is not trusted: longer lines are no report.
_MAX_LINE_BYTES: Final = 1 << 20
#: Read at one look; the rest waits for the next.
_MAX_READ_BYTES: Final = 4 << 20


class ReportFile:
    """The report of one program, read as it grows.

    Attributes:
        nr_bad_lines: lines that were no report, or of a second program: totals of one never go down.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._last: Report | None = None
        self._is_file = True
        self.nr_bad_lines = 0

    def read(self) -> list[Report]:
        """Return the whole lines that came since the last call; a missing file has none."""
        text = self._read_on() if self._is_file else b""
        whole, newline, _ = text.rpartition(b"\n")
        if not newline and len(text) == _MAX_READ_BYTES:
            self._offset += len(text)  # the inside of an endless line; its end will be no report either
        self._offset += len(whole) + len(newline)
        reports = [self._line(line) for line in whole.split(b"\n") if line]
        return [report for report in reports if report is not None]

    def _read_on(self) -> bytes:
        """Return what came, a bounded part of it; the program may have put anything in the file's place."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        except OSError:
            return self._give_up()
        try:
            if not S_ISREG(os.fstat(descriptor).st_mode):
                return self._give_up()
            return os.pread(descriptor, _MAX_READ_BYTES, self._offset)
        finally:
            os.close(descriptor)

    def _give_up(self) -> bytes:
        self._is_file = False
        self.nr_bad_lines += 1
        return b""

    def _line(self, line: bytes) -> Report | None:
        try:
            if len(line) <= _MAX_LINE_BYTES:
                report = Report.from_json(line)
                if self._last is None or _goes_on(self._last, report):
                    self._last = report
                    return report
        except FileFormatError:
            pass
        self.nr_bad_lines += 1
        return None


def _goes_on(earlier: Report, report: Report) -> bool:
    """Tell whether a report can be a later one of the same program."""
    if report.t_ns < earlier.t_ns or report.operations < earlier.operations:
        return False
    try:
        report.latency.subtract(earlier.latency)
    except ValueError:
        return False
    return True


def read_group(tree: Tree, path: str) -> GroupSample | None:
    """Return what the files of a group say, or None if there is no such group.

    ``epc.*`` files may be absent (a kernel's own tree): then the counters stay 0 and ``misc.*`` are read.
    """
    stat = if_there(lambda: parse_flat_keyed(tree.read(path, "epc.stat"))) or {}
    current = _value(tree, path, "current")
    if current is None:
        return None
    peak = _value(tree, path, "peak")
    blame = if_there(lambda: parse_flat_keyed(tree.read(path, "epc.reclaimed_by"))) or {}
    events = if_there(lambda: parse_flat_keyed(tree.read(path, "epc.events"))) or {}
    return GroupSample(
        limit_bytes=_limit(tree, path),
        current_bytes=current,
        peak_bytes=current if peak is None else peak,
        faults=stat.get("faults", 0),
        granted=stat.get("created", 0) + stat.get("loaded", 0),
        evictions=stat.get("reclaimed", 0),
        reclaimed_by=blame,
        loaded=stat.get("loaded", 0),
        evicted_bytes=stat.get("evicted", 0),
        oom_kills=events.get("oom_kill", 0),
    )


def read_kills(tree: Tree, path: str) -> list[Kill]:
    """Return the last kills in a group and below it, oldest first; none where the tree does not know them."""
    lines = if_there(lambda: parse_nested_keyed(tree.read(path, "epc.kills"))) or {}
    return [
        Kill(line["group"], line["level"], int(line["pages"]), int(line["over"])) for line in lines.values()
    ]


def _value(tree: Tree, path: str, name: str) -> int | None:
    """``epc.NAME`` where we serve the tree, else the line of ``misc.NAME``."""
    ours = if_there(lambda: parse_value(tree.read(path, f"epc.{name}")))
    if ours is not None:
        return ours
    return (if_there(lambda: parse_misc(tree.read(path, f"misc.{name}"))) or {}).get(RESOURCE)


def _limit(tree: Tree, path: str) -> int:
    return (if_there(lambda: parse_misc(tree.read(path, "misc.max"))) or {}).get(RESOURCE, LIMIT_MAX)


class Sampler:
    """Fills a recording, one look at a time."""

    def __init__(self, tree: Tree, recording: Recording) -> None:
        self._tree = tree
        self._recording = recording
        self._files = {
            path: ReportFile(file) for target in recording.targets for path, file in target.containers.items()
        }
        self._paths = [path for target in recording.targets for path in (target.path, *target.containers)]

    def look(self, t_ns: int, phases: Mapping[str, str]) -> Sample:
        """Read everything once, add it to the recording and return the sample.

        Args:
            t_ns: the moment, CLOCK_MONOTONIC.
            phases: pod → phase, as the runner knows it.
        """
        found = {path: read_group(self._tree, path) for path in self._paths}
        groups = {path: group for path, group in found.items() if group is not None}
        sample = Sample(t_ns, groups, dict(phases))
        self._recording.samples.append(sample)
        self.read_reports()
        return sample

    def read_kills(self) -> None:
        """Take in the kills that the groups of the pods remember."""
        kills = [read_kills(self._tree, target.path) for target in self._recording.targets]
        self._recording.kills[:] = [kill for found in kills for kill in found]

    def read_reports(self) -> None:
        """Take in what the programs reported since the last look."""
        for path, file in self._files.items():
            self._recording.reports.setdefault(path, []).extend(file.read())

    @property
    def nr_bad_lines(self) -> int:
        """Lines of the programs' reports that were no reports."""
        return sum(file.nr_bad_lines for file in self._files.values())
