"""Virtual time by hand: latencies, faults, stall, processors, one server, queues."""

import numpy as np
import pytest

from epcgroup.abi.histogram import bounds_of, bucket_of
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import Result
from epcgroup.sim.scenario import Component, Program
from epcgroup.units import PAGE_SIZE
from tests.unit.sim.scenarios import figures, node_figures, pod, program, scenario

_FAULT = 1200  # fault + create
_LOAD = 1300  # fault + load


def _latencies(result: Result, index: int = 0) -> dict[int, int]:
    """Answers of one pod by bucket."""
    counts = result.latency[-1, index]
    return {int(bucket): int(counts[bucket]) for bucket in counts.nonzero()[0]}


def _mean_ns(result: Result) -> float:
    answers = _latencies(result)
    middles = {bucket: sum(bounds_of(bucket)) / 2 for bucket in answers}
    return sum(middles[bucket] * count for bucket, count in answers.items()) / sum(answers.values())


def test_a_closed_loop_by_hand() -> None:
    # Ready at 5 us; the first four requests fault (1200 + 10 + 90), then each takes 100 + 300 of compute.
    looping = program(Component("loop", 4), page_ns=90, compute_ns=300, think_ns=600)
    result = simulate(scenario(pod("p", looping), duration_ns=5000 + 4 * 2200 + 10 * 1000))
    assert _latencies(result) == {bucket_of(300 + _FAULT + 100): 4, bucket_of(400): 10}
    found = figures(result)
    assert (found["created"], found["hits"], found["requests"]) == (4, 10, 14)
    assert found["stall_some_ns"] == 0  # new pages are no stall


def test_populating_comes_before_the_first_request() -> None:
    loaded = Program(8, program(Component("loop", 8)).components, populate=True, populate_ns=490)
    result = simulate(scenario(pod("p", loaded), duration_ns=5000 + 8 * (_FAULT + 500) + 1001))
    assert figures(result)["created"] == 8
    assert _latencies(result) == {10: 100}


def test_pages_are_added_first_where_they_cannot_come_on_demand() -> None:
    # v2 and SGX1: 8 pages of 400 ns, then hits only.
    looping = program(Component("loop", 8))
    result = simulate(scenario(pod("p", looping), series="v2", duration_ns=5000 + 8 * 400 + 1001))
    assert _latencies(result) == {10: 100}
    assert (figures(result)["created"], figures(result)["hits"]) == (8, 101)


def test_every_reload_is_a_stall_of_the_only_task() -> None:
    # A loop of 64 pages in a group that may hold fewer: every reference loads, every batch is its own.
    thrashing = pod("p", program(Component("loop", 64)), limit_bytes=40 * PAGE_SIZE)
    found = figures(simulate(scenario(thrashing, series="fair", duration_ns=2_000_000)))
    assert found["loaded"] > 1000
    at_least = found["loaded"] * _LOAD + found["direct_ns"]
    # New pages are a stall too where they had to wait for a batch.
    assert at_least - _LOAD <= found["stall_some_ns"] <= at_least + 64 * _FAULT
    assert found["stall_full_ns"] == found["stall_some_ns"]


def test_a_pod_with_a_task_that_works_is_never_full() -> None:
    busy = program(Component("loop", 1))
    thrashing = program(Component("loop", 64))
    both = pod("p", thrashing, busy, limit_bytes=40 * PAGE_SIZE)
    result = simulate(scenario(both, duration_ns=2_000_000))
    found = figures(result)
    assert found["stall_some_ns"] > 1_000_000
    # Only while the busy one waits for its own page, which the loop of the other drives out now and then.
    assert found["stall_full_ns"] < found["stall_some_ns"] / 2
    assert node_figures(result)["stall_some_ns"] == found["stall_some_ns"]


