"""Who is blamed for ksgxd's evictions: the rule against a plain model, and both machines by the rule."""

import random
from collections import Counter, deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.engine import blame
from epcgroup.pager.attribution import Attribution
from epcgroup.sim import blame as simulated
from epcgroup.sim.layout import Arrays
from epcgroup.sim.machine import Simulation
from epcgroup.sim.scenario import Component
from tests.unit.sim.scenarios import pod, program, scenario

_OWNERS = 3
#: A page charged to an owner | so many pages freed by its own limit | so many written out by ksgxd | gone.
_EVENTS = st.tuples(
    st.sampled_from(["charge", "charge", "charge", "free", "settle", "settle", "forget"]),
    st.integers(0, _OWNERS - 1),
    st.integers(1, 40),
)


class Model:
    """The rule in words of a deque and a counter."""

    def __init__(self) -> None:
        self.debts: deque[int] = deque(maxlen=96)
        self.credits = Counter[int]()

    def charge(self, owner: int) -> None:
        if self.credits[owner]:
            self.credits[owner] -= 1
        else:
            self.debts.append(owner)

    def free(self, owner: int, nr_pages: int) -> None:
        self.credits[owner] = min(self.credits[owner] + nr_pages, 96)

    def settle(self) -> int:
        return self.debts.popleft() if self.debts else blame.NOBODY

    def forget(self, owner: int) -> None:
        self.credits[owner] = 0
        self.debts = deque((debtor for debtor in self.debts if debtor != owner), maxlen=96)


@given(st.lists(_EVENTS, max_size=200))
def test_the_rule_is_that_of_the_model(events: list[tuple[str, int, int]]) -> None:
    account, model = np.zeros(blame.nr_words(_OWNERS), np.int64), Model()
    for what, owner, number in events:
        if what == "charge":
            for _ in range(number):
                blame.charge(account, owner)
                model.charge(owner)
        elif what == "free":
            blame.free(account, owner, number)
            model.free(owner, number)
        elif what == "forget":
            blame.forget(account, owner)
            model.forget(owner)
        else:
            assert [blame.settle(account) for _ in range(number)] == [model.settle() for _ in range(number)]


def simulation() -> Arrays:
    """A node of three pods, each with the group of the same number, from 1 on."""
    pods = [pod(f"p{number}", program(Component("loop", 4))) for number in range(_OWNERS)]
    arrays = Simulation(scenario(*pods), {}).arrays
    arrays.pod_of_group[1 : 1 + _OWNERS] = range(_OWNERS)
    return arrays


@pytest.mark.parametrize("seed", range(3))
def test_pager_and_simulator_blame_the_same(seed: int) -> None:
    draw = random.Random(seed)
    arrays, pager, model = simulation(), Attribution(_OWNERS), Model()
    expected = [Counter[int]() for _ in range(_OWNERS)]
    for _ in range(500):
        owner, cause = draw.randrange(_OWNERS), draw.randrange(-_OWNERS, _OWNERS)
        for _ in range(draw.randrange(9)):
            pager.note_charge(1 + owner)
            simulated.charged(arrays, owner)
            model.charge(owner)
        victim, nr_pages = draw.randrange(_OWNERS), draw.randrange(1, 17)
        pager.note_written({1 + victim: nr_pages}, max(0, 1 + cause))
        for _ in range(nr_pages):
            simulated.count(arrays, victim, max(0, 1 + cause))
            expected[victim][cause if cause >= 0 else model.settle()] += 1
        if cause >= 0:
            model.free(victim, nr_pages)
    names = {1 + owner: str(owner) for owner in range(_OWNERS)}
    for victim, counts in enumerate(expected):
        assert arrays.reclaimed_by[victim].tolist() == [counts[by] for by in (*range(_OWNERS), blame.NOBODY)]
        by_name = {str(by) if by >= 0 else "ksgxd": number for by, number in counts.items()}
        assert pager.of_victim(1 + victim, names.__getitem__) == by_name
    assert sum(counts[blame.NOBODY] for counts in expected) > 0
