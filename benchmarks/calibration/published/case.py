"""What is told of a published experiment: their figures, ours, and what our figures rest on."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Final

import numpy as np

from epcgroup.abi.histogram import Histogram
from epcgroup.sim.result import POD_COLUMNS, Result
from epcgroup.sim.scenario import CLOSED, LOOP, UNIFORM, Component, ContainerSpec, PodSpec, Program, Requests
from epcgroup.units import LIMIT_MAX, PAGE_SIZE

#: Verdicts of a case.
MET, PARTLY, MISSED = "met", "partly", "missed"
VERDICTS: Final = {
    MET: "reproduced",
    PARTLY: "partly reproduced",
    MISSED: "missed",
}
_COLUMN: Final = {name: number for number, name in enumerate(POD_COLUMNS)}


@dataclass(frozen=True, slots=True)
class Case:
    """One published experiment.

    Attributes:
        name: of its words in ``texts.toml``.
        header, rows: the table: published, ours, difference.
        verdict: one of ``VERDICTS``.
        facts: figures for the words.
        plot: x, and curves by name, for the plot; empty: none.
    """

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    verdict: str
    facts: Mapping[str, str] = field(default_factory=dict)
    plot: Mapping[str, Any] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Return its ``title``, ``source``, ``published``, ``setup`` or ``why``."""
        return _filled(_texts()[self.name][key], self.facts)

    @property
    def assumptions(self) -> list[str]:
        """Inputs of ours that nobody has measured."""
        return list(_texts()[self.name]["assumptions"])


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "texts.toml").read_text())


def _filled(text: str, facts: Mapping[str, str]) -> str:
    return Template(text.replace("\n", " ")).substitute(facts)


def uniform(nr_pages: int, compute_ns: float, *, populate: bool = True) -> Program:
    """Return a program that refers to one page at random again and again, computing in between."""
    return Program(
        nr_pages, (Component(UNIFORM, nr_pages),), Requests(CLOSED, compute_ns=round(compute_ns)), populate
    )


def sweep(nr_pages: int, compute_ns: float = 0, *, populate: bool = False) -> Program:
    """Return a program that refers to its pages in order, round and round."""
    return Program(
        nr_pages, (Component(LOOP, nr_pages),), Requests(CLOSED, compute_ns=round(compute_ns)), populate
    )


def pod(
    name: str,
    program: Program,
    limit_pages: int | None = None,
    *,
    start_s: float = 0,
    end_s: float | None = None,
) -> PodSpec:
    """Return a pod of one program; it claims nothing, so the scheduler never holds it back."""
    limit = LIMIT_MAX if limit_pages is None else limit_pages * PAGE_SIZE
    return PodSpec(
        name,
        (ContainerSpec("program", program, limit),),
        limit_bytes=limit,
        start_ns=round(start_s * 1e9),
        end_ns=None if end_s is None else round(end_s * 1e9),
    )


def counted(result: Result, name: str, column: str, start_s: float = 0.0, end_s: float | None = None) -> int:
    """Return how much a counter of a pod grew between two times of a run."""
    row = [spec.name for spec in result.scenario.pods].index(name)
    times_s = result.times_ns / 1e9
    first = int(np.searchsorted(times_s, start_s))
    last = len(times_s) - 1 if end_s is None else int(np.searchsorted(times_s, end_s))
    values = result.pods[:, row, _COLUMN[column]]
    return int(values[min(last, len(values) - 1)] - values[first])


def rate(result: Result, name: str, column: str, start_s: float = 0.0, end_s: float | None = None) -> float:
    """Return a counter's growth a second between the samples nearest after two times."""
    times_s = result.times_ns / 1e9
    first = int(np.searchsorted(times_s, start_s))
    last = len(times_s) - 1 if end_s is None else min(int(np.searchsorted(times_s, end_s)), len(times_s) - 1)
    return counted(result, name, column, start_s, end_s) / float(times_s[last] - times_s[first])


def percentile_ns(result: Result, name: str, percent: float, start_s: float) -> float:
    """Return a percentile of the time of a pod's requests answered after a time."""
    row = [spec.name for spec in result.scenario.pods].index(name)
    first = int(np.searchsorted(result.times_ns / 1e9, start_s))
    counts = result.latency[-1, row] - result.latency[first, row]
    found = Histogram.from_dict({int(bucket): int(counts[bucket]) for bucket in counts.nonzero()[0]})
    return float(found.percentile(percent) or 0)


def mean_ns(result: Result, name: str, start_s: float) -> float:
    """Return the mean time of a request of a closed loop without pauses."""
    return 1e9 / rate(result, name, "requests", start_s)
