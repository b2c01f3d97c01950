from epcgroup.units import PAGE_SIZE
from epcgroup.workloads.scan import Sweeper, reach, stamp


def test_a_stamp_fills_the_page_and_is_its_own() -> None:
    stamps = {stamp(page, version) for page in range(4) for version in range(1, 4)}
    assert len(stamps) == 12
    assert {len(content) for content in stamps} == {PAGE_SIZE}
    assert stamp(9, 0) == bytes(PAGE_SIZE)


def test_visits_see_what_the_last_visit_wrote() -> None:
    sweeper = Sweeper(memoryview(bytearray(3 * PAGE_SIZE)))
    assert all(sweeper.visit(page) for _ in range(3) for page in range(3))


def test_every_kind_of_damage_is_seen() -> None:
    memory = memoryview(bytearray(2 * PAGE_SIZE))
    sweeper = Sweeper(memory)
    memory[PAGE_SIZE - 1] = 1
    assert not sweeper.visit(0)  # fresh memory is not zero
    old = bytes(memory[:PAGE_SIZE])
    assert sweeper.visit(0)
    memory[:PAGE_SIZE] = old
    assert not sweeper.visit(0)  # stale
    sweeper.visit(1)
    memory[:PAGE_SIZE] = memory[PAGE_SIZE:]
    assert not sweeper.visit(0)  # another page
    memory[:PAGE_SIZE] = bytes(PAGE_SIZE)
    assert not sweeper.visit(0)  # silent zeros
    assert sweeper.visit(0)


def test_memory_grows_to_its_limit() -> None:
    assert reach(0, 4, 4, 100) == 4
    assert reach(2.5, 4, 4, 100) == 14
    assert reach(1000, 4, 4, 100) == 100
