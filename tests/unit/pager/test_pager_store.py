"""Slabs: slots never overlap, memory follows the number of stored pages."""

import random
from pathlib import Path

import pytest

from epcgroup.pager.store import SLOT_BYTES, Budget, Slab

NR_PAGES = 3000


@pytest.fixture
def slab() -> Slab:
    return Slab(NR_PAGES)


def content(page: int) -> bytes:
    return page.to_bytes(4, "little") * (SLOT_BYTES // 4)


def resident_kib(slab: Slab) -> int:
    """Memory the slab has touched, by the kernel's account."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    total, inside = 0, False
    for line in lines:
        head = line.split()[0]
        if "-" in head and not head.endswith(":"):
            start, end = (int(part, 16) for part in head.split("-"))
            inside = start < slab.address + len(slab.view) and end > slab.address
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def test_random_use_keeps_every_page_apart(slab: Slab) -> None:
    generator = random.Random(4)
    held: set[int] = set()
    for step in range(6000):
        page = generator.randrange(NR_PAGES)
        if page in held:
            assert bytes(slab.record(page)) == content(page)
            slab.drop(page)
            held.remove(page)
        else:
            (record,) = slab.take([page])
            record[:] = content(page)
            assert bytes(slab.record(page)) == content(page)
            held.add(page)
        assert slab.nr_used == len(held)
        if step % 500 == 0:
            slab.trim()
    assert all(bytes(slab.record(page)) == content(page) for page in held)


def test_memory_follows_use(slab: Slab) -> None:
    for page, record in enumerate(slab.take(range(NR_PAGES))):
        record[:] = content(page)
    full = resident_kib(slab)
    assert full >= NR_PAGES * 4
    for page in range(NR_PAGES):
        if not 1000 <= page < 1100:
            slab.drop(page)
    assert slab.trim()
    assert resident_kib(slab) <= 100 * 4 + 100
    assert all(bytes(slab.record(page)) == content(page) for page in range(1000, 1100))


def test_slots_are_used_again_lowest_first(slab: Slab) -> None:
    slab.take(range(600))
    for page in range(600):
        slab.drop(page)
    slab.trim()
    slab.take([9])
    assert slab.slots[9] == 0


def test_trim_waits_until_it_pays(slab: Slab) -> None:
    slab.take(range(1000))
    for page in range(200):
        slab.drop(page)
    assert not slab.trim()
    for page in range(200, 300):
        slab.drop(page)
    assert slab.trim()
    assert not slab.trim()


def test_close(slab: Slab) -> None:
    slab.take([0])
    slab.close()
    with pytest.raises(ValueError, match="released"):
        slab.record(0)


def test_budget_counts_whole_slots() -> None:
    budget = Budget(10 * SLOT_BYTES + 5)
    assert budget.nr_free == budget.nr_slots == 10
    budget.nr_free -= 3
    assert budget.stored_bytes == 3 * SLOT_BYTES


def test_budget_shares_its_word() -> None:
    word = memoryview(bytearray(8)).cast("q")
    budget = Budget(3 * SLOT_BYTES, word)
    word[0] -= 1
    assert budget.nr_free == 2


def test_slots_given_at_once_are_those_given_one_by_one() -> None:
    together, apart = Slab(64), Slab(64)
    for slab in (together, apart):
        slab.take(range(10))
        for page in (3, 1, 7):
            slab.drop(page)
    together.take([20, 21, 22, 23])
    for page in (20, 21, 22, 23):
        apart.take([page])
    assert [together.slots[page] for page in range(20, 24)] == [7, 1, 3, 10]
    assert together.slots.tolist() == apart.slots.tolist()
    assert together.nr_used == apart.nr_used == 11


def test_all_slots_are_given_up_at_once_with_their_memory(slab: Slab) -> None:
    for page in range(500):
        slab.take([page])[0][:] = content(page)
    slab.drop(7)
    assert resident_kib(slab) > 1900
    slab.drop_all()
    assert slab.nr_used == 0
    assert resident_kib(slab) == 0
    (record,) = slab.take([3])
    record[:] = content(3)
    assert (slab.nr_used, bytes(slab.record(3))) == (1, content(3))
