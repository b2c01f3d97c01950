"""What was seen: immutable samples of groups and programs, and a recording of them.

What must not live here: reading (``sampler.py``), arithmetic over time (``figures.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from epcgroup.client.report import Report
from epcgroup.units import LIMIT_MAX


@dataclass(frozen=True, slots=True)
class Target:
    """A pod to watch.

    Attributes:
        pod: its name.
        claim_bytes: effective claim.
        path: its group.
        containers: path of each container's group → the file its program reports to.
    """

    pod: str
    claim_bytes: int
    path: str
    containers: Mapping[str, Path]

    @property
    def paths(self) -> tuple[str, ...]:
        """Its group and those of its containers."""
        return (self.path, *self.containers)


@dataclass(frozen=True, slots=True)
class GroupSample:
    """The files of one group at one moment; counters count since the group was made.

    Attributes:
        limit_bytes: ``LIMIT_MAX`` without a limit (or where the tree knows none).
        current_bytes: EPC charged, with its descendants.
        peak_bytes: highest ``current_bytes`` so far.
        faults: page faults, own and of descendants.
        granted: pages newly charged or brought back (EAUG and ELDU), own and of descendants.
        evictions: pages written out, own and of descendants.
        reclaimed_by: path of a group → pages of *this* group written out on its behalf; ``/`` is the machine.
        loaded: pages brought back, own and of descendants.
        evicted_bytes: written out and not back now.
        stall_ns: time in which some, and in which all of its programs waited for EPC; None: not known.
        oom_kills: enclaves killed for want of EPC, own and of descendants.
    """

    limit_bytes: int = LIMIT_MAX
    current_bytes: int = 0
    peak_bytes: int = 0
    faults: int = 0
    granted: int = 0
    evictions: int = 0
    reclaimed_by: Mapping[str, int] = field(default_factory=dict)
    loaded: int = 0
    evicted_bytes: int = 0
    stall_ns: tuple[int, int] | None = None
    oom_kills: int = 0


@dataclass(frozen=True, slots=True)
class Kill:
    """One enclave that was killed because nothing below a limit was reclaimable (``epc.kills``).

    Attributes:
        group: path of the group it lived in.
        level: path of the group that had no room.
        pages: EPC pages it held.
        over_pages: pages by which its group was above a limit of its own.
        by: path of the group that asked for a page; empty: not known.
        t_ns: when, on the clock of the recording; None: not known.
    """

    group: str
    level: str
    pages: int
    over_pages: int
    by: str = ""
    t_ns: int | None = None

    def __str__(self) -> str:
        over = f", {self.over_pages} above a limit of its own," if self.over_pages else ""
        by = f" for a page of {self.by}" if self.by else ""
        return (
            f"an enclave of {self.pages} EPC pages{over} was killed{by}: nothing below {self.level} was"
            " reclaimable (epc.oom)"
        )

    def to_json(self, start_ns: int) -> dict[str, object]:
        """Return the kill for JSON; ``start_ns``: when the recording began."""
        return {
            "t_s": None if self.t_ns is None else round((self.t_ns - start_ns) / 1e9, 6),
            "group": self.group,
            "by": self.by or None,
            "level": self.level,
            "pages": self.pages,
            "over_pages": self.over_pages,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """All groups at one moment.

    Attributes:
        t_ns: CLOCK_MONOTONIC.
        groups: path → the group; a group that is not there is missing.
        phases: name of each pod → its phase.
    """

    t_ns: int
    groups: Mapping[str, GroupSample]
    phases: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Recording:
    """Everything seen in one run.

    Attributes:
        targets: the pods watched.
        start_ns: when the run began, CLOCK_MONOTONIC.
        samples: in the order of time.
        reports: path of a container's group → the lines its program reported so far.
        kills: the last enclaves killed in groups of the pods, oldest first.
        pod_of: path of every group watched → name of its pod.
    """

    targets: tuple[Target, ...]
    start_ns: int
    samples: list[Sample] = field(default_factory=list)
    reports: dict[str, list[Report]] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    pod_of: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.pod_of = {path: target.pod for target in self.targets for path in target.paths}

    def forget_before(self, t_ns: int) -> None:
        """Drop what is older, but for the last of each before it, so that a long run needs little memory."""
        keep = max((i for i, sample in enumerate(self.samples) if sample.t_ns <= t_ns), default=0)
        del self.samples[:keep]
        for lines in self.reports.values():
            keep = max((i for i, line in enumerate(lines) if line.t_ns <= t_ns), default=0)
            del lines[:keep]
