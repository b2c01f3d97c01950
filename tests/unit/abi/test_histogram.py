import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.abi.histogram import Histogram, bounds_of, bucket_of, merged

values = st.integers(0, 2**63 - 1)


def of(numbers: list[int]) -> Histogram:
    histogram = Histogram()
    for number in numbers:
        histogram.add(number)
    return histogram


@given(values)
def test_a_bucket_holds_its_value_and_is_narrow(value: int) -> None:
    low, above = bounds_of(bucket_of(value))
    assert low <= value < above
    assert above - low <= max(1, low / 32)


def test_buckets_follow_each_other_without_gap_or_overlap() -> None:
    for bucket in range(1, 1888):
        assert bounds_of(bucket)[0] == bounds_of(bucket - 1)[1]
        assert bucket_of(bounds_of(bucket)[0]) == bucket


@given(st.lists(values, min_size=1, max_size=50), st.floats(0, 100))
def test_a_percentile_is_within_two_percent_of_the_nearest_rank(numbers: list[int], percent: float) -> None:
    rank = max(1, -int(-len(numbers) * percent // 100))
    exact = sorted(numbers)[rank - 1]
    found = of(numbers).percentile(percent)
    assert found is not None
    assert abs(found - exact) <= exact * 0.016 + 1


def test_an_empty_histogram_has_no_percentile() -> None:
    assert Histogram().percentile(99) is None
    assert not Histogram()


def test_the_extremes_of_a_percentile() -> None:
    histogram = of([1, 2, 3, 60])
    assert histogram.percentile(0) == 1
    assert histogram.percentile(50) == 2
    assert histogram.percentile(100) == 60


@given(st.lists(values), st.lists(values))
def test_merging_and_subtracting_are_exact(first: list[int], second: list[int]) -> None:
    both = merged([of(first), of(second)])
    assert both == of(first + second)
    assert len(both) == len(first) + len(second)
    assert both.subtract(of(first)) == of(second)


def test_a_later_state_cannot_be_subtracted() -> None:
    with pytest.raises(ValueError, match="fewer"):
        of([5]).subtract(of([5, 5]))


@given(st.lists(values))
def test_json_and_back(numbers: list[int]) -> None:
    histogram = of(numbers)
    again = Histogram.from_dict(json.loads(json.dumps(histogram.to_dict())))
    assert again == histogram
    assert len(again) == len(numbers)


@pytest.mark.parametrize("counts", [{"x": 1}, {"-1": 1}, {"3": -2}])
def test_what_is_no_histogram_is_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Histogram.from_dict(counts)


def test_a_copy_is_independent() -> None:
    histogram = of([7])
    copy = histogram.copy()
    copy.add(7)
    assert (len(histogram), len(copy)) == (1, 2)


def test_negative_and_huge_values_are_kept_in_range() -> None:
    assert bucket_of(-5) == 0
    assert bucket_of(2**80) == bucket_of(2**63 - 1)
