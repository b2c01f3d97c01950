"""Series ``fair``, the last resort: ``epc.oom``, whom it kills, ``epc.kills``."""

import numpy as np
import pytest

from epcgroup.engine import enclave, invariants, oom, vepc
from epcgroup.errors import InvalidLimitError, NoSuchFileError
from epcgroup.face.epc import Epc
from epcgroup.state import files, kills
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome, PageState
from epcgroup.state.series import SERIES
from tests.unit.engine.driving import PAGE, Driver, enclave_in, machine

_SIZE = 64


def _full(driver: Driver, level: str, nr_pages: int = 0) -> None:
    """Lower the limit of a level to what cannot leave (or to less by so many pages), and let it kill."""
    driver.limit(level, 0)
    driver.background()
    driver.limit(level, driver.pages(level) - nr_pages)
    driver.background()
    driver.epc.write(level, "epc.oom", "kill\n")


def _building(driver: Driver, path: str, pages: int, size: int = _SIZE) -> int:
    """An enclave that is not initialised: its SECS stays, so it has one page more that cannot leave."""
    outcome, number = driver.create(driver.epc.lookup(path), size, ready=False)
    assert outcome is Outcome.CREATED
    for page in range(pages):
        assert _add(driver, number, page, path) == enclave.CREATED
    return number


def _add(driver: Driver, number: int, page: int, path: str) -> int:
    while True:
        answer = int(enclave.add(driver.epc.state, number, page, driver.epc.lookup(path), False))
        if not driver.carry_out(Outcome(abs(answer))):
            return answer


def _is_killed(driver: Driver, number: int) -> bool:
    return bool(driver.epc.state.enclaves[number, at.ENCLAVE_FLAGS] & at.ENCLAVE_KILLED)


# The file.


def test_the_policy_is_a_file_of_every_group_but_the_root() -> None:
    driver = machine(100, "/a", "/a/b")
    assert driver.epc.read("/a", "epc.oom") == "deny\n"
    assert driver.epc.write("/a", "epc.oom", "  kill\n") == 7
    assert (driver.epc.read("/a", "epc.oom"), driver.epc.read("/a/b", "epc.oom")) == ("kill\n", "deny\n")
    driver.epc.write("/a", "epc.oom", b"deny")
    assert driver.epc.read("/a", "epc.oom") == "deny\n"
    for path, file in (("/", "epc.oom"), ("/a", "epc.victim")):
        with pytest.raises(NoSuchFileError):
            driver.epc.write(path, file, "kill")


@pytest.mark.parametrize("text", ["Kill", "kill deny", "1", "\n"])
def test_another_policy_is_refused_and_the_error_names_both(text: str) -> None:
    driver = machine(100, "/a")
    driver.epc.write("/a", "epc.oom", "kill")
    with pytest.raises(InvalidLimitError, match=r"deny or kill"):
        driver.epc.write("/a", "epc.oom", text)
    assert driver.epc.read("/a", "epc.oom") == "kill\n"


@pytest.mark.parametrize("series", [name for name in SERIES if name != "fair"])
def test_other_series_have_neither_file(series: str) -> None:
    driver = machine(100, "/a", series=series)
    assert {"epc.oom", "epc.kills"}.isdisjoint(driver.epc.files("/a") + driver.epc.files("/"))


# When.


def test_a_level_without_room_refuses_unless_told_to_kill() -> None:
    driver = machine(1000, "/pod", "/pod/a", "/pod/b")
    first, second = enclave_in(driver, "/pod/a", 5), enclave_in(driver, "/pod/b", 5)
    _full(driver, "/pod")
    driver.epc.write("/pod", "epc.oom", "deny")
    driver.epc.write("/pod/a", "epc.oom", "kill")  # not the level that refuses
    assert driver.fault(second, 9, driver.epc.lookup("/pod/b")) is Outcome.REFUSED
    assert (driver.killed, driver.epc.read("/", "epc.kills")) == ([], "")
    assert not _is_killed(driver, first)
    assert (driver.events("/pod")["oom"], driver.events("/pod")["oom_kill"]) == (1, 0)


def test_nobody_dies_while_there_is_something_to_reclaim() -> None:
    driver = machine(1000, "/a")
    number = enclave_in(driver, "/a", 5)
    driver.limit("/a", 20)
    driver.epc.write("/a", "epc.oom", "kill")
    assert driver.touch(number, range(5, 60), driver.epc.lookup("/a")) == [Outcome.CREATED]
    assert driver.killed == []


