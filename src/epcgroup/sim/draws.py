"""Random numbers: SplitMix64 streams, bounded and exponential draws, alias tables of Zipf distributions.

Only integers and the four exact operations of floating point: results do not depend on a library's ``log``.
Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014); Vose, "A linear
algorithm for generating random numbers with a given distribution" (1991).
"""

import hashlib
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, jit

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)
_LN2: Final = 0.6931471805599453
_TERMS: Final = 12


@inlined
def next_state(state: np.uint64) -> np.uint64:
    """Return the state after ``state``."""
    return state + _GOLDEN


@inlined
def mixed(state: np.uint64) -> np.uint64:
    """Return the 64 random bits that belong to a state."""
    bits = (state ^ (state >> _S30)) * _FIRST
    bits = (bits ^ (bits >> _S27)) * _SECOND
    return bits ^ (bits >> _S31)


@inlined
def below(bits: np.uint64, size: int) -> int:
    """Return a number of 0 .. ``size`` - 1 (at most 2**32) from the high half of random bits."""
    return int(np.int64(((bits >> _S32) * np.uint64(size)) >> _S32))


@inlined
def low_half(bits: np.uint64) -> int:
    """Return the low half of random bits, 0 .. 2**32 - 1."""
    return int(np.int64(bits & _LOW))


@inlined
def exponential(bits: np.uint64) -> float:
    """Return a draw of the exponential distribution of mean 1: minus the logarithm of a uniform one."""
    value = (np.float64(np.int64(bits >> np.uint64(11))) + 1.0) * 2.0**-53
    powers = 0
    while value < 0.5:
        value *= 2.0
        powers += 1
    # ln x = 2 artanh((x - 1) / (x + 1)), here |argument| <= 1/3: twelve terms give eleven digits.
    ratio = (1.0 - value) / (1.0 + value)
    square = ratio * ratio
    total = 0.0
    for term in range(_TERMS - 1, -1, -1):
        total = total * square + 1.0 / (2 * term + 1)
    return powers * _LN2 + 2.0 * ratio * total


@jit
def _pair(
    shares: NDArray[np.float64], order: NDArray[np.int64], table: NDArray[np.uint32], nr_small: int
) -> None:
    """Fill an alias table: every place gets what it lacks to the mean from one that has more.

    Args:
        shares: weight of each place over the mean weight, float64 (n,); used up.
        order: places, those below the mean first, int64 (n,).
        table: uint32 (n, 3): LIMIT and ABOVE of places below the mean are written.
        nr_small: how many of them are below the mean.
    """
    first = 0
    large = nr_small
    size = shares.shape[0]
    while first < large and large < size:
        small, big = order[first], order[large]
        table[small, 0] = min(int(shares[small] * 4294967296.0), 4294967295)
        table[small, 2] = big
        shares[big] -= 1.0 - shares[small]
        first += 1
        if shares[big] < 1.0:
            large += 1


@lru_cache(maxsize=256)
def zipf_table(nr_places: int, exponent: float, nr_items: int) -> NDArray[np.uint32]:
    """Return the alias table of a Zipf distribution, uint32 (places, 3), read-only.

    The ranks of the items are spread over the places by a fixed order, the same in every run; items that
    share a place add up. A draw of slot ``i`` and ``u`` of 0 .. 2**32 - 1 is ``BELOW`` of row ``i`` if
    ``u < LIMIT``, else ``ABOVE``.
    """
    weights = np.arange(1, nr_items + 1, dtype=np.float64) ** -exponent
    places = spread(nr_items).astype(np.int64) * nr_places // nr_items
    shares = np.bincount(places, weights, nr_places) * (nr_places / weights.sum())
    small = shares < 1.0
    order = np.concatenate([np.flatnonzero(small), np.flatnonzero(~small)])
    table = np.empty((nr_places, 3), np.uint32)
    table[:, 0] = 2**32 - 1
    table[:, 1] = table[:, 2] = np.arange(nr_places)
    _pair(shares, order, table, int(np.count_nonzero(small)))
    table.flags.writeable = False
    return table


@lru_cache(maxsize=64)
def spread(nr_places: int) -> NDArray[np.uint32]:
    """Return the place of each of so many ranks: a fixed permutation without order, uint32 (places,)."""
    with np.errstate(over="ignore"):
        states = np.arange(1, nr_places + 1, dtype=np.uint64) * _GOLDEN
        bits = (states ^ (states >> _S30)) * _FIRST
        bits = (bits ^ (bits >> _S27)) * _SECOND
    return np.argsort(bits ^ (bits >> _S31), kind="stable").astype(np.uint32)


def seed_of(seed: int, *names: str) -> int:
    """Return the first state of a stream (a u64) for a seed and the names of what draws from it."""
    text = "\0".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
