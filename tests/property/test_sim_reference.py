"""The compiled loop against a simulator in plain Python: every count and every time, on tiny scenarios."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from epcgroup.abi.histogram import bucket_of
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import NODE_COLUMNS, POD_COLUMNS, Result
from epcgroup.sim.scenario import DENY, KILL, Component, ContainerSpec, PodSpec, Program, Requests, Scenario
from epcgroup.state.series import SERIES
from epcgroup.units import LIMIT_MAX, PAGE_SIZE
from tests.property.sim_reference import Reference

_PAGES = 48


@st.composite
def components(draw: st.DrawFn) -> Component:
    kind = draw(st.sampled_from(["zipf", "uniform", "scan", "loop", "phases"]))
    nr_pages = draw(st.integers(4, _PAGES))
    grows = draw(st.none() | st.integers(4, nr_pages)) if kind != "phases" else None
    return Component(
        kind,
        nr_pages,
        first_page=draw(st.integers(0, _PAGES - nr_pages)),
        weight=draw(st.sampled_from([0.5, 1.0, 3.0])),
        exponent=draw(st.sampled_from([0.5, 0.99, 1.2])),
        span=draw(st.integers(1, 4)),
        items=draw(st.sampled_from([0, 100])),
        chance=draw(st.sampled_from([1.0, 0.4])),
        set_pages=draw(st.integers(4, nr_pages)),
        phase_ns=draw(st.integers(20_000, 300_000)),
        grows_from_pages=grows,
        growth_pages_per_s=draw(st.sampled_from([0.0, 50_000.0])),
    )


@st.composite
def programs(draw: st.DrawFn) -> Program:
    parts = tuple(draw(st.lists(components(), min_size=1, max_size=3)))
    certain = any(part.chance == 1 for part in parts)
    requests = Requests(
        arrivals=draw(st.sampled_from(["closed", "paced", "poisson"])),
        rate_per_s=draw(st.sampled_from([5_000.0, 33_000.0, 250_000.0])),
        think_ns=draw(st.sampled_from([0, 700, 40_000])),
        burst=draw(st.integers(1, 3)),
        draws=draw(st.integers(0 if certain else 1, 80)),
        compute_ns=draw(st.sampled_from([0, 900])),
        page_ns=draw(st.sampled_from([0, 150, 2_000])),
    )
    return Program(
        _PAGES,
        parts,
        requests,
        populate=draw(st.booleans()),
        populate_ns=draw(st.sampled_from([0, 500])),
    )


_LIMITS = st.sampled_from([LIMIT_MAX, LIMIT_MAX, 30 * PAGE_SIZE, 12 * PAGE_SIZE, 4 * PAGE_SIZE])
#: On top of those of the cost model.
_SPREADS = st.sampled_from([{}, {"spread1": 0.1, "spread3": 0.9}])


_SERIES = st.sampled_from(sorted(SERIES))
#: Pods of several enclaves hardly hold what each cannot be without: SECS, VA page, a page.
_TIGHT = st.sampled_from([nr_pages * PAGE_SIZE for nr_pages in (4, 5, 6, 7)])
_LOOSE = st.sampled_from([LIMIT_MAX, LIMIT_MAX, LIMIT_MAX, 2 * PAGE_SIZE, 4 * PAGE_SIZE])


@st.composite
def scenarios(
    draw: st.DrawFn,
    pod_limits: st.SearchStrategy[int] = _LIMITS,
    limits: st.SearchStrategy[int] = _LIMITS,
    most: int = 2,
    series: st.SearchStrategy[str] = _SERIES,
) -> Scenario:
    pods = tuple(
        PodSpec(
            f"pod{number}",
            tuple(
                ContainerSpec(f"c{index}", draw(programs()), draw(limits))
                for index in range(draw(st.integers(1, most)))
            ),
            limit_bytes=draw(pod_limits),
            start_ns=draw(st.sampled_from([0, 0, 150_000])),
            oom=draw(st.sampled_from([DENY, KILL, KILL])),
        )
        for number in range(draw(st.integers(1, 3)))
    )
    return Scenario(
        draw(st.integers(24, 140)) * PAGE_SIZE,
        pods,
        duration_ns=draw(st.integers(200_000, 1_500_000)),
        series=draw(series),
        costs=draw(st.sampled_from(["sgx1", "sgx2", "softepc"])),
        overrides={"ecreate": 1000, "add": 300, **draw(_SPREADS)},
        nr_cpus=draw(st.integers(0, 3)),
        seed=draw(st.integers(0, 2**40)),
        sample_ns=10**10,
        quantum_ns=draw(st.sampled_from([0, 1_000, 10_000])),
    )


def _figures(result: Result) -> dict[str, list[int]]:
    return {name: result.pods[-1, :, column].tolist() for column, name in enumerate(POD_COLUMNS)}


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(scenarios())
def test_counts_and_times_are_those_of_the_plain_simulator(scenario: Scenario) -> None:
    _check(scenario)


@pytest.mark.slow
def test_kills_are_those_of_the_plain_simulator() -> None:
    nr_kills = nr_not_admitted = 0

    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(scenarios(_TIGHT, _LOOSE, 3, st.just("fair")))
    def check(scenario: Scenario) -> None:
        nonlocal nr_kills, nr_not_admitted
        result = _check(scenario)
        nr_kills += len(result.kills)
        nr_not_admitted += sum("was not admitted" in line for line in result.messages)

    check()
    assert nr_kills > 10
    assert nr_not_admitted > 10


def _check(scenario: Scenario) -> Result:
    result = simulate(scenario)
    reference = Reference(scenario)
    reference.run()
    figures = _figures(result)
    for name in ("hits", "created", "loaded", "refused", "requests"):
        assert figures[name] == [counts[name] for counts in reference.counts], name
    assert result.reclaimed_by[-1].tolist() == reference.reclaimed_by
    assert figures["direct_ns"] == [time // 1000 for time in reference.direct]
    stalls = [reference.stall({pod}) for pod in range(len(scenario.pods))]
    assert figures["stall_some_ns"] == [some // 1000 for some, _ in stalls]
    assert figures["stall_full_ns"] == [full // 1000 for _, full in stalls]
    node = dict(zip(NODE_COLUMNS, result.node[-1].tolist(), strict=True))
    some, full = reference.stall(set(range(len(scenario.pods))))
    assert (node["stall_some_ns"], node["stall_full_ns"]) == (some // 1000, full // 1000)
    assert node["background_batches"] == reference.nr_batches
    assert node["background_ns"] == reference.background_time // 1000
    assert node["free_pages"] == reference.epc.nr_free
    for pod, latencies in enumerate(reference.latencies):
        expected = np.bincount([bucket_of(value) for value in latencies], minlength=result.latency.shape[2])
        assert result.latency[-1, pod].tolist() == expected.tolist()
    tasks = [(pod.name, container.name) for pod in scenario.pods for container in pod.containers]
    assert sorted((kill.time_ns, kill.pod, kill.container, kill.by) for kill in result.kills) == sorted(
        (time_ns, *tasks[victim], "/".join(tasks[by])) for time_ns, victim, by in reference.kills
    )
    return result
