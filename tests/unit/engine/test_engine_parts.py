"""Small parts: series as data, layout, numbers, sections, pressure, kills, plain Python."""

import os
import subprocess
import sys

import numpy as np
import pytest

from epcgroup.engine import allocate, enclave, fault, lists, oom, page, section, vepc
from epcgroup.errors import InvalidLimitError, LimitRangeError, TableFullError, UsageError
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from epcgroup.state import limit, pressure
from epcgroup.state import series as on
from epcgroup.state.outcome import Outcome
from tests.unit.engine.driving import PAGE, enclave_in, machine


def test_words_of_a_series_are_where_the_constants_say() -> None:
    words = on.words(on.SERIES["v2"])
    for index, name in enumerate(on.FIELDS):
        constant = "SGX2_DEFAULT" if name == "sgx2" else name.upper()
        assert getattr(on, constant) == at.TUNABLES + index
        assert words[index] == getattr(on.SERIES["v2"], name)
    assert len(words) == at.NR_TUNABLES


def test_layout_does_not_overlap() -> None:
    assert at.SECTIONS + at.NR_SECTIONS * at.SECTION_WORDS <= at.NODES
    assert at.NODES + 2 * at.NR_NODES <= at.CONTEXT_ALLOCATION
    assert at.CONTEXT_WRITE + at.CONTEXT_WORDS <= at.TUNABLES
    assert at.TUNABLES + at.NR_TUNABLES <= at.BATCH
    assert at.BATCH + at.BATCH_ROWS * at.BATCH_COLUMNS <= at.MACHINE_WORDS
    assert at.HARDWARE + len(at.HARDWARE_NAMES) <= at.SECTIONS
    assert at.GROUP_COUNTERS + at.COUNTERS * len(at.RESOURCES) <= at.GROUP_STATISTICS
    assert at.GROUP_PRESSURE + 3 <= at.GROUP_COLUMNS
    assert len(at.STAT_NAMES) == at.NR_STATISTICS


def test_an_unused_state_costs_no_memory() -> None:
    """All zero beyond the first words: a sparse file stays sparse."""
    epc = Epc.create(1 << 16)
    assert not epc.state.frames.any()
    assert not epc.state.pages.any()
    assert epc.state.frames.nbytes == (1 + (1 << 16)) * 24


