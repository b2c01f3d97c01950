"""Random numbers and alias tables: published values, exact probabilities, moments of fixed seeds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.sim import draws


def _bits(state: int, count: int) -> list[int]:
    word, out = np.uint64(state), []
    for _ in range(count):
        word = np.uint64(draws.next_state(word))
        out.append(int(draws.mixed(word)) & (2**64 - 1))
    return out


def test_the_stream_is_splitmix64() -> None:
    # Source: the reference implementation (prng.di.unimi.it/splitmix64.c) from state 0.
    assert _bits(0, 3) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 2**64 - 1), st.integers(1, 2**32))
def test_a_bounded_draw_is_below_its_bound(bits: int, size: int) -> None:
    assert draws.below(np.uint64(bits), size) == (bits >> 32) * size >> 32 < size


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 2**64 - 1))
def test_an_exponential_draw_is_the_logarithm(bits: int) -> None:
    expected = -math.log(((bits >> 11) + 1) / 2**53)
    assert draws.exponential(np.uint64(bits)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_exponential_draws_have_mean_and_variance_one() -> None:
    values = np.array([draws.exponential(np.uint64(bits)) for bits in _bits(7, 20_000)])
    assert values.mean() == pytest.approx(1, abs=0.02)
    assert values.var() == pytest.approx(1, abs=0.05)


def _probabilities(nr_places: int, exponent: float, nr_items: int) -> list[float]:
    """Probability of each place, from the table."""
    table = draws.zipf_table(nr_places, exponent, nr_items)
    found = np.zeros(nr_places)
    for limit, below, above in table.tolist():
        found[below] += limit / 2**32 / nr_places
        found[above] += (1 - limit / 2**32) / nr_places
    return found.tolist()


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.99, 1.5])
@pytest.mark.parametrize("nr_places", [1, 2, 7, 1000])
def test_a_table_has_the_probabilities_of_zipf(nr_places: int, exponent: float) -> None:
    weights = np.arange(1, nr_places + 1) ** -exponent
    expected = np.sort(weights / weights.sum())
    assert np.sort(_probabilities(nr_places, exponent, nr_places)) == pytest.approx(expected, abs=1e-9)


def test_items_that_share_a_place_add_up() -> None:
    items = np.zeros(40)
    for rank, place in enumerate(draws.spread(400)):
        items[place * 40 // 400] += (rank + 1) ** -1.0
    assert _probabilities(40, 1.0, 400) == pytest.approx((items / items.sum()).tolist(), abs=1e-9)


def test_ranks_are_spread_without_order() -> None:
    places = draws.spread(10_000)
    assert sorted(places.tolist()) == list(range(10_000))
    assert abs(np.corrcoef(np.arange(10_000), places)[0, 1]) < 0.03


def test_streams_differ_by_seed_and_by_every_name() -> None:
    seeds = {draws.seed_of(*key) for key in [(1, "a", "b"), (2, "a", "b"), (1, "a", "c"), (1, "ab", "")]}
    assert len(seeds) == 4
