"""The verdict over three runs of the same pods: roomy, not enforced, enforced.

A pod's role is measured, not declared: what it charged when there was room for all is its demand. Demand
inside the claim makes a *victim* (it did nothing wrong), demand over the claim a *greedy* pod.

What must not live here: how figures come about (``figures.py``), how a verdict is shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from epcgroup.observe.fields import format_count, format_ns
from epcgroup.observe.figures import PodFigures
from epcgroup.units import format_size

#: A victim is protected if it keeps this share of its roomy operations a second ...
PROTECTED_OPERATIONS: Final = 0.9
#: ... and its 99th percentile stays within this factor of the roomy one.
PROTECTED_P99: Final = 1.5
#: A victim is hurt if it keeps no more than this share of its roomy operations a second ...
HURT_OPERATIONS: Final = 0.5
#: ... or its 99th percentile grows at least by this factor.
HURT_P99: Final = 5.0
#: Pages a group may be over its limit for a moment: one batch in flight. Source: the series, NR_TO_SCAN max.
BATCH_PAGES: Final = 32

ISOLATED: Final = "isolated"
NO_INTERFERENCE: Final = "no-interference"
NOT_ISOLATED: Final = "not-isolated"
NOTHING_TO_JUDGE: Final = "nothing-to-judge"
FAILED: Final = "failed"

#: What each verdict means, in one sentence.
MEANING: Final = {
    ISOLATED: "Pods inside their claim keep their speed with limits enforced, and lose it without.",
    NO_INTERFERENCE: "Pods inside their claim keep their speed with limits, and lose little of it without.",
    NOT_ISOLATED: "Limits did not give every pod inside its claim the speed it has alone, or were not kept.",
    NOTHING_TO_JUDGE: "No pod inside its claim reported operations, so there is nothing to protect.",
    FAILED: "A pod failed or its data was wrong, so the figures say nothing.",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: its value, its bound, and whether it holds."""

    name: str
    value: float
    bound: str
    ok: bool

    def to_json(self) -> dict[str, Any]:
        """Return the check for JSON."""
        return {"name": self.name, "value": round(self.value, 4), "bound": self.bound, "ok": self.ok}


@dataclass(frozen=True, slots=True)
class PodVerdict:
    """What one pod is and what became of it.

    Attributes:
        pod: its name.
        role: ``victim``, ``greedy`` or ``silent`` (reports no operations).
        states: words such as ``protected``, ``hurt without limits``.
        sentence: the same with figures, for people.
    """

    pod: str
    role: str
    states: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict as a whole."""

    verdict: str
    checks: tuple[Check, ...]
    pods: tuple[PodVerdict, ...]

    @property
    def meaning(self) -> str:
        """The verdict in one sentence."""
        return MEANING[self.verdict]


@dataclass(frozen=True, slots=True)
class Runs:
    """Three runs.

    Attributes:
        roomy, unenforced, enforced: name of each pod → its figures.
        nr_failed: how many pods failed in any of them.
        has_data: whether there was data to verify: a simulation moves none.
    """

    roomy: Mapping[str, PodFigures]
    unenforced: Mapping[str, PodFigures]
    enforced: Mapping[str, PodFigures]
    nr_failed: int = 0
    has_data: bool = True

    @property
    def all(self) -> Iterator[PodFigures]:
        """Every pod's figures of every run."""
        for run in (self.roomy, self.unenforced, self.enforced):
            yield from run.values()


def role(roomy: PodFigures) -> str:
    """Return the role of a pod from its figures in the roomy run."""
    if roomy.peak_bytes > roomy.claim_bytes:
        return "greedy"
    return "victim" if roomy.operations_per_s else "silent"


def judge(runs: Runs) -> Verdict:
    """Return the verdict over three runs."""
    base = list(_base_checks(runs))
    hurt: list[Check] = []
    kept: list[Check] = []
    pods = []
    for name, roomy in runs.roomy.items():
        unenforced, enforced = runs.unenforced[name], runs.enforced[name]
        kind = role(roomy)
        if kind == "victim":
            victim_kept, victim_hurt = _victim_checks(roomy, unenforced, enforced)
            kept += victim_kept
            hurt.append(victim_hurt)
            pods.append(_victim(roomy, unenforced, enforced, victim_kept, victim_hurt))
        elif kind == "greedy":
            bound = _limit_check(enforced)
            kept.append(bound)
            pods.append(_greedy(roomy, enforced, bound))
        else:
            pods.append(PodVerdict(name, kind, ("not judged",), f"{name} reports no operations: not judged."))
    return Verdict(_overall(base, kept, hurt), (*base, *kept, *hurt), tuple(pods))


