"""What is noted of a simulation: figures over what comes after the warm-up, from totals and histograms."""

import numpy as np
import pytest
from sweeping import BASE

from epcgroup.abi.histogram import bucket_of
from epcgroup.plan.measure import FIGURES, giving_up, percentiles, rows
from epcgroup.plan.pool import AbandonedError
from epcgroup.sim.result import NODE_COLUMNS, PHASES, POD_COLUMNS, Result

SECOND = 10**9


def result() -> Result:
    """Two pods over ten seconds, sampled at 2, 4, … 10.

    Column c grows by c + 1 a sample, that of the second pod by ten times as much.
    """
    times = np.arange(2, 12, 2, dtype=np.int64) * SECOND
    steps = np.arange(1, 6, dtype=np.int64)
    columns = np.arange(1, len(POD_COLUMNS) + 1, dtype=np.int64)
    pods = steps[:, None, None] * np.array([[1], [10]]) * columns
    pods[:, :, POD_COLUMNS.index("phase")] = 1
    for name in ("stall_some_ns", "stall_full_ns"):
        pods[:, :, POD_COLUMNS.index(name)] = steps[:, None] * SECOND // 2
    latency = np.zeros((5, 2, bucket_of(3000) + 1), np.int64)
    latency[:, :, bucket_of(1000)] = 100
    latency[2:, :, bucket_of(3000)] = 7
    node = steps[:, None] * np.full(len(NODE_COLUMNS), SECOND // 4, np.int64)
    return Result(BASE, times, pods, node, np.zeros((5, 2, 3), np.int64), latency, 99, "d" * 64)


def column(name: str) -> int:
    return POD_COLUMNS.index(name) + 1


@pytest.mark.parametrize(
    ("warm_up", "nr_samples", "seconds"), [(0.0, 5, 10), (0.2, 4, 8), (0.5, 2, 4), (0.9, 1, 2)]
)
def test_counters_and_shares_are_those_after_the_warm_up(
    warm_up: float, nr_samples: int, seconds: int
) -> None:
    first, second = rows(result(), warm_up)
    assert (first["pod"], second["pod"]) == ("kv", "scan")
    assert first["counted_s"] == seconds
    assert first["requests"] == nr_samples * column("requests")
    assert second["requests"] == 10 * nr_samples * column("requests")
    assert first["requests_per_s"] == nr_samples * column("requests") / seconds
    assert first["stall_some"] == first["stall_full"] == nr_samples * 0.5 / seconds
    assert first["node_stall_some"] == nr_samples * 0.25 / seconds


def test_ends_and_peaks_are_those_of_the_whole_run() -> None:
    row = rows(result(), 0.5)[0]
    assert row["resident_pages"] == 5 * column("resident_pages")
    assert row["peak_bytes"] == 5 * column("peak_bytes")
    assert (row["phase"], row["accesses"], row["digest"]) == (PHASES[1], 99, "d" * 64)
    assert set(row) == set(FIGURES)


def test_percentiles_are_those_of_the_requests_that_count() -> None:
    whole, late = rows(result())[0], rows(result(), 0.2)[0]
    assert whole["p50_ns"] == pytest.approx(1000, rel=0.02)
    assert late["p50_ns"] == pytest.approx(3000, rel=0.02)
    assert set(percentiles(np.zeros(9, np.int64)).values()) == {None}


def test_a_wish_to_stop_reaches_the_simulation() -> None:
    wishes = iter([False, True])
    progress = giving_up(lambda: next(wishes))
    progress(1)
    with pytest.raises(AbandonedError):
        progress(2)
