"""Histograms and attribution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.pager.attribution import MAX_LOG, Attribution
from epcgroup.pager.statistics import NR_FINE, Histogram, Statistics


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=200), st.floats(0.1, 100))
def test_percentile_is_within_64_ns_or_a_32nd(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    rank = max(0, -int(-(len(values) * percent) // 100) - 1)
    exact = sorted(values)[rank]
    assert exact <= histogram.percentile(percent) <= exact + max(64, exact // 32 + 1)
    assert histogram.total == len(values)


def test_empty_histogram() -> None:
    assert Histogram().summary() == {"count": 0, "p50_ns": 0, "p99_ns": 0}


def test_statistics_are_numbers_and_names() -> None:
    statistics = Statistics()
    statistics.poisoned["seal"] += 1
    report = statistics.to_dict()
    assert report["poisoned"] == {"seal": 1}
    assert report["nr_duplicates"] == 0


def test_histogram_counts_where_it_is_told_to() -> None:
    fine = memoryview(bytearray(8 * NR_FINE)).cast("q")
    histogram = Histogram(fine)
    histogram.add(100)
    fine[2] += 2
    histogram.add(1_000_000)
    assert histogram.total == 4
    assert histogram.percentile(50) == 191


PATHS = {1: "/", 2: "/a", 3: "/b", 4: "/c"}


@pytest.fixture
def attribution() -> Attribution:
    return Attribution(nr_groups=4)


def test_pass_for_a_limit_counts_for_its_group(attribution: Attribution) -> None:
    attribution.note_written({3: 2, 2: 1}, cause=2)
    assert attribution.of_victim(3, PATHS.__getitem__) == {"/a": 2}
    assert attribution.text(2, PATHS.__getitem__) == "/a 1\n"
    assert attribution.text(4, PATHS.__getitem__) == ""


def test_ksgxd_counts_for_the_allocators_in_order(attribution: Attribution) -> None:
    for group in (2, 3, 3):
        attribution.note_charge(group)
    attribution.note_written({4: 2}, cause=0)
    attribution.note_written({4: 2}, cause=0)
    assert attribution.of_victim(4, PATHS.__getitem__) == {"/a": 1, "/b": 2, "ksgxd": 1}


def test_page_freed_by_ones_own_limit_is_no_debt(attribution: Attribution) -> None:
    attribution.note_written({2: 1}, cause=2)
    attribution.note_charge(2)  # takes the page its own limit made free
    attribution.note_charge(3)
    attribution.note_written({4: 1}, cause=0)
    assert attribution.of_victim(4, PATHS.__getitem__) == {"/b": 1}


def test_only_the_last_refill_is_remembered(attribution: Attribution) -> None:
    for _ in range(1000):
        attribution.note_charge(2)
    for _ in range(96):
        attribution.note_charge(3)
    attribution.note_written({4: 96}, cause=0)
    assert attribution.of_victim(4, PATHS.__getitem__) == {"/b": 96}


def test_charge_taken_back_is_no_debt(attribution: Attribution) -> None:
    attribution.note_charge(3)
    attribution.note_charge(2)
    attribution.take_back_charge()
    attribution.note_written({4: 2}, cause=0)
    assert attribution.of_victim(4, PATHS.__getitem__) == {"/b": 1, "ksgxd": 1}


def test_charges_may_be_noted_by_others_in_the_log() -> None:
    log = memoryview(bytearray(8 * (1 + MAX_LOG))).cast("q")
    attribution = Attribution(4, log)
    for group in (2,) * MAX_LOG + (3,) * 3:  # longer than the ring
        log[1 + log[0] % MAX_LOG] = group
        log[0] += 1
    attribution.note_written({4: 96}, cause=0)
    attribution.note_written({4: 1}, cause=0)
    assert attribution.of_victim(4, PATHS.__getitem__) == {"/a": 93, "/b": 3, "ksgxd": 1}


def test_removed_group_keeps_its_name_as_a_cause(attribution: Attribution) -> None:
    attribution.note_written({3: 1}, cause=2)
    attribution.note_written({2: 1}, cause=3)
    attribution.forget_group(2, "/a")
    attribution.note_written({3: 1}, cause=2)  # the number is another group now
    assert attribution.of_victim(3, {**PATHS, 2: "/new"}.__getitem__) == {"/a": 1, "/new": 1}
    assert attribution.of_victim(2, PATHS.__getitem__) == {}
