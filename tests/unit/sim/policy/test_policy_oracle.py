"""libCacheSim as oracle: where a policy is defined the same way, every trace misses as often."""

import numpy as np
import pytest

from benchmarks import policies as bench
from benchmarks.engine_peer import load_peer
from epcgroup.sim.policy.replay import replay
from tests.unit.sim.policy.references import fewest_misses

_LENGTH = 60_000


@pytest.mark.parametrize("kind", ["zipf", "zipf and scans", "loop"])
@pytest.mark.parametrize("capacity", [50, 1000])
def test_misses_are_those_of_libcachesim(kind: str, capacity: int) -> None:
    peer = load_peer()
    if peer is None:
        pytest.skip("needs libcachesim: pip install '.[bench]'")
    trace = bench.traces(_LENGTH)[kind]
    theirs = bench.peer_misses(peer, trace, capacity)
    assert {policy: replay(trace, capacity, policy) for policy in bench.PEERS} == theirs
    assert len(set(theirs.values())) == len(theirs), "a trace on which policies do not differ shows nothing"


def test_second_chance_is_clock_when_pages_leave_one_by_one() -> None:
    trace = bench.traces(_LENGTH)["zipf and scans"]
    assert replay(trace, 500) == replay(trace, 500, "clock")


def test_positions_of_the_next_use() -> None:
    trace = np.array([5, 1, 5, 5, 2, 1], np.uint32)
    assert bench.next_uses(trace).tolist() == [2, 5, 3, 2**62, 2**62, 2**62]
    assert replay(trace, 2, "optimum") == fewest_misses(trace.tolist(), 2) == 3
