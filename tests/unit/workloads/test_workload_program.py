import statistics
import time

import pytest

from epcgroup.client import Reporter
from epcgroup.workloads import program
from epcgroup.workloads.program import Arrivals, Run


def run_of(duration_s: float | None = None, corrupt_after: int | None = None) -> Run:
    return Run(memoryview(bytearray(2 * 4096)), Reporter("/dev/null"), duration_s, corrupt_after)


def test_arrivals_are_poisson() -> None:
    arrivals = Arrivals(1000, 7, 0)
    gaps = []
    for _ in range(20_000):
        before = arrivals.moment_ns
        arrivals.advance()
        gaps.append(arrivals.moment_ns - before)
    # Of an exponential distribution, mean and standard deviation are equal.
    assert statistics.mean(gaps) == pytest.approx(1e6, rel=0.03)
    assert statistics.pstdev(gaps) == pytest.approx(1e6, rel=0.05)


def test_arrivals_in_bursts_keep_the_rate() -> None:
    arrivals = Arrivals(1000, 7, 0, burst=20)
    moments = []
    for _ in range(20_000):
        moments.append(arrivals.moment_ns)
        arrivals.advance()
    assert all(len(set(moments[start : start + 20])) == 1 for start in range(0, len(moments), 20))
    assert len(set(moments)) == 1000
    assert moments[-1] / len(moments) == pytest.approx(1e6, rel=0.1)


def test_arrivals_repeat_with_their_seed() -> None:
    def first_ten(seed: int) -> list[int]:
        arrivals = Arrivals(50, seed, 100)
        moments = []
        for _ in range(10):
            moments.append(arrivals.moment_ns)
            arrivals.advance()
        return moments

    assert first_ten(1) == first_ten(1) != first_ten(2)


def test_arrivals_go_on_while_the_program_is_late() -> None:
    run = run_of()
    paced = program.paced(run, 1e6, 1)
    start_ns = next(paced)
    behind_ns = start_ns + 50_000_000
    while time.monotonic_ns() < behind_ns:
        pass
    # Ten requests arrived long ago and are handed out at once, with the moments they arrived at.
    moments = [next(paced) for _ in range(10)]
    assert moments == sorted(moments)
    assert moments[-1] < start_ns + 1_000_000


def test_a_closed_loop_counts_from_now() -> None:
    paced = program.paced(run_of(), 0, 1)
    first = next(paced)
    assert next(paced) >= first


def test_pacing_ends_when_the_run_is_stopped() -> None:
    run = run_of()
    paced = program.paced(run, 0.001, 1)
    next(paced)
    run.stop()
    assert list(paced) == []


def test_a_run_ends_after_its_time_and_tells() -> None:
    run = run_of(duration_s=0)
    told: list[bool] = []
    run.on_stop = lambda: told.append(True)
    assert run.stopped
    assert told == [True]
    assert run_of(duration_s=None).sleep_until(0)


def test_zipf_weights_are_cumulative_and_skewed() -> None:
    assert program.zipf_weights(4, 0) == [1, 2, 3, 4]
    weights = program.zipf_weights(1000, 0.99)
    assert weights == sorted(weights)
    assert weights[9] / weights[-1] > 0.3  # ten of a thousand items get a third of all requests


def test_memory_is_damaged_once_when_it_is_due() -> None:
    run = run_of(corrupt_after=2)
    run.tick()
    assert not any(run.memory)
    run.reporter.operations = 2
    run.tick()
    assert [position for position, byte in enumerate(run.memory) if byte] == [2051, 6147]
    run.tick()
    assert run.memory[2051] == 0xFF


def test_plain_memory_is_zero_and_writable() -> None:
    with program.open_memory(8192, True, None) as memory:
        assert not any(memory)
        memory[8191] = 1
