"""The Python face: groups, errors, the buffer, readers in other processes."""

import errno
import mmap

import numpy as np
import pytest

from epcgroup.engine import invariants
from epcgroup.errors import (
    GroupBusyError,
    GroupExistsError,
    NoSuchEnclaveError,
    NoSuchFileError,
    NoSuchGroupError,
    TableFullError,
    UsageError,
)
from epcgroup.face.epc import Epc
from epcgroup.state import files, tree
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome, PageState
from tests.unit.engine.driving import PAGE, enclave_in, machine


def test_tree_of_groups() -> None:
    epc = machine(64, "/a", "/a/b", "/c").epc
    assert epc.paths() == ["/", "/a", "/a/b", "/c"]
    assert epc.path_of(epc.lookup("/a/b")) == "/a/b"
    with pytest.raises(GroupExistsError) as exists:
        epc.mkdir("/a")  # R6
    assert exists.value.errno == errno.EEXIST
    with pytest.raises(GroupBusyError) as busy:
        epc.rmdir("/a")  # R8
    assert busy.value.errno == errno.EBUSY
    with pytest.raises(GroupBusyError):
        epc.rmdir("/")
    with pytest.raises(NoSuchGroupError):
        epc.mkdir("/x/y")
    with pytest.raises(NoSuchGroupError):
        epc.rmdir("/x")
    epc.rmdir("/a/b")
    assert epc.paths() == ["/", "/a", "/c"]


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "a\0b", "x" * 256])
def test_bad_names(name: str) -> None:
    epc = machine(64).epc
    with pytest.raises((UsageError, GroupExistsError)):
        epc.mkdir(f"/{name}")


def test_relative_paths_and_file_names_are_refused() -> None:
    epc = machine(64).epc
    with pytest.raises(NoSuchGroupError):
        epc.mkdir("a")
    with pytest.raises(GroupExistsError):
        epc.mkdir("/misc.max")
    assert epc.mkdir("/" + "x" * 255)
    assert epc.mkdir("/Größe") == epc.lookup("/Größe")


def test_a_new_group_of_an_old_name_is_fresh() -> None:
    driver = machine(200, "/p", "/p/a")
    enclave_in(driver, "/p/a", 10)
    old = driver.epc.lookup("/p/a")
    driver.epc.rmdir("/p/a")  # R9
    new = driver.epc.mkdir("/p/a")  # R10
    assert new != old
    assert driver.pages("/p/a") == 0
    assert driver.pages("/p") == 12
    assert driver.epc.read("/p/a", "misc.events") == "sgx_epc.max 0\n"


def test_tables_have_an_end() -> None:
    epc = Epc.create(64, nr_groups=3, nr_enclaves=1, nr_enclave_pages=64)
    epc.mkdir("/a")
    epc.mkdir("/b")
    with pytest.raises(TableFullError):
        epc.mkdir("/c")
    with pytest.raises(TableFullError):
        epc.enclave_create(1, 65)
    assert epc.enclave_create(1, 64)[0] is Outcome.CREATED
    with pytest.raises(TableFullError):
        epc.enclave_create(1, 1)
    invariants.check(epc.state)


def test_page_ranges_are_used_again() -> None:
    epc = Epc.create(64, nr_enclaves=8, nr_enclave_pages=100)
    made = [epc.enclave_create(1, 25)[1] for _ in range(4)]
    epc.enclave_release(made[1])
    epc.enclave_release(made[2])
    with pytest.raises(TableFullError):
        epc.enclave_create(1, 51)
    assert epc.enclave_create(1, 50)[0] is Outcome.CREATED
    invariants.check(epc.state)


def test_numbers_are_checked() -> None:
    epc = machine(64).epc
    for bad in (0, 3, 999, -1):
        with pytest.raises(NoSuchEnclaveError):
            epc.residents(bad)
        with pytest.raises(NoSuchGroupError):
            epc.oldest(bad if bad != 3 else 7, 1)
    with pytest.raises(UsageError):
        epc.finish(np.zeros(3, np.uint8))


