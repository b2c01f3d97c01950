"""Means and how sure they are."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.observe.intervals import Interval, interval, jain, t_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    # Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
    [(1, 12.706), (2, 4.303), (9, 2.262), (30, 2.042), (31, 2.040), (40, 2.021), (60, 2.000), (100, 1.984)],
)
def test_students_t(freedom: int, quantile: float) -> None:
    assert t_quantile(freedom) == pytest.approx(quantile, abs=0.0006)


def test_the_interval_of_known_values() -> None:
    # Mean 6, standard deviation 2, standard error 2/sqrt(5).
    found = interval([4, 4, 6, 8, 8])
    assert found is not None
    assert found.value == 6
    assert found.half == pytest.approx(2.776 * 2 / 5**0.5)


def test_one_repetition_has_no_interval_and_none_no_value() -> None:
    assert interval([7.0]) == Interval(7.0, None)
    assert interval([]) is None
    assert interval([1.0, nan]) is None
    assert interval([1.0, inf]) is None


def test_a_better_estimate_than_the_mean_keeps_the_interval() -> None:
    found = interval([1.0, 3.0], 2.5)
    assert found is not None
    assert found.value == 2.5
    assert found.half == pytest.approx(12.706)


def test_texts() -> None:
    assert Interval(5.0, 0.5).text(lambda value: f"{value:g} s") == "5 s ± 0.5 s"
    assert Interval(5.0).text(lambda value: f"{value:g} s") == "5 s"
    assert Interval(5.0).to_json() == {"value": 5.0, "half": None}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_jains_index_is_between_one_over_n_and_one(shares: list[float]) -> None:
    found = jain(shares)
    if sum(share * share for share in shares) == 0:
        assert found is None
    else:
        assert found is not None
        assert 1 / len(shares) - 1e-9 <= found <= 1 + 1e-9


def test_jains_index_of_known_shares() -> None:
    assert jain([1, 1, 1]) == 1
    assert jain([1, 0, 0]) == pytest.approx(1 / 3)
    assert jain([1, 0.5]) == pytest.approx(0.9)
    assert jain([]) is None