@pytest.mark.parametrize("nr_cpus", [1, 2, 3])
def test_processors_are_shared(nr_cpus: int) -> None:
    pods = [pod(f"p{number}", program(Component("loop", 1), page_ns=990)) for number in range(3)]
    result = simulate(scenario(*pods, nr_cpus=nr_cpus, duration_ns=30_000_000))
    answered = [figures(result, number)["requests"] for number in range(3)]
    assert sum(answered) == pytest.approx(nr_cpus * 30_000, rel=0.01)
    assert max(answered) - min(answered) <= 20


def test_who_waits_for_a_processor_is_ready_not_stalled() -> None:
    pods = [pod(f"p{number}", program(Component("loop", 1))) for number in range(3)]
    result = simulate(scenario(*pods, nr_cpus=1))
    assert result.node[-1, 3:].tolist() == [0, 0]


def test_one_server_serves_one_fault_after_the_other() -> None:
    pods = [pod(f"p{number}", program(Component("scan", 4000), draws=4)) for number in range(3)]
    alone = simulate(scenario(*pods, nr_pages=20_000))
    serial = simulate(scenario(*pods, nr_pages=20_000, costs="softepc", overrides=_SERIAL))
    created = [sum(figures(result, number)["created"] for number in range(3)) for result in (alone, serial)]
    assert created[0] == pytest.approx(3 * 995_000 / (_FAULT + 10), rel=0.01)
    assert created[1] == pytest.approx(995_000 / _FAULT, rel=0.01)


#: The costs of ``scenarios.COSTS`` in the serial model, whose unit is ns.
_SERIAL = {"hit": 10, "fault": 1000, "wake": 0, "create": 200, "load": 300, "evict": 50, "ecreate": 5000}


def test_a_server_is_free_while_a_program_wakes() -> None:
    scanning = program(Component("scan", 4000))
    pods = [pod(f"p{number}", scanning) for number in range(2)]
    waking = {**_SERIAL, "fault": 500, "wake": 1190, "create": 700}
    result = simulate(scenario(*pods, nr_pages=20_000, costs="softepc", overrides=waking))
    # Each: 1200 of service, 1190 of waking, 10 of work; two of them fill the server.
    created = sum(figures(result, number)["created"] for number in range(2))
    assert created == pytest.approx(995_000 / 1200, rel=0.01)


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_an_open_loop_queues_as_m_d_1(load: float) -> None:
    # Pollaczek-Khinchine: mean time in the system = service * (1 + load / (2 * (1 - load))).
    served = program(Component("loop", 1), arrivals="poisson", rate_per_s=load * 1e6, page_ns=990)
    result = simulate(scenario(pod("p", served), duration_ns=400_000_000))
    expected = 1000 * (1 + load / (2 * (1 - load)))
    assert _mean_ns(result) == pytest.approx(expected, rel=0.04)
    assert figures(result)["requests"] == pytest.approx(load * 400_000, rel=0.02)


def test_a_burst_waits_for_itself() -> None:
    served = program(Component("loop", 1), arrivals="paced", rate_per_s=1e4, burst=4, page_ns=990)
    result = simulate(scenario(pod("p", served), duration_ns=5000 + 100 * 400_000 + 10_000))
    answers = _latencies(result)
    assert [answers[bucket_of(1000 * place)] for place in (2, 3, 4)] == [99, 99, 99]


def test_what_is_asked_of_a_program_in_vain_waits_longer_and_longer() -> None:
    late = program(Component("loop", 1), arrivals="paced", rate_per_s=2e6, page_ns=990)
    result = simulate(scenario(pod("p", late), duration_ns=10_000_000))
    # Twice as many come as can be answered: the last ones have waited half of the run.
    last = max(_latencies(result))
    assert bounds_of(last)[0] == pytest.approx(5_000_000, rel=0.05)


def test_sums_of_the_buckets_are_the_answers() -> None:
    served = program(Component("zipf", 500), arrivals="poisson", rate_per_s=1e5, draws=5)
    result = simulate(scenario(pod("p", served), nr_pages=300, sample_ns=100_000))
    answered = result.pods[:, 0, 10]
    assert np.array_equal(result.latency.sum(axis=2)[:, 0], answered)
    assert (np.diff(answered) >= 0).all()
