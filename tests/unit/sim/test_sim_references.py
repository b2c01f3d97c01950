"""Which pages programs refer to: exact small cases of every kind, distributions of fixed seeds."""

import numpy as np
import pytest

from epcgroup.sim import layout as at
from epcgroup.sim import references
from epcgroup.sim.layout import Arrays
from epcgroup.sim.scenario import Component
from tests.unit.sim.scenarios import arrays, program


def _drawn(a: Arrays, count: int, clock: int = 0, task: int = 0) -> list[int]:
    """The pages of ``count`` draws at a time in ps."""
    pages: list[int] = []
    a.tasks[task, at.DRAWS_LEFT] = count
    while a.tasks[task, at.DRAWS_LEFT]:
        references.draw(a, task, clock)
        pages += a.references[a.tasks[task, at.POSITION] : a.tasks[task, at.END]].tolist()
    return pages


def test_a_scan_stays_at_its_end() -> None:
    a = arrays(program(Component("scan", 4, first_page=2)))
    assert _drawn(a, 7) == [2, 3, 4, 5, 5, 5, 5]


def test_a_loop_begins_again() -> None:
    a = arrays(program(Component("loop", 3)))
    assert _drawn(a, 7) == [0, 1, 2, 0, 1, 2, 0]


def test_a_span_is_an_object_of_pages() -> None:
    a = arrays(program(Component("loop", 7, span=3)))
    assert _drawn(a, 3) == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    a = arrays(program(Component("uniform", 400, span=4)))
    pages = np.array(_drawn(a, 500)).reshape(-1, 4)
    assert (pages[:, 0] % 4 == 0).all()
    assert (np.diff(pages, axis=1) == 1).all()


def test_a_window_holds_a_long_span() -> None:
    a = arrays(program(Component("loop", 200, span=200)))
    assert _drawn(a, 2) == [*range(200), *range(200)]


def test_uniform_draws_touch_all_pages_alike() -> None:
    a = arrays(program(Component("uniform", 10)))
    counts = np.bincount(_drawn(a, 20_000), minlength=10)
    # Chi-square with 9 degrees of freedom: 27.9 is passed once in a thousand.
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9


def test_zipf_draws_follow_their_table() -> None:
    a = arrays(program(Component("zipf", 20, exponent=1.0)))
    counts = np.sort(np.bincount(_drawn(a, 50_000), minlength=20))[::-1]
    weights = 1 / np.arange(1, 21)
    expected = 50_000 * weights / weights.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # 19 degrees of freedom


def test_phases_walk_through_the_area() -> None:
    a = arrays(program(Component("phases", 10, set_pages=4, phase_ns=1000)))
    for phase, expected in enumerate([{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 0, 1}]):
        assert set(_drawn(a, 200, clock=phase * 1_000_000)) == expected


def test_what_grows_is_used_as_it_grows() -> None:
    part = Component("uniform", 100, grows_from_pages=10, growth_pages_per_s=1000.0)
    a = arrays(program(part))
    assert max(_drawn(a, 2000)) == 9
    assert max(_drawn(a, 2000, clock=5 * 10**9)) == 14
    assert max(_drawn(a, 20_000, clock=10**13)) == 99


def test_zipf_over_a_part_keeps_the_popularity_of_its_pages() -> None:
    whole = arrays(program(Component("zipf", 100, exponent=0.8)))
    part = arrays(program(Component("zipf", 100, exponent=0.8, grows_from_pages=50)))
    expected = np.bincount(_drawn(whole, 60_000), minlength=100)[:50]
    found = np.bincount(_drawn(part, 60_000), minlength=100)
    assert found[50:].sum() == 0
    assert found[:50] / found.sum() == pytest.approx(expected / expected.sum(), abs=0.01)


def test_components_are_mixed_by_weight() -> None:
    a = arrays(program(Component("uniform", 10, weight=3), Component("uniform", 10, first_page=10)))
    pages = np.array(_drawn(a, 20_000))
    assert (pages < 10).mean() == pytest.approx(0.75, abs=0.01)


def test_a_recipe_draws_from_each_in_order() -> None:
    parts = (Component("loop", 2), Component("scan", 5, first_page=2), Component("loop", 1, first_page=7))
    a = arrays(program(*parts, draws=0))
    assert _drawn(a, 3) == [0, 2, 7]
    assert _drawn(a, 3) == [1, 3, 7]


def test_a_part_of_a_recipe_may_be_left_to_chance() -> None:
    parts = (Component("loop", 1), Component("loop", 1, first_page=1, chance=0.25))
    a = arrays(program(*parts, draws=0))
    pages = [page for _ in range(5000) for page in _drawn(a, 2)]
    assert pages.count(0) == 5000
    assert pages.count(1) == pytest.approx(1250, abs=100)


def test_populate_goes_through_the_pages_in_use_at_first() -> None:
    grown = Component("loop", 50, first_page=80, grows_from_pages=10)
    a = arrays(program(Component("loop", 20), grown, populate=True))
    a.tasks[0, at.POPULATE_END] = 90
    pages: list[int] = []
    while a.tasks[0, at.POPULATE_NEXT] < 90:
        references.populate(a, 0)
        pages += a.references[a.tasks[0, at.POSITION] : a.tasks[0, at.END]].tolist()
    assert pages == list(range(90))
