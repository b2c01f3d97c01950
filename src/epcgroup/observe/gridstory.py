"""A grid of simulations as values: what was combined, and the figures of each combination."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from epcgroup.observe.intervals import Interval
from epcgroup.units import format_size


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: a series, a policy, bytes of EPC, and limits as a factor of the claims."""

    series: str
    policy: str
    epc_bytes: int
    limit: float

    @property
    def limit_text(self) -> str:
        """The limits for people."""
        return "none" if self.limit == inf else f"{self.limit:g} x claim"

    @property
    def title(self) -> str:
        """All of it in a few words."""
        return f"{self.series}, {self.policy}, {format_size(self.epc_bytes)}, limits {self.limit_text}"

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON; no limits are null."""
        return {
            "series": self.series,
            "policy": self.policy,
            "epc_bytes": self.epc_bytes,
            "limit": None if self.limit == inf else self.limit,
        }


@dataclass(frozen=True, slots=True)
class GridRow:
    """One combination and its figures.

    Attributes:
        cell: the combination.
        nr_reps: repetitions behind each figure.
        nr_failed, nr_pending: pods that failed, and pods that never found room, in all repetitions.
        figures: name (``gridtable.FIGURES``) → value and interval; None: nothing to say.
        pods: pod → name of a figure → the same.
        digests: of the simulation of each repetition.
    """

    cell: Cell
    nr_reps: int
    nr_failed: int
    nr_pending: int
    figures: Mapping[str, Interval | None]
    pods: Mapping[str, Mapping[str, Interval | None]]
    digests: tuple[str, ...]

    @property
    def ran_text(self) -> str:
        """How many of the pods ran, for people: ``3``, or ``1 of 3``; over all repetitions."""
        pods = len(self.pods) * self.nr_reps
        ran = pods - self.nr_pending
        return str(len(self.pods)) if ran == pods else f"{ran} of {pods}"

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            **self.cell.to_json(),
            "reps": self.nr_reps,
            "failed": self.nr_failed,
            "pending": self.nr_pending,
            "figures": _json(self.figures),
            "pods": {pod: _json(figures) for pod, figures in self.pods.items()},
            "digests": list(self.digests),
        }


@dataclass(frozen=True, slots=True)
class GridStory:
    """Everything the report of a grid tells.

    Attributes:
        title: name of the manifest.
        manifest: its text.
        rows: of the grid.
        facts: name → value, about how it was made.
        made: when, for people.
    """

    title: str
    manifest: str
    rows: tuple[GridRow, ...]
    facts: Mapping[str, str]
    made: str


def _json(figures: Mapping[str, Interval | None]) -> dict[str, Any]:
    return {name: None if found is None else found.to_json() for name, found in figures.items()}
