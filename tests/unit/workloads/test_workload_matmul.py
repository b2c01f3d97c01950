import pytest

from epcgroup.errors import UsageError
from epcgroup.workloads.matmul import Network
from epcgroup.workloads.program import corrupt


def test_results_are_known_and_exact() -> None:
    network = Network(memoryview(bytearray(5 * 64 * 64 * 4 + 100)), 64, seed=3)
    assert network.weights.shape == (5, 64, 64)
    assert all(network.answer(number) for number in range(8))


def test_weights_live_in_the_buffer() -> None:
    memory = memoryview(bytearray(4 * 64 * 64 * 4))
    network = Network(memory, 64, seed=3)
    corrupt(memory)
    assert not any(network.answer(number) for number in range(8))


def test_one_weight_off_by_one_is_seen() -> None:
    network = Network(memoryview(bytearray(64 * 64 * 4)), 64, seed=3)
    network.weights[0, 5, int(network.inputs[0].argmax())] += 1
    assert not network.answer(0)


def test_a_buffer_without_room_for_a_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="width 64 has 16384 bytes, there are 4096"):
        Network(memoryview(bytearray(4096)), 64, seed=1)
