"""How far the cost of a fault that loads a page spreads: log-normal distributions, by overcommit.

Overcommit is pages that enclaves have, in the EPC or written out, over pages of EPC. SECS and VA pages do not
count. The loop draws a row of whole picoseconds by index; what a row is made of is done here once, with the
exact operations of floating point only, so that it is the same on every machine.
"""

import math
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.sim.costs import Points

#: Values of a row, all of them as probable as each other.
NR_QUANTILES: Final = 4096
#: Rows from one point to the next, in equal factors of overcommit: a power of two, for the roots.
_STEPS: Final = 4
#: Digits of a normal quantile that are the same whatever a library's ``log`` makes of the last bit.
_DIGITS: Final = 9
_HALVINGS: Final = 10
_TERMS: Final = 10


def rows_of(points: Points) -> list[tuple[float, float]]:
    """Return (overcommit, standard deviation) of every row; none if nothing spreads.

    Between two points the deviation is linear in the logarithm of overcommit; beyond the last ones it stays.
    """
    if not any(deviation for _, deviation in points):
        return []
    rows: list[tuple[float, float]] = []
    for (low, first), (high, last) in pairwise(points):
        factor = math.sqrt(math.sqrt(high / low))
        overcommit = float(low)
        for step in range(_STEPS):
            rows.append((overcommit, first + (last - first) * step / _STEPS))
            overcommit *= factor
    return [*rows, (float(points[-1][0]), points[-1][1])]


def first_pages(points: Points, nr_epc_pages: int) -> NDArray[np.int64]:
    """Return how many pages enclaves have where each row begins, int64 (rows,): the row nearest by factor."""
    rows = rows_of(points)
    middles = (math.sqrt(low * high) for (low, _), (high, _) in pairwise(rows))
    first = [0, *(math.ceil(middle * nr_epc_pages) for middle in middles)]
    return np.array(first[: len(rows)], np.int64)


@lru_cache(maxsize=16)
def quantiles(points: Points, mean_ps: int) -> NDArray[np.int64]:
    """Return the rows one behind the other, int64 (rows * NR_QUANTILES,), ps, read-only, each ascending.

    The mean of every row is ``mean_ps`` exactly, whatever its deviation.
    """
    rows = [_row(deviation, mean_ps) for _, deviation in rows_of(points)]
    table = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    table.flags.writeable = False
    return table


def _row(deviation: float, mean_ps: int) -> NDArray[np.int64]:
    values = _exp(deviation * _normal())
    # Sums of integers and of ``fsum`` do not depend on their order.
    scale = mean_ps * NR_QUANTILES / math.fsum(values.tolist())
    row = np.floor(values * scale).astype(np.int64)
    row[-1] += mean_ps * NR_QUANTILES - int(row.sum())
    return row


@lru_cache(maxsize=1)
def _normal() -> NDArray[np.float64]:
    """Return the middle of each of the equally probable parts of the standard normal distribution."""
    normal = NormalDist()
    places = ((2 * part + 1) / (2 * NR_QUANTILES) for part in range(NR_QUANTILES))
    return np.array([round(normal.inv_cdf(place), _DIGITS) for place in places])


def _exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exponential of numbers of moderate size, to eleven digits."""
    small = values / 2.0**_HALVINGS
    powers = np.ones_like(small)
    for term in range(_TERMS, 0, -1):
        powers = powers * small / term + 1.0
    for _ in range(_HALVINGS):
        powers = powers * powers
    return powers