def test_a_full_store_of_sealed_pages_is_a_reason_to_kill() -> None:
    driver = machine(1000, "/a")
    small, large = enclave_in(driver, "/a", 8), enclave_in(driver, "/a", 20)
    driver.limit("/a", driver.pages("/a"))
    driver.epc.write("/a", "epc.oom", "kill")
    driver.failing = True
    assert driver.fault(small, 100, driver.epc.lookup("/a")) is Outcome.CREATED
    assert driver.killed == [large]


def test_a_full_machine_never_kills() -> None:
    """The capacity refuses at the lowest group that would exceed it, here one whose policy is to kill."""
    driver = machine(20, "/a")
    number = enclave_in(driver, "/a", 5)
    driver.epc.write("/a", "epc.oom", "kill")
    area = int(vepc.create(driver.epc.state, driver.epc.lookup("/a"), 32))
    driver.epc.write("/a", "epc.reclaim", "max")
    driver.background()
    group = driver.epc.lookup("/a")
    while int(vepc.access(driver.epc.state, area, driver.epc.nr_free, group, False)) == Outcome.CREATED:
        pass
    assert driver.epc.nr_free == 0
    assert driver.fault(number, 9, group) is Outcome.REFUSED
    assert driver.killed == []


def test_a_guest_page_is_refused_and_kills_nobody() -> None:
    driver = machine(1000, "/a")
    number = enclave_in(driver, "/a", 5)
    area = int(vepc.create(driver.epc.state, driver.epc.lookup("/a"), 8))
    _full(driver, "/a")
    answer = int(vepc.access(driver.epc.state, area, 0, driver.epc.lookup("/a"), False))
    assert Outcome(answer) is Outcome.REFUSED
    assert not _is_killed(driver, number)
    assert (driver.epc.victim, driver.events("/a")["oom"]) == (0, 1)


def test_a_task_that_is_leaving_kills_nobody() -> None:
    driver = machine(1000, "/a")
    enclave_in(driver, "/a", 5)
    group = driver.epc.lookup("/a")
    _full(driver, "/a")
    driver.limit("/a", 4)
    for _ in range(2):
        answer, _ = enclave.create(driver.epc.state, group, 16, True)
    assert Outcome(-int(answer)) is Outcome.REFUSED


# Whom.


def test_a_level_without_room_kills_the_enclave_that_overran_most() -> None:
    """b is larger, a is further above its own limit (epc.high 3, of 5 pages that cannot leave)."""
    driver = machine(1000, "/pod", "/pod/a", "/pod/b", "/pod/c")
    a = _building(driver, "/pod/a", 0)
    also = _building(driver, "/pod/a", 0)
    b = [_building(driver, "/pod/b", 0) for _ in range(4)]
    driver.epc.write("/pod/a", "epc.high", str(3 * PAGE))
    driver.epc.write("/pod/b", "epc.high", str(8 * PAGE))
    _full(driver, "/pod")
    assert driver.create(driver.epc.lookup("/pod/c"), _SIZE)[0] is Outcome.CREATED
    assert driver.killed == [also]  # as large as the other one of its group, and younger
    assert (
        driver.epc.read("/pod", "epc.kills") == f"1 enclave={also} group=/pod/a level=/pod pages=2 over=1\n"
    )
    assert driver.events("/pod/a")["oom_kill"] == 1
    assert (driver.events("/pod/b")["oom_kill"], driver.events("/pod")["oom_kill"]) == (0, 1)
    assert (driver.events("/pod")["max"], driver.events("/pod")["oom"]) == (1, 0)
    assert not any(_is_killed(driver, number) for number in [a, *b])


def test_a_limit_between_counts_for_all_below_it() -> None:
    """/pod/x is over its limit by what x/b holds; x/a shares the blame, and x/b holds more of its own."""
    driver = machine(1000, "/pod", "/pod/x", "/pod/x/a", "/pod/x/b", "/pod/c")
    _building(driver, "/pod/x/a", 0)
    b = [_building(driver, "/pod/x/b", 0) for _ in range(2)]
    for _ in range(5):
        _building(driver, "/pod/c", 0)
    driver.limit("/pod/x", 4)
    _full(driver, "/pod")
    driver.create(driver.epc.lookup("/pod/c"), _SIZE)
    assert driver.killed == [b[1]]
    assert "over=2" in driver.epc.read("/pod", "epc.kills")


