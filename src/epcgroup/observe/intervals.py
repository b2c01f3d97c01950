"""Means over repetitions and how sure they are: 95 % intervals by Student's t; Jain's index."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt
from typing import Final

#: Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
#: Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2 (column 0.975).
_T: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
#: The same of the normal distribution, which Student's t becomes.
_Z: Final = 1.959964


def t_quantile(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t, to three digits.

    Args:
        freedom: degrees of freedom, at least 1.
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    # First terms of the expansion by Cornish and Fisher. Source: Abramowitz and Stegun, 26.7.5.
    z = _Z
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval.

    Attributes:
        value: the estimate.
        half: half the width of the interval around the mean; None: one repetition says nothing about it.
    """

    value: float
    half: float | None = None

    def text(self, show: Callable[[float], str]) -> str:
        """Return it for people, the half only where it is known: ``1.52 ms ± 0.03 ms``."""
        return show(self.value) if self.half is None else f"{show(self.value)} ± {show(self.half)}"

    def to_json(self) -> dict[str, float | None]:
        """Return it for JSON."""
        return {"value": self.value, "half": self.half}


def interval(values: Sequence[float], value: float | None = None) -> Interval | None:
    """Return mean and interval over repetitions; None without any, or where one of them has no value.

    Args:
        values: one of each repetition.
        value: a better estimate than the mean, such as a percentile of merged histograms.
    """
    if not values or not all(isfinite(one) for one in values):
        return None
    mean = fsum(values) / len(values)
    shown = mean if value is None else value
    if len(values) == 1:
        return Interval(shown)
    variance = fsum((one - mean) ** 2 for one in values) / (len(values) - 1)
    return Interval(shown, t_quantile(len(values) - 1) * sqrt(variance / len(values)))


def jain(shares: Sequence[float]) -> float | None:
    """Return Jain's index of fairness: 1 if all have the same, 1/n if one has all; None of nothing.

    Source: Jain, Chiu, Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984.
    """
    squares = fsum(share * share for share in shares)
    return fsum(shares) ** 2 / (len(shares) * squares) if squares > 0 else None
