import pytest

from epcgroup.workloads.kv import values


@pytest.mark.parametrize("size", [values.MIN_BYTES, 13, 100, 1000, values.MAX_BYTES])
def test_a_value_proves_itself(size: int) -> None:
    value = values.make(5, 3, size)
    assert len(value) == size
    assert values.is_right(value, 5, 3, size)


def test_anything_else_is_not_right() -> None:
    value = values.make(5, 3, 100)
    assert not values.is_right(value, 5, 2, 100)
    assert not values.is_right(value, 6, 3, 100)
    assert not values.is_right(value[:-1], 5, 3, 100)
    assert not values.is_right(bytes(100), 5, 3, 100)
    for position in range(100):
        damaged = bytearray(value)
        damaged[position] ^= 1
        assert not values.is_right(bytes(damaged), 5, 3, 100)