def _overall(base: list[Check], kept: list[Check], hurt: list[Check]) -> str:
    if not all(check.ok for check in base):
        return FAILED
    if not hurt:
        return NOTHING_TO_JUDGE
    if not all(check.ok for check in kept):
        return NOT_ISOLATED
    return ISOLATED if any(check.ok for check in hurt) else NO_INTERFERENCE


def _base_checks(runs: Runs) -> Iterator[Check]:
    yield Check("pods failed", runs.nr_failed, "= 0", runs.nr_failed == 0)
    if runs.has_data:
        yield from _data_checks(runs)
    paged = sum(figures.evictions_per_s for figures in runs.roomy.values())
    yield Check("roomy: evictions/s", paged, "= 0", paged == 0)


def _data_checks(runs: Runs) -> Iterator[Check]:
    wrong = sum(figures.checksum_errors for figures in runs.all)
    yield Check("checksum errors", wrong, "= 0", wrong == 0)
    unverified = sum(1 for figures in runs.all if figures.operations and not figures.verified_bytes)
    yield Check("programs that verified nothing", unverified, "= 0", unverified == 0)


def ratio(value: float | None, base: float | None) -> float:
    """Return ``value / base``: infinite without a base, and 0 of nothing."""
    if not base:
        return 1.0 if not value else float("inf")
    return (value or 0.0) / base


def _p99_ratio(figures: PodFigures, roomy: PodFigures) -> float:
    """A pod that finished no operation at all has an endless latency, not none."""
    return ratio(figures.p99_ns, roomy.p99_ns) if figures.p99_ns is not None else float("inf")


def _victim_checks(
    roomy: PodFigures, unenforced: PodFigures, enforced: PodFigures
) -> tuple[list[Check], Check]:
    pod = roomy.pod
    operations = ratio(enforced.operations_per_s, roomy.operations_per_s)
    p99 = _p99_ratio(enforced, roomy)
    kept = [
        Check(f"{pod}: operations/s enforced / roomy", operations, f">= {PROTECTED_OPERATIONS}",
              operations >= PROTECTED_OPERATIONS),
        Check(f"{pod}: p99 enforced / roomy", p99, f"<= {PROTECTED_P99}", p99 <= PROTECTED_P99),
    ]  # fmt: skip
    operations = ratio(unenforced.operations_per_s, roomy.operations_per_s)
    p99 = _p99_ratio(unenforced, roomy)
    if operations <= HURT_OPERATIONS:
        return kept, Check(
            f"{pod}: operations/s not enforced / roomy", operations, f"<= {HURT_OPERATIONS}", True
        )
    return kept, Check(f"{pod}: p99 not enforced / roomy", p99, f">= {HURT_P99}", p99 >= HURT_P99)


def _limit_check(enforced: PodFigures) -> Check:
    over = enforced.over_limit_pages
    return Check(f"{enforced.pod}: pages over its limit", over, f"<= {BATCH_PAGES}", over <= BATCH_PAGES)


def _victim(
    roomy: PodFigures, unenforced: PodFigures, enforced: PodFigures, kept: list[Check], hurt: Check
) -> PodVerdict:
    protected = all(check.ok for check in kept)
    states = ("protected" if protected else "not protected", "hurt without limits" if hurt.ok else "not hurt")
    sentence = (
        f"{roomy.pod} stays inside its claim of {format_size(roomy.claim_bytes)}. "
        f"With room for all: {_speed(roomy)}. "
        f"Not enforced: {_speed(unenforced)}. Enforced: {_speed(enforced)}."
    )
    return PodVerdict(roomy.pod, "victim", states, sentence)


def _speed(figures: PodFigures) -> str:
    p99 = "no operation finished" if figures.p99_ns is None else f"p99 {format_ns(figures.p99_ns)}"
    return f"{format_count(figures.operations_per_s or 0.0)} operations/s, {p99}"


def _greedy(roomy: PodFigures, enforced: PodFigures, bound: Check) -> PodVerdict:
    times = roomy.peak_bytes / roomy.claim_bytes if roomy.claim_bytes else float("inf")
    states = ("held to its limit" if bound.ok else "over its limit",)
    sentence = (
        f"{roomy.pod} uses {format_size(roomy.peak_bytes)} when there is room, {times:.1f} times its claim "
        f"of {format_size(roomy.claim_bytes)}. "
        f"Enforced, it never held more than {format_size(enforced.peak_bytes)}."
    )
    return PodVerdict(roomy.pod, "greedy", states, sentence)
