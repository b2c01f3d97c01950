"""The space of a sweep: every combination of listed values, or values drawn at random.

Drawn values depend on the seed, the key and the number of the point only: one more key or point leaves the
others as they are.

What must not live here: texts of a SPEC (``node/sweepfile.py``), what a value does (``points.py``).
"""

import math
import random
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

from epcgroup.errors import UsageError
from epcgroup.plan.points import SIZE, Point, Value, key_of
from epcgroup.units import PAGE_SIZE

#: More points than this are a mistake in the SPEC, not a sweep.
MOST_POINTS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values, each as likely."""

    values: tuple[Value, ...]

    def at(self, part: float) -> Value:
        """Return the value at a part of 0 to 1 of the way."""
        return self.values[int(part * len(self.values))]

    def to_json(self) -> object:
        """Return it for JSON."""
        return list(self.values)


@dataclass(frozen=True, slots=True)
class Between:
    """A number between two bounds.

    Attributes:
        low, high: the bounds.
        logarithmic: whether each doubling is as likely as the next, not each unit.
        step: the value is rounded down to a multiple of it; 0: not at all.
    """

    low: float
    high: float
    logarithmic: bool = False
    step: int = 0

    def at(self, part: float) -> Value:
        """Return the value at a part of 0 to 1 of the way."""
        if self.logarithmic:
            value = self.low * math.exp(part * math.log(self.high / self.low))
        else:
            value = self.low + part * (self.high - self.low)
        # Twelve digits: the last bit of a logarithm is not the same on every machine, ids must be.
        return int(value) // self.step * self.step if self.step else float(f"{value:.12g}")

    def to_json(self) -> object:
        """Return it for JSON."""
        return {"log-uniform" if self.logarithmic else "uniform": [self.low, self.high]}


Axis = Choice | Between


@dataclass(frozen=True, slots=True)
class Space:
    """What is swept.

    Attributes:
        how: ``grid``: every combination; ``random``: ``nr`` points.
        axes: (name of a key, its values or their distribution).
        seeds: each point is simulated once with each of these.
        nr: number of random points, before seeds.
        seed: of the drawing.
    """

    how: Literal["grid", "random"]
    axes: tuple[tuple[str, Axis], ...]
    seeds: tuple[int, ...]
    nr: int = 0
    seed: int = 1

    @property
    def nr_points(self) -> int:
        """How many points there are; of a grid without looking for equal ones."""
        size = self.nr if self.how == "random" else math.prod(len(values) for values in self._lists())
        return size * len(self.seeds)

    def _lists(self) -> list[tuple[Value, ...]]:
        return [axis.values for _, axis in self.axes if isinstance(axis, Choice)]

    def points(self) -> tuple[Point, ...]:
        """Return the points, each once, in the order of the SPEC.

        Raises:
            UsageError: there are none, or too many.
        """
        if not 0 < self.nr_points <= MOST_POINTS:
            raise UsageError(f"{self.nr_points} points: a sweep has 1 to {MOST_POINTS}")
        drawn = self._grid() if self.how == "grid" else self._random()
        named = [
            Point((*zip((name for name, _ in self.axes), values, strict=True), ("seed", seed)))
            for values in drawn
            for seed in self.seeds
        ]
        return tuple(dict.fromkeys(named))

    def to_json(self) -> dict[str, object]:
        """Return the space for JSON, without seeds."""
        axes = {name: axis.to_json() for name, axis in self.axes}
        drawn = {"nr": self.nr, "drawing_seed": self.seed} if self.how == "random" else {}
        return {"how": self.how, "axes": axes, **drawn}

    def _grid(self) -> list[tuple[Value, ...]]:
        return list(product(*self._lists()))

    def _random(self) -> list[tuple[Value, ...]]:
        return [tuple(self._draw(name, axis, i) for name, axis in self.axes) for i in range(self.nr)]

    def _draw(self, name: str, axis: Axis, number: int) -> Value:
        # Python promises that a text seeds the same stream in every version from 3.2 on.
        return axis.at(random.Random(f"{self.seed} {name} {number}").random())


def between(name: str, low: float, high: float, *, logarithmic: bool) -> Between:
    """Return the distribution between two bounds for a key.

    Raises:
        UsageError: the bounds are not in order, or a logarithm has none.
    """
    if not low < high:
        raise UsageError(f"the lower bound {low:g} must be below the upper bound {high:g}")
    if logarithmic and low <= 0:
        raise UsageError(f"on a logarithmic scale the lower bound must be above 0, not {low:g}")
    return Between(low, high, logarithmic, PAGE_SIZE if key_of(name)[0].kind == SIZE else 0)
