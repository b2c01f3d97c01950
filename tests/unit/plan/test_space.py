"""Spaces: every combination, or draws that do not depend on their neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.errors import UsageError
from epcgroup.plan.space import MOST_POINTS, Axis, Between, Choice, Space, between
from epcgroup.units import PAGE_SIZE


def test_a_grid_is_every_combination_in_the_order_of_the_spec() -> None:
    space = Space("grid", (("series", Choice(("v17", "fair"))), ("rate", Choice((1.0, 2.0)))), (1, 2))
    points = space.points()
    assert space.nr_points == len(points) == 8
    assert [dict(point.values) for point in points[:3]] == [
        {"series": "v17", "rate": 1.0, "seed": 1},
        {"series": "v17", "rate": 1.0, "seed": 2},
        {"series": "v17", "rate": 2.0, "seed": 1},
    ]
    assert len({point.id for point in points}) == 8


def test_equal_points_are_simulated_once() -> None:
    assert len(Space("grid", (("rate", Choice((1.0, 1.0))),), (1,)).points()) == 1


def random_space(nr: int, *names: str) -> Space:
    axes: dict[str, Axis] = {
        "epc": Between(1 << 20, 1 << 24, logarithmic=True, step=PAGE_SIZE),
        "rate": Between(0.5, 2.0),
        "series": Choice(("mainline", "fair")),
    }
    return Space("random", tuple((name, axes[name]) for name in names), (1,), nr, seed=3)


def test_more_points_or_keys_leave_the_others_as_they_are() -> None:
    few = [dict(point.values) for point in random_space(5, "rate").points()]
    many = [dict(point.values) for point in random_space(9, "epc", "rate", "series").points()]
    assert [point["rate"] for point in few] == [point["rate"] for point in many[:5]]


def test_drawn_values_are_what_they_were_in_every_version() -> None:
    first = dict(random_space(1, "epc", "rate", "series").points()[0].values)
    assert first == {"epc": 4075520, "rate": 1.63302848688, "series": "fair", "seed": 1}


@given(st.floats(0, 1, exclude_max=True), st.floats(1e-3, 1e9), st.floats(1.001, 1e6), st.booleans())
def test_draws_keep_within_their_bounds(part: float, low: float, factor: float, logarithmic: bool) -> None:
    value = Between(low, low * factor, logarithmic).at(part)
    assert low * (1 - 1e-9) <= float(value) <= low * factor * (1 + 1e-9)


def test_sizes_are_whole_pages() -> None:
    axis = between("epc", 10_000, 20_000, logarithmic=False)
    assert {axis.at(part / 10) for part in range(10)} <= {8192, 12288, 16384}
    assert between("rate", 1, 2, logarithmic=False).at(0.5) == 1.5


def test_bounds_and_sizes_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="lower bound 2 must be below the upper bound 1"):
        between("rate", 2, 1, logarithmic=False)
    with pytest.raises(UsageError, match="above 0, not 0"):
        between("rate", 0, 1, logarithmic=True)
    with pytest.raises(UsageError, match=f"1 to {MOST_POINTS}"):
        Space("random", (("rate", Between(1, 2)),), (1, 2), MOST_POINTS).points()
