"""Look: read the files of the groups and the reports of the programs.

What must not live here: what the numbers mean over time (``figures.py``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from epcgroup.cgroupfs.texts import parse_flat_keyed, parse_misc, parse_value
from epcgroup.cgroupfs.tree import Tree, if_there
from epcgroup.client.report import Report
from epcgroup.errors import FileFormatError
from epcgroup.observe.sample import GroupSample, Recording, Sample, Target
from epcgroup.units import LIMIT_MAX

#: Name of EPC among the misc resources. Source: the series, ``misc_res_name``.
RESOURCE: Final = "sgx_epc"
#: A program is not trusted: longer lines are no report.
_MAX_LINE_BYTES: Final = 1 << 20


class ReportFile:
    """The report of one program, read as it grows.

    Attributes:
        nr_bad_lines: lines that were no report.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.nr_bad_lines = 0

    def read(self) -> list[Report]:
        """Return the whole lines that came since the last call; a missing file has none."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return []
        whole, newline, _ = text.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        reports = [self._line(line) for line in whole.split(b"\n") if line]
        return [report for report in reports if report is not None]

    def _line(self, line: bytes) -> Report | None:
        try:
            if len(line) <= _MAX_LINE_BYTES:
                return Report.from_json(line)
        except FileFormatError:
            pass
        self.nr_bad_lines += 1
        return None


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
    return GroupSample(
        limit_bytes=_limit(tree, path),
        current_bytes=current,
        peak_bytes=current if peak is None else peak,
        faults=stat.get("faults", 0),
        granted=stat.get("created", 0) + stat.get("loaded", 0),
        evictions=stat.get("reclaimed", 0),
        reclaimed_by=blame,
    )


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

    def read_reports(self) -> None:
        """Take in what the programs reported since the last look."""
        for path, file in self._files.items():
            self._recording.reports.setdefault(path, []).extend(file.read())

    @property
    def nr_bad_lines(self) -> int:
        """Lines of the programs' reports that were no reports."""
        return sum(file.nr_bad_lines for file in self._files.values())


def targets_paths(targets: Sequence[Target]) -> dict[str, str]:
    """Return path of every group watched → name of its pod."""
    return {path: target.pod for target in targets for path in (target.path, *target.containers)}
