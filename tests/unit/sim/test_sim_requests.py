"""When requests arrive: exact for what is regular, moments of a fixed seed for what is not."""

import numpy as np
import pytest

from epcgroup.sim import layout as at
from epcgroup.sim import requests
from epcgroup.sim.layout import Arrays
from epcgroup.sim.scenario import Component
from tests.unit.sim.scenarios import arrays, program

_PART = Component("loop", 4)


def _arrivals(a: Arrays, count: int, ready: int = 0, service: int = 0) -> list[int]:
    """Arrivals of the first requests of task 0, each answered ``service`` ps after it could begin."""
    arrived: list[int] = []
    clock = ready
    for _ in range(count):
        requests.expect(a, 0, clock)
        arrived.append(int(a.tasks[0, at.ARRIVED]))
        clock = max(clock, arrived[-1]) + service
    return arrived


def test_a_closed_loop_thinks_after_every_answer() -> None:
    a = arrays(program(_PART, think_ns=3))
    assert _arrivals(a, 3, ready=100, service=50) == [100, 3150, 6200]


def test_a_closed_loop_thinks_after_a_burst() -> None:
    a = arrays(program(_PART, think_ns=3, burst=2))
    assert _arrivals(a, 5, service=50) == [0, 50, 3100, 3150, 6200]


def test_paced_requests_come_whatever_the_service() -> None:
    a = arrays(program(_PART, arrivals="paced", rate_per_s=1e6))
    assert _arrivals(a, 3, ready=500, service=10**9) == [1_000_500, 2_000_500, 3_000_500]


def test_bursts_keep_the_rate_of_requests() -> None:
    a = arrays(program(_PART, arrivals="paced", rate_per_s=1e6, burst=3))
    assert _arrivals(a, 7) == [3 * 10**6] * 3 + [6 * 10**6] * 3 + [9 * 10**6]


def test_poisson_arrivals_are_memoryless() -> None:
    a = arrays(program(_PART, arrivals="poisson", rate_per_s=1e6))
    gaps = np.diff(_arrivals(a, 20_000)) / 10**6
    assert gaps.mean() == pytest.approx(1, abs=0.02)
    assert gaps.std() == pytest.approx(1, abs=0.03)
    assert (gaps > 1).mean() == pytest.approx(np.exp(-1), abs=0.01)


def test_an_answer_is_counted_in_its_bucket() -> None:
    a = arrays(program(_PART))
    a.tasks[0, at.ARRIVED] = 5_000
    requests.answer_request(a, 0, 25_999)
    assert a.latency[0].nonzero()[0].tolist() == [20]
    assert a.pods[0, at.ANSWERED] == 1
