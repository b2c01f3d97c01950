"""What the pods of a generated fleet do: distributions and models at the granularity of requests.

The numbers are data (``data/fleet.toml``), each with its source or marked as assumed.

What must not live here: drawing pods (``podtable.py``).
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.sim.scenario import PHASES, POISSON, Component, Program, Requests

_FILE: Final = "data/fleet.toml"


@dataclass(frozen=True, slots=True)
class Touch:
    """One way in which a model refers to pages: a component whose sizes are parts of the enclave."""

    kind: str
    part: float
    weight: float
    exponent: float = 0.99
    set_part: float = 0.0
    phase_minutes: float = 0.0

    def component(self, nr_pages: int) -> Component:
        """Return the component of an enclave of ``nr_pages``."""
        return Component(
            self.kind,
            nr_pages=max(int(self.part * nr_pages), 1),
            weight=self.weight,
            exponent=self.exponent,
            set_pages=max(int(self.set_part * nr_pages), 1) if self.kind == PHASES else 0,
            phase_ns=round(self.phase_minutes * 60e9),
        )


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of pod.

    Attributes:
        name, meaning: for people.
        share: part of the pods.
        stays: whether it is there from the start to the end.
        lifetime_hours, lifetime_sigma: of those that end: median, and sigma of the logarithm.
        rate_per_s: requests a second, the median of the pods.
        compute_ns: of a request.
        draws: of a request.
        touches: what is drawn from.
    """

    name: str
    meaning: str
    share: float
    rate_per_s: float
    compute_ns: int
    draws: int
    touches: tuple[Touch, ...]
    stays: bool = False
    lifetime_hours: float = 1.0
    lifetime_sigma: float = 0.0

    def program(self, nr_pages: int, rate: float) -> Program:
        """Return the program of an enclave of ``nr_pages``; its rate is the model's, times ``rate``."""
        return Program(
            nr_pages,
            tuple(touch.component(nr_pages) for touch in self.touches),
            Requests(POISSON, self.rate_per_s * rate, draws=self.draws, compute_ns=self.compute_ns),
            populate=True,
            provenance=f"fleet model {self.name}",
        )


@dataclass(frozen=True, slots=True)
class Distributions:
    """What the pods of a fleet are drawn from; ``data/fleet.toml`` explains the fields.

    Attributes:
        epc_bytes: of a node, unless told otherwise.
        costs: cost model of such a node.
    """

    epc_bytes: int
    costs: str
    swing: float
    peak_hour: float
    median_share: float
    claim_sigma: float
    most_share: float
    step_pages: int
    within: tuple[float, float]
    beyond: tuple[float, float]
    beyond_share: float
    rate_sigma: float
    models: tuple[Model, ...]

    def choose(self, part: float) -> int:
        """Return the model at a part of 0 to below 1 of all shares."""
        sums = list(accumulate(model.share for model in self.models))
        return next(number for number, upto in enumerate(sums) if part * sums[-1] < upto)

    def load_until(self, t_ns: NDArray[np.float64], day_ns: int) -> NDArray[np.float64]:
        """Return the load from 0 to each time, in nanoseconds of mean load."""
        turn = 2 * math.pi / day_ns
        peak = self.peak_hour / 24 * day_ns
        waves: NDArray[np.float64] = np.sin(turn * (t_ns - peak)) - np.sin(-turn * peak)
        return t_ns + self.swing / turn * waves

    def mean_load(self, start_ns: int, end_ns: int, day_ns: int) -> float:
        """Return the mean load of some time; 1 over a whole day."""
        at = self.load_until(np.array([float(start_ns), float(end_ns)]), day_ns)
        return round(float((at[1] - at[0]) / (end_ns - start_ns)), 9)


@cache
def distributions() -> Distributions:
    """Return the distributions of ``data/fleet.toml``."""
    text = files("epcgroup.plan").joinpath(_FILE).read_text(encoding="utf-8")
    data = tomllib.loads(text)
    use, claims = data["use"], data["claims"]
    return Distributions(
        epc_bytes=data["node"]["epc_bytes"],
        costs=data["node"]["costs"],
        swing=data["day"]["swing"],
        peak_hour=data["day"]["peak_hour"],
        median_share=claims["median_share"],
        claim_sigma=claims["sigma"],
        most_share=claims["most_share"],
        step_pages=claims["step_pages"],
        within=tuple(use["within"]),
        beyond=tuple(use["beyond"]),
        beyond_share=use["beyond_share"],
        rate_sigma=data["requests"]["sigma"],
        models=tuple(_model(name, model) for name, model in data["models"].items()),
    )


def _model(name: str, data: Mapping[str, Any]) -> Model:
    fields = {key: value for key, value in data.items() if key not in ("compute_us", "touches")}
    touches = tuple(Touch(**touch) for touch in data["touches"])
    return Model(name, compute_ns=round(data["compute_us"] * 1000), touches=touches, **fields)
