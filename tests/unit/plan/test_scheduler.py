"""The scheduler: claims fit or wait, nodes are never over-claimed, and a naive model agrees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.plan.podtable import PodTable
from epcgroup.plan.scheduler import PENDING, SCORINGS, Placement, schedule

END = 1000


def table(*pods: tuple[int, int, int]) -> PodTable:
    """A table of (arrival, lifetime, claim), in the order of arrival."""
    columns = np.array(pods, np.int64).reshape(-1, 3)
    nr = len(pods)
    same = (np.ones(nr, np.int32), np.zeros(nr, np.int16), np.ones(nr))
    return PodTable(columns[:, 0], columns[:, 1], columns[:, 2], *same)


def test_least_allocated_spreads_and_most_allocated_packs() -> None:
    pods = table((0, 99, 10), (1, 99, 20), (2, 99, 30), (3, 99, 5))
    assert schedule(pods, 3, 100, END, "LeastAllocated").node.tolist() == [0, 1, 2, 0]
    assert schedule(pods, 3, 100, END, "MostAllocated").node.tolist() == [0, 0, 0, 0]


def test_a_pod_that_fits_nowhere_waits_and_a_smaller_one_passes_it() -> None:
    found = schedule(table((0, 50, 80), (10, 50, 60), (20, 50, 20)), 1, 100, END)
    assert found.node.tolist() == [0, 0, 0]
    assert found.start_ns.tolist() == [0, 50, 20]
    assert found.end_ns.tolist() == [50, 100, 70]


def test_room_is_free_at_the_moment_a_pod_ends() -> None:
    assert schedule(table((0, 10, 100), (10, 5, 100)), 1, 100, END).start_ns.tolist() == [0, 10]


def test_what_claims_more_than_a_node_has_is_pending_for_ever() -> None:
    found = schedule(table((0, 10, 101), (1, 10, 100)), 2, 100, END)
    assert found.node.tolist() == [PENDING, 0]
    assert (found.start_ns[0], found.end_ns[0]) == (END, END)


def test_pods_end_with_the_time_looked_at() -> None:
    found = schedule(table((0, 5 * END, 1), (END, 1, 1)), 1, 100, END)
    assert found.node.tolist() == [0, PENDING]
    assert found.end_ns.tolist() == [END, END]


def naive(pods: PodTable, nr_nodes: int, epc: int, *, packs: bool) -> list[tuple[int, int]]:
    """Step through every moment; return (node, start) of each pod."""
    where = [(PENDING, END)] * pods.nr_pods
    free, ends, waiting = [epc] * nr_nodes, [END * 9] * pods.nr_pods, list[int]()
    for now in range(END):
        # Pods that end at the same moment leave one after another, by number.
        for gone in [pod for pod, end in enumerate(ends) if end == now]:
            free[where[gone][0]] += int(pods.claim_bytes[gone])
            for pod in list(waiting):
                if pods.claim_bytes[pod] <= free[where[gone][0]]:
                    waiting.remove(pod)
                    where[pod] = (where[gone][0], now)
                    free[where[gone][0]] -= int(pods.claim_bytes[pod])
                    ends[pod] = now + int(pods.lifetime_ns[pod])
        for pod in np.flatnonzero(pods.arrival_ns == now).tolist():
            fitting = [node for node in range(nr_nodes) if free[node] >= pods.claim_bytes[pod]]
            if not fitting:
                waiting.append(pod)
                continue
            node = min(fitting, key=lambda node: free[node] if packs else -free[node])
            where[pod] = (node, now)
            free[node] -= int(pods.claim_bytes[pod])
            ends[pod] = now + int(pods.lifetime_ns[pod])
    return where


some_pods = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40), st.integers(0, 110)), max_size=25)


@given(some_pods, st.integers(1, 4), st.sampled_from(sorted(SCORINGS)))
def test_it_agrees_with_a_naive_model(pods: list[tuple[int, int, int]], nr_nodes: int, scoring: str) -> None:
    given_pods = table(*sorted(pods))
    found = schedule(given_pods, nr_nodes, 100, END, scoring)
    expected = naive(given_pods, nr_nodes, 100, packs=scoring == "MostAllocated")
    assert list(zip(found.node.tolist(), found.start_ns.tolist(), strict=True)) == expected
    check_claims(given_pods, found, nr_nodes)


def check_claims(pods: PodTable, found: Placement, nr_nodes: int) -> None:
    for node in range(nr_nodes):
        on = found.on(node)
        assert on.tolist() == np.flatnonzero(found.node == node).tolist()
        for moment in found.start_ns[on]:
            running = on[(found.start_ns[on] <= moment) & (moment < found.end_ns[on])]
            assert pods.claim_bytes[running].sum() <= 100


def test_the_names_are_those_of_the_schedulers_configuration() -> None:
    assert sorted(SCORINGS) == ["LeastAllocated", "MostAllocated"]
    with pytest.raises(KeyError):
        schedule(table((0, 1, 1)), 1, 100, END, "Best")