def test_protection_counts_where_nobody_is_over_a_limit() -> None:
    driver = machine(1000, "/pod", "/pod/a", "/pod/b")
    for _ in range(3):
        _building(driver, "/pod/a", 0)
    b = [_building(driver, "/pod/b", 0) for _ in range(2)]
    driver.epc.write("/pod/a", "epc.low", str(4 * PAGE))  # 2 of 6 pages above it; b: 4 above nothing
    _full(driver, "/pod")
    driver.create(driver.epc.lookup("/pod/b"), _SIZE)
    assert driver.killed == [b[1]]


def test_in_one_group_the_largest_goes_and_the_youngest_of_equals() -> None:
    driver = machine(1000, "/a")
    numbers = [_building(driver, "/a", 0) for _ in range(3)]
    driver.epc.state.enclaves[numbers[0], at.ENCLAVE_ID] += 100  # row and age need not agree
    _full(driver, "/a")
    driver.create(driver.epc.lookup("/a"), _SIZE)
    assert driver.killed == [numbers[0]]
    driver.limit("/a", "max")
    numbers = [_building(driver, "/a", nr) for nr in (0, 1, 0)]
    driver.failing = True
    driver.limit("/a", driver.pages("/a") - 1)
    driver.create(driver.epc.lookup("/a"), _SIZE)
    assert driver.killed[1:] == [numbers[1]]


def test_enclaves_that_live_elsewhere_are_left_alone() -> None:
    """All that is charged to /a belongs to an enclave of /b: /a refuses."""
    driver = machine(1000, "/a", "/b")
    shared = _building(driver, "/b", 0)
    driver.epc.enclave_init(shared)
    driver.touch(shared, range(4), driver.epc.lookup("/a"))
    driver.limit("/a", 4)
    driver.epc.write("/a", "epc.oom", "kill")
    driver.failing = True
    assert driver.fault(shared, 9, driver.epc.lookup("/a")) is Outcome.REFUSED
    assert driver.killed == []


def test_the_enclave_that_asks_may_be_the_victim() -> None:
    driver = machine(1000, "/a")
    number = enclave_in(driver, "/a", 5)
    group = driver.epc.lookup("/a")
    _full(driver, "/a")
    assert driver.fault(number, 9, group) is Outcome.NO_PAGE
    assert driver.killed == [number]
    assert [driver.epc.page_state(number, page) for page in (0, 9)] == [PageState.ABSENT] * 2
    assert driver.fault(number, 0, group) is Outcome.NO_PAGE
    assert driver.pages("/a") == 0
    driver.epc.enclave_release(number)
    invariants.check(driver.epc.state)


def test_adding_to_a_killed_enclave_is_refused() -> None:
    driver = machine(1000, "/a")
    number = _building(driver, "/a", 1)
    driver.limit("/a", 3)
    driver.epc.write("/a", "epc.oom", "kill")
    driver.failing = True
    assert _add(driver, number, 1, "/a") == -Outcome.REFUSED
    assert driver.killed == [number]


def test_it_kills_until_it_fits_and_refuses_when_no_one_is_left() -> None:
    driver = machine(1000, "/a")
    numbers = [_building(driver, "/a", 0) for _ in range(4)]
    area = int(vepc.create(driver.epc.state, driver.epc.lookup("/a"), 8))
    for page in range(3):
        vepc.access(driver.epc.state, area, page, driver.epc.lookup("/a"), False)
    driver.epc.write("/a", "epc.oom", "kill")
    driver.limit("/a", 7)  # of 11
    assert driver.create(driver.epc.lookup("/a"), _SIZE)[0] is Outcome.CREATED
    assert driver.killed == [numbers[3], numbers[2], numbers[1]]
    driver.limit("/a", 3)
    assert driver.create(driver.epc.lookup("/a"), 16)[0] is Outcome.REFUSED
    assert driver.killed[3] != numbers[0]
    assert len(driver.killed) == 5
    assert driver.pages("/a") == 3  # the guest's
    assert (driver.events("/a")["max"], driver.events("/a")["oom"]) == (2, 1)
    assert driver.events("/a")["oom_kill"] == 5


# The machine's side.


@pytest.mark.parametrize("ready", [True, False])
def test_what_was_taken_so_far_is_held_while_somebody_is_killed(ready: bool) -> None:
    """Page 511 is taken, then the second VA page has no room."""
    driver = machine(2000, "/a")
    group = driver.epc.lookup("/a")
    number = enclave_in(driver, "/a", 511) if ready else _building(driver, "/a", 511, 1024)
    driver.limit("/a", driver.pages("/a") + 1)
    driver.epc.write("/a", "epc.oom", "kill")
    driver.failing = True

    def ask() -> Outcome:
        if ready:
            return driver.epc.fault(number, 511, group)
        return Outcome(abs(int(enclave.add(driver.epc.state, number, 511, group, False))))

    while (outcome := ask()) is Outcome.EVICT:
        driver.act()
    assert outcome is Outcome.KILL
    assert driver.epc.state.enclaves[number, at.ENCLAVE_HELD] > 0
    invariants.check(driver.epc.state)
    driver.epc.finish_kill()
    assert driver.pages("/a") == 0


