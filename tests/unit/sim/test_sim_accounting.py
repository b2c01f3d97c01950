"""Stall by hand; the compiled buckets are those of the histogram."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.abi import histogram
from epcgroup.sim import accounting
from epcgroup.sim import layout as at


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 2**63 - 1))
def test_buckets_are_those_of_the_histogram(value_ns: int) -> None:
    assert accounting.bucket_of(value_ns) == histogram.bucket_of(value_ns)


def test_there_is_a_bucket_for_the_longest_time() -> None:
    assert histogram.bucket_of(2**63 - 1) == accounting.NR_BUCKETS - 1


def test_some_and_full_of_two_tasks() -> None:
    tasks = np.zeros((2, at.TASK_COLUMNS), np.int64)
    pods = np.zeros((2, at.POD_COLUMNS), np.int64)
    changes = [
        (0, at.PRODUCTIVE, 0),
        (1, at.PRODUCTIVE, 0),
        (0, at.STALLED, 100),  # some from here
        (1, at.STALLED, 130),  # full from here
        (0, at.PRODUCTIVE, 150),
        (1, at.IDLE, 160),
        (0, at.STALLED, 170),  # some and full: the other has no work
    ]
    for task, mood, time in changes:
        accounting.become(tasks, pods, task, mood, time)
    accounting.settle(pods, 175)
    assert pods[:, at.STALL_SOME].tolist() == [65, 65]
    assert pods[:, at.STALL_FULL].tolist() == [25, 25]
    accounting.settle(pods, 175)
    assert pods[0, at.STALL_SOME] == 65


def test_the_node_is_full_only_when_no_pod_works() -> None:
    tasks = np.zeros((2, at.TASK_COLUMNS), np.int64)
    tasks[1, at.POD] = 1
    pods = np.zeros((3, at.POD_COLUMNS), np.int64)
    accounting.become(tasks, pods, 0, at.STALLED, 0)
    accounting.become(tasks, pods, 1, at.PRODUCTIVE, 0)
    accounting.settle(pods, 40)
    assert pods[:, at.STALL_SOME].tolist() == [40, 0, 40]
    assert pods[:, at.STALL_FULL].tolist() == [40, 0, 0]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2), st.integers(1, 3), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_stall_in_one_step_is_that_in_two(
    nr_stalled: int, nr_productive: int, changed: int, before: int, length: int
) -> None:
    tasks = np.zeros((1, at.TASK_COLUMNS), np.int64)
    tasks[0, at.MOOD] = at.PRODUCTIVE
    pods = np.zeros((2, at.POD_COLUMNS), np.int64)
    pods[:, [at.CHANGED, at.NR_STALLED, at.NR_PRODUCTIVE]] = changed, nr_stalled, nr_productive
    pods[1, at.NR_PRODUCTIVE] += 1
    expected = pods.copy()
    begin = changed + before
    accounting.become(tasks, expected, 0, at.STALLED, begin)
    accounting.become(tasks, expected, 0, at.PRODUCTIVE, begin + length)
    accounting.stall(tasks, pods, 0, begin, begin + length)
    assert pods.tolist() == expected.tolist()