def test_life_of_a_page() -> None:
    driver = machine(200, "/a")
    enclave = enclave_in(driver, "/a", 20)
    epc = driver.epc
    group = epc.lookup("/a")
    assert epc.page_state(enclave, 0) is PageState.RESIDENT
    assert epc.page_state(enclave, 100) is PageState.ABSENT
    assert epc.oldest(group, 3).tolist() == [[enclave, 0], [enclave, 1], [enclave, 2]]
    epc.write("/a", "epc.reclaim", str(3 * PAGE))
    driver.background()
    assert epc.page_state(enclave, 0) is PageState.EVICTED
    assert driver.fault(enclave, 0, group) is Outcome.LOADED
    epc.undo_fault(enclave, 0)
    assert epc.page_state(enclave, 0) is PageState.EVICTED
    epc.drop_evicted(enclave, 0)
    assert epc.page_state(enclave, 0) is PageState.ABSENT
    with pytest.raises(UsageError):
        epc.drop_evicted(enclave, 0)
    with pytest.raises(UsageError):
        epc.undo_fault(enclave, 0)
    assert driver.fault(enclave, 0, group) is Outcome.CREATED
    epc.undo_fault(enclave, 0)
    assert epc.page_state(enclave, 0) is PageState.ABSENT
    epc.forget(enclave, 5)
    assert 5 not in epc.residents(enclave)
    invariants.check(epc.state)
    epc.enclave_release(enclave)
    assert epc.nr_free == 200


def test_uninitialised_enclaves_make_no_pages() -> None:
    driver = machine(64)
    _, enclave = driver.create(1, 16, ready=False)
    assert driver.epc.fault(enclave, 0, 1) is Outcome.NO_PAGE


def test_a_batch_must_be_finished_first() -> None:
    driver = machine(200, "/a")
    enclave_in(driver, "/a", 20)
    driver.epc.write("/a", "epc.reclaim", "max")
    assert driver.epc.isolate() > 0
    with pytest.raises(UsageError):
        driver.epc.isolate()
    before = driver.epc.batch.tolist()
    driver.epc.put_back_batch()
    invariants.check(driver.epc.state)
    assert len(before) == 16
    assert driver.epc.nr_listed(driver.epc.lookup("/a")) == 20


def test_enclave_released_while_its_pages_are_isolated() -> None:
    driver = machine(200, "/a")
    enclave = enclave_in(driver, "/a", 20)
    driver.epc.write("/a", "epc.reclaim", "max")
    nr = driver.epc.isolate()
    driver.epc.enclave_release(enclave)
    driver.epc.finish(np.zeros(nr, np.uint8))
    invariants.check(driver.epc.state)
    assert driver.epc.nr_free == 200


def test_buffer_in_shared_memory_serves_readers() -> None:
    nbytes = Epc.state_nbytes(128, nr_groups=8, nr_enclaves=4, nr_enclave_pages=1024)
    with mmap.mmap(-1, nbytes) as memory:
        epc = Epc.create(128, nr_groups=8, nr_enclaves=4, nr_enclave_pages=1024, buffer=memory)
        epc.mkdir("/a")
        enclave, group = epc.enclave_create(epc.lookup("/a"), 64)[1], epc.lookup("/a")
        epc.enclave_init(enclave)
        epc.fault(enclave, 3, group)
        reader = Epc.attach(memoryview(memory).toreadonly())
        assert reader.paths() == ["/", "/a"]
        assert reader.read("/a", "misc.current") == f"sgx_epc {3 * PAGE}\n"
        epc.fault(enclave, 4, group)
        assert reader.read("/a", "epc.current") == f"{4 * PAGE}\n"
        with pytest.raises(ValueError, match="read-only"):
            reader.state.machine[at.NR_FREE] = 0
        with pytest.raises(NoSuchGroupError):
            reader.read("/b", "misc.current")
        with pytest.raises(NoSuchFileError):
            reader.read("/a", "epc.reclaim")
        with pytest.raises(UsageError):
            Epc.create(128, buffer=memory)
        del reader, epc


@pytest.mark.parametrize("data", [b"", bytes(8192)])
def test_attach_refuses_what_is_no_state(data: bytes) -> None:
    with pytest.raises(UsageError):
        files.Reader.attach(data)


