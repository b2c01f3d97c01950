import random
from array import array
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import TableFullError
from epcgroup.units import PAGE_SIZE
from epcgroup.workloads.btree.__main__ import Wanted, value_of
from epcgroup.workloads.btree.tree import ORDER, Tree
from epcgroup.workloads.program import WrongDataError, corrupt


def tree_of(nr_pages: int) -> tuple[Tree, memoryview]:
    memory = memoryview(bytearray(nr_pages * PAGE_SIZE))
    return Tree(memory), memory


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["up", "down", "any"]), st.integers(0, 4 * ORDER))
def test_it_is_a_sorted_map(seed: int, order: str, nr_keys: int) -> None:
    choice = random.Random(seed)
    keys = [choice.randrange(2**64) for _ in range(nr_keys)]
    if order != "any":
        keys.sort(reverse=order == "down")
    tree, _ = tree_of(64)
    model: dict[int, int] = {}
    for key in keys:
        model[key] = choice.randrange(2**64)
        tree.insert(key, model[key])
    assert list(tree.items()) == sorted(model.items())
    assert len(tree) == len(model)
    assert all(tree.get(key) == value for key, value in model.items())
    assert all(tree.get(key + 1) == model.get(key + 1) for key in keys if key + 1 < 2**64)


def test_a_tree_of_three_levels() -> None:
    tree, _ = tree_of(1500)
    choice = random.Random(5)
    keys = [choice.randrange(2**64) for _ in range(100_000)]
    for key in keys:
        tree.insert(key, value_of(key))
    assert all(tree.get(key) == value_of(key) for key in keys[::7])
    assert list(tree.items()) == sorted((key, value_of(key)) for key in set(keys))


def test_keys_in_order_fill_their_leaves() -> None:
    tree, _ = tree_of(50)
    free = tree.nr_free_nodes
    for key in range(20 * (ORDER - 2)):
        tree.insert(key, key)
    assert free - tree.nr_free_nodes <= 22


def test_a_value_can_be_replaced() -> None:
    tree, _ = tree_of(4)
    tree.insert(1, 2)
    tree.insert(1, 3)
    assert (tree.get(1), len(tree)) == (3, 1)


def test_a_full_tree_refuses_and_stays_whole() -> None:
    tree, _ = tree_of(8)
    while tree.nr_free_nodes > 2:
        tree.insert(len(tree) * 3, len(tree))
    with pytest.raises(TableFullError, match="all 8 nodes"):
        tree.insert(len(tree) * 3, len(tree))
    assert list(tree.items()) == [(number * 3, number) for number in range(len(tree))]
    assert len(tree) > 3 * (ORDER - 2)
    tree.insert(0, 7)  # needs no room
    assert tree.get(0) == 7
    with pytest.raises(TableFullError, match="two pages"):
        tree_of(1)


def test_damaged_memory_is_found_by_a_walk() -> None:
    tree, memory = tree_of(40)
    for key in range(5000):
        tree.insert(key, key)
    corrupt(memory)
    wrong = 0
    try:
        wrong = sum(key != value for key, value in tree.items())
    except WrongDataError:
        wrong += 1
    assert wrong


def test_an_empty_leaf_that_follows_itself_is_damage() -> None:
    tree, memory = tree_of(30)
    for key in range(1000):
        tree.insert(key, key)
    words = memory.cast("Q")
    first = words[3]
    words[first * PAGE_SIZE // 8 : first * PAGE_SIZE // 8 + 3] = memoryview(
        array("Q", [0, 0x4C454146, first])
    )
    with pytest.raises(WrongDataError, match="has no end"):
        list(tree.items())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30 * PAGE_SIZE - 1), st.integers(1, 255)), min_size=1, max_size=20))
def test_no_damage_leads_to_a_crash_or_an_endless_loop(damage: list[tuple[int, int]]) -> None:
    tree, memory = tree_of(30)
    for key in range(4000):
        tree.insert(key, key)
    for position, flip in damage:
        memory[position] ^= flip
    for key in range(0, 4000, 97):
        try:
            tree.get(key)
            tree.insert(key, 1)
        except (WrongDataError, TableFullError):
            pass
    walked: list[int] = []
    with suppress(WrongDataError):
        walked.extend(key for key, _ in tree.items())
    assert walked == sorted(set(walked))


def test_a_working_set_of_keys_moves_on_after_each_phase_and_round() -> None:
    choice = random.Random(1)
    wanted = Wanted(nr_loaded=100, nr_keys=40, phase_ns=10, start_ns=1000)
    drawn = [{wanted.draw(choice, 1000 + now) for _ in range(2000)} for now in (0, 10, 29)]
    assert drawn == [set(range(40)), set(range(40, 80)), {*range(80, 100), *range(20)}]


def test_without_a_working_set_all_keys_are_asked_for() -> None:
    wanted = Wanted(nr_loaded=50, nr_keys=0, phase_ns=0, start_ns=0)
    choice = random.Random(1)
    assert {wanted.draw(choice, now) for now in range(2000)} == set(range(50))
