"""Links between groups that hold pages: walks find what they would find without, and look at nothing else."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.engine import group as groups
from epcgroup.engine import invariants, lru, walk
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from epcgroup.state import tree
from epcgroup.state.layout import State


def _machine(nr_groups: int) -> State:
    return Epc.create(64, nr_groups=nr_groups, nr_enclaves=1, nr_enclave_pages=8).state


def _expected(state: State, cursor: int) -> int:
    """The first group with pages of its own in pre-order from the cursor on, then from the root."""
    order = list(tree.subtree(state, at.ROOT))
    start = order.index(cursor) if cursor else 0
    turns = order[start:] + order[:start]
    return next((group for group in turns if state.groups[group, at.GROUP_NR_LRU]), 0)


def _check_links(state: State) -> None:
    for group in tree.subtree(state, at.ROOT):
        invariants.check_holders(state, group, list(tree.children(state, group)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["make", "fill", "empty", "walk", "walk"]), st.integers(0, 99))))
def test_a_walk_visits_the_same_groups_as_one_that_looks_everywhere(steps: list[tuple[str, int]]) -> None:
    state = _machine(128)
    made = [at.ROOT]
    for what, number in steps:
        group = made[number % len(made)]
        held = int(state.groups[group, at.GROUP_NR_LRU])
        if what == "make":
            made.append(int(groups.create(state, group)))
        elif what == "fill":
            lru.count(state, group, 1 + number % 3)
        elif what == "empty" and held:
            lru.count(state, group, -held)
        elif what == "walk" and state.groups[at.ROOT, at.GROUP_NR_LRU_TREE]:
            expected = _expected(state, int(state.groups[at.ROOT, at.GROUP_CURSOR]))
            assert walk.next_round_robin(state, at.ROOT) == expected
        _check_links(state)


def test_a_removed_group_leaves_the_links() -> None:
    epc = Epc.create(256, nr_groups=8, nr_enclaves=2, nr_enclave_pages=256)
    for path in ("/a", "/b", "/c"):
        epc.mkdir(path)
    _, enclave = epc.enclave_create(epc.lookup("/b"), 16)
    epc.enclave_init(enclave)
    epc.fault(enclave, 3, epc.lookup("/b"))
    assert epc.state.groups[at.ROOT, at.GROUP_HOLDER_FIRST] == epc.lookup("/b")
    epc.rmdir("/b")
    invariants.check(epc.state)
    epc.enclave_release(enclave)
    assert epc.state.groups[at.ROOT, at.GROUP_HOLDER_FIRST] == 0
    invariants.check(epc.state)


#: Counts the words of ``groups`` that plain Python reads in one charge and in eight choices of a list.
_COUNTING = """
import sys
import numpy as np
from epcgroup.engine import group as groups, walk
from epcgroup.state import layout as at
from epcgroup.face.epc import Epc

class Counted(np.ndarray):
    nr = 0
    def __getitem__(self, index):
        Counted.nr += 1
        return np.ndarray.__getitem__(self.view(np.ndarray), index)

idle = int(sys.argv[1])
epc = Epc.create(512, nr_groups=idle + 8, nr_enclaves=2, nr_enclave_pages=512)
parent = epc.mkdir("/class")
for index in range(idle + 2):
    made = groups.create(epc.state, parent)
    if index in (idle // 2, idle // 2 + 1):
        _, enclave = epc.enclave_create(made, 16)
        epc.enclave_init(enclave)
        for page in range(4):
            epc.fault(enclave, page, made)
counted = epc.state._replace(groups=epc.state.groups.view(Counted))
for _ in range(4):
    walk.next_preferred(counted, at.ROOT)
Counted.nr = 0
for _ in range(8):
    walk.next_preferred(counted, at.ROOT)
print(Counted.nr)
"""


def _reads(nr_idle_groups: int) -> int:
    command = [sys.executable, "-c", _COUNTING, str(nr_idle_groups)]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.timeout(120)
def test_idle_groups_cost_a_walk_nothing() -> None:
    assert _reads(400) == _reads(10)