def test_attach_refuses_a_truncated_state() -> None:
    buffer = bytearray(Epc.state_nbytes(64, nr_groups=4, nr_enclaves=4, nr_enclave_pages=64))
    Epc.create(64, nr_groups=4, nr_enclaves=4, nr_enclave_pages=64, buffer=buffer)
    files.Reader.attach(bytes(buffer))
    with pytest.raises(UsageError):
        files.Reader.attach(bytes(buffer[:-4096]))


def test_a_reader_waits_for_a_change_of_the_tree() -> None:
    epc = machine(64, "/a").epc
    epc.state.machine[at.SEQUENCE] += 1  # the owner is in the middle of a change, and died there
    assert tree.consistent(epc.state, lambda: 7) == 7


@pytest.mark.parametrize(
    "sections",
    [[], [(10, 0)] * 9, [(10, 0)], [(64, 8)], [(64, -1)]],
    ids=["none", "nine", "sum", "node", "neg"],
)
def test_bad_sections(sections: list[tuple[int, int]]) -> None:
    with pytest.raises(UsageError):
        Epc.create(64, sections=sections)


def test_unknown_series() -> None:
    with pytest.raises(UsageError, match="mainline, v2, v17, fair"):
        Epc.create(64, series="v18")


def test_membership() -> None:
    epc = machine(64, "/a", "/b").epc
    assert epc.write("/a", "epc.procs", "4711\n") == 5
    epc.write("/a", "epc.procs", "12")
    assert epc.read("/a", "epc.procs") == "12\n4711\n"
    assert epc.group_of_process(4711) == epc.lookup("/a")
    with pytest.raises(GroupBusyError):
        epc.rmdir("/a")
    epc.write("/b", "epc.procs", "4711")
    assert epc.read("/a", "epc.procs") == "12\n"
    epc.detach_process(12)
    epc.detach_process(12)
    epc.rmdir("/a")
    for bad in ("0", "-1", "x", str(2**31)):
        with pytest.raises(UsageError):
            epc.write("/b", "epc.procs", bad)
    assert epc.group_of_process(0) == 0


def test_statistics_of_a_subtree() -> None:
    driver = machine(500, "/p", "/p/a", "/p/b")
    driver.limit("/p/a", 40)
    enclave = enclave_in(driver, "/p/a", 60)
    enclave_in(driver, "/p/b", 10)
    figures = files.statistics(driver.epc.state, driver.epc.lookup("/p"))
    evicted = len(driver.written)
    assert figures["resident"] == (70 - evicted) * PAGE
    assert figures["evicted"] == evicted * PAGE
    assert (figures["va"], figures["secs"]) == (2 * PAGE, 2 * PAGE)
    assert (figures["created"], figures["faults"]) == (70, 70)
    assert figures["reclaimed"] == evicted
    driver.epc.rmdir("/p/b")
    driver.epc.account_stall(driver.epc.lookup("/p/a"), 1500)
    driver.epc.enclave_release(enclave)
    driver.epc.rmdir("/p/a")
    kept = files.statistics(driver.epc.state, driver.epc.lookup("/p"))
    assert (kept["created"], kept["stall_usec"]) == (70, 1500)


def test_refaults_are_reloads_a_little_more_memory_would_have_saved() -> None:
    for working_set, thrashes in ((60, True), (400, False)):
        driver = machine(1000, "/a")
        driver.limit("/a", 50)
        enclave = enclave_in(driver, "/a", working_set)
        driver.touch(enclave, range(working_set), driver.epc.lookup("/a"))
        figures = files.statistics(driver.epc.state, driver.epc.lookup("/a"))
        assert figures["loaded"] > 0
        assert (figures["refaults"] > figures["loaded"] // 2) is thrashes


def test_mainline_counts_without_limits() -> None:
    driver = machine(100, "/a", series="mainline")
    with pytest.raises(UsageError):
        driver.epc.write("/a", "misc.max", "sgx_epc 4096")
    enclave = enclave_in(driver, "/a", 60)
    driver.background()
    driver.touch(enclave, range(60, 95), driver.epc.lookup("/a"))
    assert driver.epc.read("/a", "misc.current") == ""
    assert driver.pages("/a") > 0
    assert "epc.high" not in driver.epc.files("/a")
