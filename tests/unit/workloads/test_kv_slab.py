from itertools import cycle, pairwise

import pytest

from epcgroup.errors import TableFullError, UsageError
from epcgroup.workloads.kv.slab import SLAB_BYTES, Slabs, chunk_sizes
from epcgroup.workloads.program import WrongDataError

START = 4096


def slabs_of(nr_slabs: int) -> tuple[Slabs, memoryview]:
    memory = memoryview(bytearray(START + nr_slabs * SLAB_BYTES + 100))
    return Slabs(memory, 0, START), memory


def test_classes_grow_by_at_most_a_third_and_end_with_a_slab() -> None:
    sizes = chunk_sizes()
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == SLAB_BYTES
    assert all(b <= a * 1.5 for a, b in pairwise(sizes))
    assert Slabs.table_bytes() <= START


@pytest.mark.parametrize("size", [1, 64, 65, 1000, 40_000, SLAB_BYTES])
def test_the_class_of_a_size_is_the_smallest_that_fits(size: int) -> None:
    slabs, _ = slabs_of(1)
    number = slabs.class_of(size)
    sizes = chunk_sizes()
    assert sizes[number] >= size
    assert number == 0 or sizes[number - 1] < size


def test_an_object_larger_than_a_slab_is_refused() -> None:
    with pytest.raises(UsageError, match=str(SLAB_BYTES)):
        slabs_of(1)[0].class_of(SLAB_BYTES + 1)


def test_chunks_do_not_overlap_and_fill_all_memory() -> None:
    slabs, memory = slabs_of(3)
    taken: list[tuple[int, int]] = []

    def take_all() -> None:
        for number in cycle((0, 7, 12)):
            chunk = slabs.allocate(number)
            taken.append((chunk, chunk + chunk_sizes()[number]))

    with pytest.raises(TableFullError):
        take_all()
    taken.sort()
    assert all(a[1] <= b[0] for a, b in pairwise(taken))
    assert taken[0][0] >= START
    assert taken[-1][1] <= len(memory)
    assert slabs.used_bytes == 3 * SLAB_BYTES


def test_a_freed_chunk_is_used_again_by_its_class_only() -> None:
    slabs, _ = slabs_of(2)
    chunk = slabs.allocate(3)
    slabs.free(chunk, 3)
    assert slabs.allocate(4) != chunk
    assert slabs.allocate(3) == chunk


def test_a_damaged_free_list_is_noticed() -> None:
    slabs, memory = slabs_of(1)
    first, second = slabs.allocate(2), slabs.allocate(2)
    slabs.free(first, 2)
    slabs.free(second, 2)
    memory[second : second + 8] = (2**60).to_bytes(8, "little")
    assert slabs.allocate(2) == second
    with pytest.raises(WrongDataError, match="outside all slabs"):
        slabs.allocate(2)
