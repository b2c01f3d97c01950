import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from epcgroup.errors import TableFullError, UsageError
from epcgroup.workloads.kv.slab import SLAB_BYTES
from epcgroup.workloads.kv.store import Store
from epcgroup.workloads.program import WrongDataError, corrupt

keys = st.sampled_from([b"k%d" % number for number in range(40)])


class StoreAgainstDict(RuleBasedStateMachine):
    """The store and a dictionary agree; the store may only say that it is full, and then has not changed."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(memoryview(bytearray(6 * SLAB_BYTES)))
        self.model: dict[bytes, tuple[int, bytes]] = {}

    @rule(
        key=keys,
        flags=st.integers(0, 2**32 - 1),
        size=st.integers(0, 30_000),
        byte=st.binary(min_size=1, max_size=1),
    )
    def set(self, key: bytes, flags: int, size: int, byte: bytes) -> None:
        try:
            self.store.set(key, flags, byte * size)
        except TableFullError:
            return
        self.model[key] = flags, byte * size

    @rule(key=keys)
    def delete(self, key: bytes) -> None:
        assert self.store.delete(key) == (self.model.pop(key, None) is not None)

    @invariant()
    def agrees(self) -> None:
        assert self.store.nr_items == len(self.model)
        for number in range(40):
            assert self.store.get(b"k%d" % number) == self.model.get(b"k%d" % number)


TestStore = StoreAgainstDict.TestCase
TestStore.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)


def test_chains_of_a_crowded_table_hold_every_item() -> None:
    store = Store(memoryview(bytearray(8 * SLAB_BYTES)))
    for number in range(4000):
        store.set(b"%d" % number, number, b"v%d" % number)
    assert all(store.get(b"%d" % number) == (number, b"v%d" % number) for number in range(4000))
    assert all(store.delete(b"%d" % number) for number in range(0, 4000, 2))
    assert all((store.get(b"%d" % number) is None) == (number % 2 == 0) for number in range(4000))


def test_all_data_lies_in_the_buffer() -> None:
    memory = memoryview(bytearray(4 * SLAB_BYTES))
    store = Store(memory)
    store.set(b"key", 0, b"needle in memory")
    assert b"keyneedle in memory" in bytes(memory)


def test_damage_is_an_error_never_another_value() -> None:
    memory = memoryview(bytearray(8 * SLAB_BYTES))
    store = Store(memory)
    stored = {b"k%d" % number: b"%d" % number * 50 for number in range(1500)}
    for key, value in stored.items():
        store.set(key, 0, value)
    corrupt(memory)
    found = 0
    for key, value in stored.items():
        try:
            got = store.get(key)
        except WrongDataError:
            found += 1
        else:
            assert got in ((0, value), None)
    assert found > 50


def test_a_value_larger_than_a_slab_and_a_tiny_buffer_are_refused() -> None:
    with pytest.raises(UsageError, match="largest is 65536"):
        Store(memoryview(bytearray(4 * SLAB_BYTES))).set(b"k", 0, bytes(SLAB_BYTES))
    with pytest.raises(UsageError, match="needs at least"):
        Store(memoryview(bytearray(SLAB_BYTES)))


def test_a_store_that_is_full_keeps_the_older_value() -> None:
    store = Store(memoryview(bytearray(3 * SLAB_BYTES)))
    store.set(b"first", 0, b"x" * 60_000)
    store.set(b"second", 0, b"y" * 60_000)
    with pytest.raises(TableFullError):
        store.set(b"third", 0, b"z" * 60_000)
    with pytest.raises(TableFullError):
        store.set(b"first", 0, b"small")  # of a class that has no slab yet
    assert store.get(b"first") == (0, b"x" * 60_000)
    assert store.nr_items == 2