@pytest.mark.parametrize("value", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_bit_patterns(value: int) -> None:
    assert at.unsigned(at.signed(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("4096", 4096), ("max", 2**64 - 1), ("64Mi", 64 << 20), ("1.5Ki\n", 1536), ("0x10", 16), (" 7 ", 7)],
)
def test_sizes_of_our_files(text: str, value: int) -> None:
    assert limit.parse_bytes(text) == value


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(LimitRangeError):
        limit.parse_bytes("99999999999Ti")
    with pytest.raises(InvalidLimitError):
        limit.parse_bytes("1.5")


def test_free_pages_first_in_first_out_nearest_node_first() -> None:
    epc = Epc.create(6, series="v17", sections=[(2, 0), (2, 3), (2, 0)])
    state = epc.state
    state.machine[at.NODE] = 3
    order = [section.take(state) for _ in range(6)]
    assert order == [3, 4, 1, 2, 5, 6]  # its own node, then cyclically from node 4 on
    assert section.take(state) == 0
    for frame in (2, 4, 1):
        section.give(state, frame)
    assert [section.take(state) for _ in range(3)] == [4, 2, 1]


def test_a_poisoned_page_is_counted_and_never_handed_out() -> None:
    driver = machine(20, "/a")
    made = enclave_in(driver, "/a", 5)
    frame = int(driver.epc.state.pages[driver.epc.state.enclaves[made, at.ENCLAVE_OFFSET]])
    page.poison(driver.epc.state, frame)
    driver.epc.enclave_release(made)
    assert driver.epc.nr_free == 20
    taken = [section.take(driver.epc.state) for _ in range(20)]
    assert frame not in taken
    assert taken.count(0) == 1


def test_guest_pages_are_charged_and_never_reclaimed() -> None:
    driver = machine(100, "/a", series="v17")
    driver.limit("/a", 10)
    state, group = driver.epc.state, driver.epc.lookup("/a")
    area = vepc.create(state, group, 32)
    answers = [vepc.access(state, area, index, group, False) for index in range(11)]
    assert answers == [Outcome.CREATED] * 10 + [Outcome.REFUSED]
    assert vepc.access(state, area, 0, group, False) == Outcome.HIT
    assert driver.epc.nr_listed(group) == 0
    vepc.release(state, area)
    assert driver.pages("/a") == 0


def test_kill_takes_the_owner_of_the_oldest_entry() -> None:
    driver = machine(100, "/a", series="v2")
    state, group = driver.epc.state, driver.epc.lookup("/a")
    area = vepc.create(state, group, 8)
    vepc.access(state, area, 0, group, False)
    first, second = (driver.create(group, 16, ready=False)[1] for _ in range(2))
    assert oom.kill(state, group) == first
    assert driver.pages("/a") == 3
    assert oom.kill(state, group) == second
    assert oom.kill(state, group) == 0
    assert driver.events("/a")["oom_kill"] == 2


def test_pressure() -> None:
    driver = machine(64, "/a", "/a/b")
    epc = driver.epc
    assert epc.read("/a", "epc.pressure") == "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    for _ in range(30):
        epc.account_stall(epc.lookup("/a/b"), 1_000_000)
        epc.tick(2_000_000)
    text = epc.read("/a", "epc.pressure")
    assert text.startswith("some avg10=49.8")
    assert text.endswith("total=30000000\n")
    assert epc.read("/a/b", "epc.pressure") == text
    for _ in range(60):
        epc.tick(2_000_000)
    assert epc.read("/a", "epc.pressure").startswith("some avg10=0.00 ")
    epc.account_stall(epc.lookup("/a"), 10**9)
    epc.tick(1000)
    assert pressure.text(epc.state, epc.lookup("/a")).count("avg") == 3


def test_a_step_for_another_group_gives_the_held_page_back() -> None:
    driver = machine(100, "/a", "/b")
    state = driver.epc.state
    made = driver.create(driver.epc.lookup("/a"), 16)[1]
    assert enclave.hold(state, made, driver.epc.lookup("/a"), True, False) > 0
    assert enclave.hold(state, made, driver.epc.lookup("/b"), True, False) > 0
    assert (driver.pages("/a"), driver.pages("/b")) == (2, 1)
    driver.epc.enclave_release(made)
    assert driver.epc.nr_free == 100


def test_abandoned_creation_leaves_nothing() -> None:
    driver = machine(100, "/a", "/b")
    driver.limit("/a", 20)
    made = enclave_in(driver, "/a", 18)
    driver.limit("/a", 20)
    outcome, _ = driver.epc.enclave_create(driver.epc.lookup("/a"), 16)
    while outcome is Outcome.EVICT:
        driver.act()
        outcome, _ = driver.epc.enclave_create(driver.epc.lookup("/b"), 32)
    assert outcome is Outcome.CREATED
    driver.epc.enclave_release(made)
    assert driver.pages("/a") == 0
    assert driver.pages("/b") in (0, 2)


def test_the_same_source_runs_as_plain_python() -> None:
    """The trace of a small script, without the compiler."""
    program = (
        "from epcgroup.conformance.replay import replay\n"
        "script = 'boot 96\\nmkdir /a\\nmax /a 20\\nproc p /a\\nenclave E p 64\\nadd E 40\\ninit E\\n'"
        "'touch E 0-9\\nwork\\nksgxd\\nexit p\\n'\n"
        "for series in ('mainline', 'v2', 'v17', 'fair'): print(replay(script, series))\n"
    )
    texts = []
    for disabled in ("1", "0"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
        texts.append(done.stdout)
    assert texts[0] == texts[1]
    assert texts[0].count("END ok") == 4


def test_readers_stay_light() -> None:
    """Rendering files in another process imports no compiler."""
    program = (
        "import sys, epcgroup.state.files, epcgroup.state.layout\n"
        "print([name for name in ('numba', 'epcgroup.compiled.jit') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_custom_series() -> None:
    epc = Epc.create(64, series=on.Series(nr_to_scan=4))
    assert epc.series == "custom"
    with pytest.raises(UsageError):
        on.find("custom")
    assert PAGE == page.PAGE_BYTES


def test_the_engines_own_marks_age_a_batch() -> None:
    """A machine without page tables (a simulator) sets PAGE_ACCESSED and lets the engine decide."""
    driver = machine(200, "/a")
    made = enclave_in(driver, "/a", 16)
    epc = driver.epc
    offset = int(epc.state.enclaves[made, at.ENCLAVE_OFFSET])
    epc.state.marks[offset + 3] |= at.PAGE_ACCESSED
    epc.write("/a", "epc.reclaim", "max")
    assert epc.isolate() == 16
    outcomes = epc.age()
    assert outcomes.tolist() == [0, 0, 0, 1] + [0] * 12
    assert not epc.state.marks[offset + 3] & at.PAGE_ACCESSED
    epc.state.machine[at.BATCH_MAX_WRITTEN] = 5
    assert epc.age().tolist() == [0] * 5 + [1] * 11
    epc.state.marks[offset] |= at.PAGE_ACCESSED
    epc.state.machine[at.BATCH_IGNORE_AGE] = 1
    assert epc.age().tolist()[0] == 0
    epc.put_back_batch()


def _short_of_pages(series: str) -> tuple[int, int]:
    """Free lists empty below the capacity (poison): outcomes of an allocation without and with a signal."""
    driver = machine(60, "/a", "/b", series=series)
    made = [enclave_in(driver, path, 10) for path in ("/a", "/b")]
    filler = enclave_in(driver, "/a", 30)
    offset = int(driver.epc.state.enclaves[filler, at.ENCLAVE_OFFSET])
    for index in range(30):
        page.poison(driver.epc.state, int(driver.epc.state.pages[offset + index]))
    driver.epc.enclave_release(filler)
    while section.take(driver.epc.state):
        pass  # nobody owns these: the laws are not checked here
    state, group = driver.epc.state, driver.epc.lookup("/a")
    refused = allocate.page_of(state, group, False, False)
    interrupted = allocate.page_of(state, group, True, True)
    assert made
    first = allocate.page_of(state, group, True, False)
    assert first == allocate.EVICT
    batch = len(driver.epc.batch)
    driver.epc.finish(np.ones(batch, np.uint8))
    assert (
        allocate.page_of(state, group, True, False) == allocate.EVICT
    )  # 16 wanted: goes on to the next list
    driver.epc.finish(np.zeros(len(driver.epc.batch), np.uint8))
    assert allocate.page_of(state, group, True, False) > 0
    return refused, interrupted


def test_free_lists_empty_below_the_capacity() -> None:
    assert _short_of_pages("v17") == (allocate.BUSY, allocate.INTERRUPTED)


def test_nothing_reclaimable_on_an_empty_machine() -> None:
    driver = machine(4, "/a", series="v17")
    enclave_in(driver, "/a", 0)
    while section.take(driver.epc.state):
        pass
    assert allocate.page_of(driver.epc.state, 1, True, False) == allocate.REFUSED


def test_undo_gives_the_va_page_back_that_was_due() -> None:
    for series in ("fair", "v17"):
        driver = machine(1000, "/a", series=series)
        made = enclave_in(driver, "/a", 511)
        before = driver.pages("/a")
        assert driver.fault(made, 511, driver.epc.lookup("/a")) is Outcome.CREATED
        assert driver.pages("/a") == before + 2
        driver.epc.undo_fault(made, 511)
        assert driver.pages("/a") == before
        driver.epc.enclave_release(made)


def test_a_va_page_that_is_refused_undoes_the_page() -> None:
    driver = machine(2000, "/a", series="v17")
    made = enclave_in(driver, "/a", 511)
    driver.limit("/a", driver.pages("/a") + 1)
    group = driver.epc.lookup("/a")
    assert driver.epc.fault(made, 511, group) is Outcome.BUSY
    assert driver.pages("/a") == 513
    assert fault.access(driver.epc.state, made, 511, group, True) == Outcome.INTERRUPTED
    assert driver.pages("/a") == 513


def test_the_table_of_members_has_an_end() -> None:
    epc = machine(64, "/a").epc
    epc.names.processes[:] = (1, 2)
    epc.state.groups[2, at.GROUP_NR_PROCESSES] = len(epc.names.processes)
    with pytest.raises(TableFullError):
        epc.attach_process(7, 2)


def test_broken_free_lists_are_noticed() -> None:
    state = machine(8).epc.state
    seen = np.zeros(9, np.int32)
    assert lists.mark_free(state, seen, 1) == 8
    assert lists.mark_free(state, seen, 1) == -1  # everything seen twice
    for _ in range(2):
        section.give(state, section.take(state))
    state.machine[at.NODES + 1] = 5
    assert lists.mark_free(state, np.zeros(9, np.int32), 1) == -1
    state.frames[1, at.FRAME_NEXT] = 1
    assert lists.mark_free(state, np.zeros(9, np.int32), 1) == -1


def test_reclaim_in_advance_in_v2_is_global_only() -> None:
    driver = machine(64, "/a", series="v2")
    made = enclave_in(driver, "/a", 0)
    group = driver.epc.lookup("/a")
    driver.epc.state.machine[at.SGX2] = 0
    for index in range(40):
        while enclave.add(driver.epc.state, made, index, group, False) == allocate.EVICT:
            driver.act()
    assert allocate.reclaim_direct(driver.epc.state, group, 0) == 2
    driver.act()
    assert allocate.reclaim_direct(driver.epc.state, group, 2) == 0


def test_a_free_page_that_fails_leaves_its_list_at_once() -> None:
    epc = Epc.create(8, series="v17", nr_groups=2, nr_enclaves=2, nr_enclave_pages=16)
    state = epc.state
    used = [int(section.take(state)) for _ in range(4)]
    for frame in used[:3]:
        section.give(state, frame)
    for failed in (used[1], used[2], used[0], 6):  # in the middle, last, first, never used
        page.poison(state, failed)
        page.poison(state, failed)
        seen = np.zeros(len(state.frames), np.int32)
        assert lists.mark_free(state, seen, 1) >= 0
        assert not seen[failed]
    assert epc.nr_free == 7
    assert [int(section.take(state)) for _ in range(4)] == [5, 7, 8, 0]
