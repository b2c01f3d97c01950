"""Policies choose as their naive references do, page by page; nobody beats the optimum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.sim.policy import SECOND_CHANCE, names
from epcgroup.sim.policy.replay import one_group, replay
from epcgroup.sim.policy.steps import Steps
from epcgroup.state.outcome import Outcome
from tests.unit.sim.policy.references import REFERENCES, fewest_misses, next_use

_NR_PAGES = 40
_HOT = st.integers(0, 7)
_RUN = st.builds(
    lambda first, nr: [(first + step) % _NR_PAGES for step in range(nr)], _HOT, st.integers(8, 36)
)
#: Pages used again and again, anything, and scans.
_TRACES = st.lists(
    st.one_of(_HOT.map(lambda page: [page]), st.integers(0, _NR_PAGES - 1).map(lambda page: [page]), _RUN),
    min_size=1,
    max_size=80,
).map(lambda parts: [page for part in parts for page in part])
_CAPACITIES = st.integers(1, 32)


def _machine(policy: str, trace: list[int], capacity: int) -> tuple[Steps, int, int]:
    epc, group, enclave = one_group(_NR_PAGES, capacity)
    steps = Steps(epc, policy, nr_references=len(trace))
    steps.foresee(enclave, np.array(trace, np.uint32))
    return steps, group, enclave


@pytest.mark.parametrize("policy", sorted(REFERENCES))
@settings(max_examples=80, deadline=None)
@given(trace=_TRACES, capacity=_CAPACITIES)
def test_a_policy_chooses_as_its_reference(policy: str, trace: list[int], capacity: int) -> None:
    steps, group, enclave = _machine(policy, trace, capacity)
    reference = REFERENCES[policy](capacity)
    for page in trace:
        before = len(steps.left)
        outcome = steps.refer(enclave, page, group)
        expected = reference.refer(page)
        victims = [left for _, left in steps.left[before:]]
        assert victims == ([] if expected is None else [expected])
        assert outcome in (Outcome.HIT, Outcome.CREATED, Outcome.LOADED)
    steps.check()
    assert steps.nr_declined == 0
    assert replay(np.array(trace, np.uint32), capacity, policy) == reference.missed


@settings(max_examples=80, deadline=None)
@given(trace=_TRACES, capacity=_CAPACITIES)
def test_the_optimum_lets_go_what_is_used_last(trace: list[int], capacity: int) -> None:
    steps, group, enclave = _machine("optimum", trace, capacity)
    held: dict[int, float] = {}
    for place, page in enumerate(trace):
        before = len(steps.left)
        steps.refer(enclave, page, group)
        for _, left in steps.left[before:]:
            farthest = max(held.values())
            assert held.pop(left) == farthest
        held[page] = next_use(trace, place)
    assert steps.nr_declined == 0


@settings(max_examples=80, deadline=None)
@given(trace=_TRACES, capacity=_CAPACITIES)
def test_no_policy_misses_less_than_the_optimum(trace: list[int], capacity: int) -> None:
    references = np.array(trace, np.uint32)
    misses = {policy: replay(references, capacity, policy) for policy in names()}
    assert misses["optimum"] == min(misses.values()) == fewest_misses(trace, capacity)
    assert misses[SECOND_CHANCE] == misses["clock"]


@settings(max_examples=40, deadline=None)
@given(trace=_TRACES, capacity=_CAPACITIES, laps=st.integers(1, 3))
def test_a_trace_that_repeats_is_known_beyond_its_end(trace: list[int], capacity: int, laps: int) -> None:
    victims = []
    for told, repeats in ((trace, True), (trace * (laps + 1), False)):
        epc, group, enclave = one_group(_NR_PAGES, capacity)
        steps = Steps(epc, "optimum", nr_references=len(told))
        steps.foresee(enclave, np.array(told, np.uint32), repeats)
        for page in trace * laps:
            steps.refer(enclave, page, group)
        victims.append(steps.left)
    assert victims[0] == victims[1]