def test_a_victim_that_left_meanwhile_is_not_accounted_for() -> None:
    driver = machine(1000, "/a")
    number = enclave_in(driver, "/a", 5)
    _full(driver, "/a")
    assert driver.epc.fault(number, 9, driver.epc.lookup("/a")) is Outcome.KILL
    assert driver.epc.victim == number
    driver.epc.enclave_release(number)
    assert (driver.epc.victim, driver.epc.finish_kill()) == (0, 0)
    assert (driver.epc.read("/", "epc.kills"), driver.events("/a")["oom_kill"]) == ("", 0)


def test_the_bulk_path_kills_and_goes_on() -> None:
    epc = Epc.create(1000, nr_groups=8, nr_enclaves=8, nr_enclave_pages=4096)
    group = epc.mkdir("/a")
    tasks = []
    for _ in range(2):
        tasks.append((epc.enclave_create(group, _SIZE)[1], group))
        epc.enclave_init(tasks[-1][0])
    area = int(vepc.create(epc.state, group, 8))
    epc.write("/a", "epc.oom", "kill")
    epc.write("/a", "misc.max", f"sgx_epc {4 * PAGE}")
    references = np.array([0, 1 << 16, 0, 1 << 16 | 1], np.uint32)
    counters = epc.run(references, tasks, page_bits=16)
    invariants.check(epc.state)
    assert (counters.killed, counters.created, counters.hits, counters.no_page) == (1, 1, 1, 2)
    assert area
    assert epc.read("/a", "epc.kills").startswith(f"1 enclave={tasks[1][0]} group=/a level=/a pages=2 over=0")


# The record.


def test_every_kill_is_recorded() -> None:
    buffer = bytearray(Epc.state_nbytes(1000, nr_groups=8, nr_enclaves=4, nr_enclave_pages=4096))
    epc = Epc.create(1000, nr_groups=8, nr_enclaves=4, nr_enclave_pages=4096, buffer=buffer)
    driver = Driver(epc)
    for path in ("/pod", "/pod/a b", "/pod/c", "/other"):
        epc.mkdir(path)
    number = enclave_in(driver, "/pod/a b", 5)
    _full(driver, "/pod/a b")
    driver.fault(number, 9, driver.epc.lookup("/pod/a b"))
    line = f"1 enclave={number} group=/pod/a\\040b level=/pod/a\\040b pages=1 over=0\n"
    for path, text in (("/", line), ("/pod", line), ("/pod/a b", line), ("/pod/c", ""), ("/other", "")):
        assert driver.epc.read(path, "epc.kills") == text
    assert files.Reader.attach(buffer).read("/pod", "epc.kills") == line
    driver.epc.enclave_release(number)
    driver.epc.rmdir("/pod/a b")
    assert (
        driver.epc.read("/pod", "epc.kills") == f"1 enclave={number} group=/pod level=/pod pages=1 over=0\n"
    )


def test_the_record_keeps_the_last_kills() -> None:
    driver = machine(1000, "/a")
    group = driver.epc.lookup("/a")
    for _ in range(kills.NR_KEPT + 4):
        number = enclave_in(driver, "/a", 1)
        _full(driver, "/a")
        assert driver.fault(number, 9, group) is Outcome.NO_PAGE
        driver.epc.enclave_release(number)
        driver.limit("/a", "max")
    numbers = [int(line.split()[0]) for line in driver.epc.read("/a", "epc.kills").splitlines()]
    assert numbers == list(range(5, kills.NR_KEPT + 5))
    assert driver.events("/a")["oom_kill"] == kills.NR_KEPT + 4


def test_a_removed_group_leaves_its_count_when_its_last_page_is_killed() -> None:
    driver = machine(1000, "/pod", "/pod/a")
    asking = enclave_in(driver, "/pod", 1)
    number = enclave_in(driver, "/pod/a", 5)
    driver.epc.rmdir("/pod/a")
    _full(driver, "/pod")
    driver.touch(asking, range(9), driver.epc.lookup("/pod"))
    assert number in driver.killed
    assert driver.events("/pod")["oom_kill"] == len(driver.killed)
    assert "group=/pod level=/pod" in driver.epc.read("/", "epc.kills")
    assert oom.finish_kill(driver.epc.state) == 0
