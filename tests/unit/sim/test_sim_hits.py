"""Requests of a trace that follow each other at once, beside the same through every step of a request."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Program, Requests, Scenario
from epcgroup.sim.trace.format import REQUEST_MARK
from epcgroup.sim.trace.writer import open_writer
from epcgroup.units import PAGE_SIZE


def _trace(path: Path, nr_pages: int, share: float, seed: int) -> str:
    random = np.random.default_rng(seed)
    references = (random.zipf(1.3, 4000) % nr_pages).astype(np.uint32)
    references[random.random(4000) < share] |= np.uint32(REQUEST_MARK)
    references[0] |= np.uint32(REQUEST_MARK)
    with open_writer(path, {"test": "hits"}, nr_pages=nr_pages) as writer:
        writer.append(references)
    return str(path)


@pytest.mark.parametrize("costs", ["sgx2", "softepc"])
@pytest.mark.parametrize(("compute_ns", "nr_cpus", "share"), [(0, 0, 1.0), (900, 0, 0.3), (900, 1, 0.6)])
def test_a_chain_of_requests_is_that_of_bursts(
    costs: str, compute_ns: int, nr_cpus: int, share: float, tmp_path: Path
) -> None:
    """In a closed loop without a pause a burst changes nothing, but takes every step."""

    def pods(burst: int) -> tuple[PodSpec, ...]:
        requests = Requests("closed", compute_ns=compute_ns, burst=burst)
        return tuple(
            PodSpec(
                f"pod{number}",
                (ContainerSpec("main", Program(120, trace=path, requests=requests, repeat=number == 1)),),
                limit_bytes=60 * PAGE_SIZE,
            )
            for number, path in enumerate(paths)
        )

    paths = [_trace(tmp_path / f"{number}.npy", 120, share, number) for number in range(2)]
    scenario = Scenario(150 * PAGE_SIZE, pods(1), 40_000_000, costs=costs, nr_cpus=nr_cpus)
    chained, stepwise = simulate(scenario), simulate(replace(scenario, pods=pods(2)))
    assert chained.pods.tolist() == stepwise.pods.tolist()
    assert chained.node.tolist() == stepwise.node.tolist()
    assert chained.latency.tolist() == stepwise.latency.tolist()
    assert chained.latency.sum() > 100
