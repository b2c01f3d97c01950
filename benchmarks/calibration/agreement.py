"""Live against simulated: medians, differences, and whether the series come in the same order."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Final

from benchmarks.calibration.live import SCENARIOS, Outcome, Setting

#: What is asked for: no figure differs by more.
TOLERANCE: Final = 0.10
#: Pages below which a figure is a matter of chance: 10 % of the least claim, a tenth of a batch a second.
FEW_PAGES: Final = 120.0
QUANTITIES: Final = ("evictions", "loads", "resident_pages")


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity of one pod in one setting.

    Attributes:
        live: median of the live runs.
        simulated: median over the seeds.
        low, high: least and greatest of the simulated runs.
        live_low, live_high: of the live ones.
    """

    setting: Setting
    pod: str
    quantity: str
    live: float
    simulated: float
    low: float
    high: float
    live_low: float
    live_high: float

    @property
    def is_few(self) -> bool:
        """Whether there are hardly any pages on either side."""
        return max(self.live, self.simulated) < FEW_PAGES

    @property
    def difference(self) -> float:
        """Simulated over live, less one; 0 where both are few pages."""
        if self.is_few:
            return 0.0
        return self.simulated / self.live - 1 if self.live else float("inf")

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance."""
        return round(abs(self.difference), 6) <= TOLERANCE

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        setting = self.setting
        return {
            "scenario": setting.scenario,
            "series": setting.series,
            "ager": setting.ager,
            "pod": self.pod,
            "quantity": self.quantity,
            "live": round(self.live, 1),
            "simulated": round(self.simulated, 1),
            "live_range": [round(self.live_low, 1), round(self.live_high, 1)],
            "simulated_range": [round(self.low, 1), round(self.high, 1)],
            "difference": round(self.difference, 4),
            "agrees": self.agrees,
        }


def compared(setting: Setting, live: Sequence[Outcome], simulated: Sequence[Outcome]) -> list[Compared]:
    """Compare all runs of a setting, pod by pod."""
    rows = []
    for pod in live[0].paging:
        for quantity in QUANTITIES:
            seen, made = (_values(runs, pod, quantity) for runs in (live, simulated))
            rows.append(
                Compared(
                    setting,
                    pod,
                    quantity,
                    statistics.median(seen),
                    statistics.median(made),
                    min(made),
                    max(made),
                    min(seen),
                    max(seen),
                )
            )
    return rows


def _values(runs: Sequence[Outcome], pod: str, quantity: str) -> list[float]:
    return [float(getattr(run.paging[pod], quantity)) for run in runs]


@dataclass(frozen=True, slots=True)
class Order:
    """The series of one scenario in the order of one pod's evictions, live and simulated."""

    scenario: str
    pod: str
    live: Mapping[str, float]
    simulated: Mapping[str, float]

    @property
    def agrees(self) -> bool:
        """Whether no pair of series stands the other way round; what differs by less than 10 % is equal."""
        return all(
            _sign(self.live[a], self.live[b]) * _sign(self.simulated[a], self.simulated[b]) >= 0
            for a, b in combinations(self.live, 2)
        )

    def text(self, which: Mapping[str, float]) -> str:
        """Return the order in words, the most evictions first: ``mainline > v17 = fair``."""
        names = sorted(which, key=lambda name: -which[name])
        words = [names[0]]
        for before, name in pairwise(names):
            words += [">" if _sign(which[before], which[name]) else "=", name]
        return " ".join(words)


def _sign(left: float, right: float) -> int:
    if abs(left - right) <= max(TOLERANCE * max(left, right), FEW_PAGES):
        return 0
    return 1 if left > right else -1


def orders(rows: Sequence[Compared], ager: str = "fifo") -> list[Order]:
    """Return the order of the series by the evictions of every pod."""
    found = []
    for scenario in SCENARIOS:
        mine = [
            row
            for row in rows
            if row.setting.scenario == scenario and row.setting.ager == ager and row.quantity == "evictions"
        ]
        for pod in dict.fromkeys(row.pod for row in mine):
            of_pod = [row for row in mine if row.pod == pod]
            found.append(
                Order(
                    scenario,
                    pod,
                    {row.setting.series: row.live for row in of_pod},
                    {row.setting.series: row.simulated for row in of_pod},
                )
            )
    return found
