"""Series ``fair``: every deviation that docs/series.md lists, with the behaviour of v17 beside it."""

import pytest

from epcgroup.engine import vepc
from epcgroup.errors import AdmissionError, UsageError
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome
from epcgroup.units import LIMIT_MAX
from tests.unit.engine.driving import PAGE, Driver, enclave_in, machine


def _sibling_holds_all(series: str) -> tuple[Driver, int]:
    """/pod max 60: /pod/b holds nearly all of it, /pod/c nothing."""
    driver = machine(1000, "/pod", "/pod/b", "/pod/c", series=series)
    enclave_in(driver, "/pod/b", 58)
    driver.limit("/pod", 60)
    return driver, driver.epc.lookup("/pod/c")


def test_refusal_by_a_parent_reclaims_the_parents_subtree() -> None:
    driver, group = _sibling_holds_all("fair")
    outcome, enclave = driver.create(group, 64)
    assert outcome is Outcome.CREATED
    assert driver.touch(enclave, range(20), group) == [Outcome.CREATED]
    assert driver.written
    literal, group = _sibling_holds_all("v17")
    assert literal.create(group, 64)[0] is Outcome.REFUSED  # S2


def test_a_full_machine_reclaims_globally() -> None:
    for series, expected in (("fair", Outcome.CREATED), ("v17", Outcome.REFUSED)):  # S8
        driver = machine(100, "/a", "/b", series=series)
        enclave_in(driver, "/a", 98)
        assert driver.epc.nr_free == 0
        assert driver.create(driver.epc.lookup("/b"), 16)[0] is expected


def test_a_fault_at_the_limit_reclaims_itself() -> None:
    for series, expected in (("fair", [Outcome.CREATED]), ("v17", [Outcome.CREATED, Outcome.BUSY])):
        driver = machine(1000, "/a", series=series)
        driver.limit("/a", 40)
        outcome, enclave = driver.create(driver.epc.lookup("/a"), 256)
        assert outcome is Outcome.CREATED
        assert driver.touch(enclave, range(60), driver.epc.lookup("/a")) == expected


def test_usage_never_exceeds_the_limit_at_charge_time() -> None:
    driver = machine(500, "/a")
    driver.limit("/a", 40)
    group = driver.epc.lookup("/a")
    _, enclave = driver.create(group, 256)
    for page in range(200):
        driver.fault(enclave, page, group)
        assert driver.pages("/a") <= 40
        if page % 10 == 0:
            driver.background()
    assert int(driver.epc.read("/a", "epc.peak")) <= 40 * PAGE


def test_one_event_for_each_refused_allocation() -> None:
    """misc.events counts attempts as the kernel does, epc.events allocations."""
    driver = machine(500, "/a")
    driver.limit("/a", 40)
    enclave = enclave_in(driver, "/a", 38)
    driver.young = {(enclave, page) for page in range(38)}
    before = driver.word("/a", at.GROUP_EVENTS), driver.events("/a")["max"]
    assert driver.fault(enclave, 100, driver.epc.lookup("/a")) is Outcome.CREATED
    attempts = driver.word("/a", at.GROUP_EVENTS) - before[0]
    assert attempts > 2
    assert driver.events("/a")["max"] - before[1] == 1


def test_a_refused_creation_is_one_event_too() -> None:
    driver = machine(500, "/a")
    enclave_in(driver, "/a", 0)
    enclave_in(driver, "/a", 0)
    driver.limit("/a", 4)
    assert driver.create(driver.epc.lookup("/a"), 16)[0] is Outcome.REFUSED
    assert driver.pages("/a") == 4
    assert (driver.events("/a")["max"], driver.events("/a")["oom"]) == (1, 1)


def test_background_keeps_room_below_the_limit() -> None:
    driver = machine(2000, "/a", "/big")
    for path, limit, room in (("/a", 80, 10), ("/big", 1000, 32)):
        driver.limit(path, limit)
        enclave_in(driver, path, limit - 5, 4096)
        driver.background()
        assert driver.pages(path) <= limit - room
        assert driver.pages(path) >= limit - room - 16


def test_a_lowered_limit_is_worked_off_without_stopping_the_writer() -> None:
    driver = machine(1000, "/a")
    enclave_in(driver, "/a", 200)
    driver.limit("/a", 50)
    assert driver.pages("/a") == 202
    assert driver.epc.has_work()
    driver.background()
    assert driver.pages("/a") <= 50
    assert set(driver.causes) == {driver.epc.lookup("/a")}


def test_v17_does_nothing_on_a_lowered_limit() -> None:
    driver = machine(1000, "/a", series="v17")
    enclave_in(driver, "/a", 200)
    driver.limit("/a", 50)
    assert not driver.epc.has_work()


def test_global_reclaim_spares_groups_that_have_room() -> None:
    """The machine is short: a group at its limit gives, one well inside its limit keeps every page."""
    driver = machine(300, "/victim", "/greedy")
    driver.limit("/victim", 150)
    driver.limit("/greedy", 150)
    victim = enclave_in(driver, "/victim", 118)
    greedy = enclave_in(driver, "/greedy", 145)
    group = driver.epc.lookup("/greedy")
    for page in range(145, 900):
        driver.fault(greedy, page, group)
        driver.background()
    assert len(driver.epc.residents(victim)) == 118
    assert all(enclave == greedy for enclave, _ in driver.written)


def test_low_protects_until_nothing_else_is_left() -> None:
    driver = machine(120, "/safe", "/other")
    driver.epc.write("/safe", "epc.low", str(60 * PAGE))
    safe = enclave_in(driver, "/safe", 50)
    other = enclave_in(driver, "/other", 40)
    group = driver.epc.lookup("/other")
    driver.touch(other, range(40, 200), group)
    assert len(driver.epc.residents(safe)) == 50
    assert driver.events("/safe")["low"] == 0
    for path in ("/safe", "/other"):
        driver.epc.write(path, "epc.low", "max")
    assert driver.touch(other, range(200, 260), group) == [Outcome.CREATED]
    assert len(driver.epc.residents(safe)) < 50
    assert driver.events("/safe")["low"] > 0


def test_high_is_worked_off_and_never_refuses() -> None:
    driver = machine(1000, "/a")
    driver.epc.write("/a", "epc.high", "160Ki")
    assert driver.epc.read("/a", "epc.high") == f"{40 * PAGE}\n"
    enclave = enclave_in(driver, "/a", 100)
    assert driver.pages("/a") == 102
    driver.background()
    assert driver.pages("/a") <= 40
    assert driver.events("/a")["high"] >= 1
    assert driver.fault(enclave, 300, driver.epc.lookup("/a")) is Outcome.CREATED


def test_forced_reclaim_takes_what_was_asked_for() -> None:
    driver = machine(1000, "/a", "/a/b")
    enclave_in(driver, "/a/b", 100)
    assert driver.epc.write("/a", "epc.reclaim", str(30 * PAGE)) > 0
    driver.background()
    assert len(driver.written) == 30
    assert driver.events("/a")["forced"] == 1
    driver.epc.write("/a", "epc.reclaim", "max")
    driver.background()
    assert driver.pages("/a") == 1  # the VA page stays


def test_small_groups_are_not_emptied_by_one_batch() -> None:
    driver = machine(1000, "/a")
    driver.limit("/a", 20)
    enclave = enclave_in(driver, "/a", 18)
    driver.fault(enclave, 100, driver.epc.lookup("/a"))
    assert len(driver.batches[0]) <= 3


def test_a_full_backing_store_ends_in_a_refusal() -> None:
    driver = machine(1000, "/a")
    driver.limit("/a", 40)
    enclave = enclave_in(driver, "/a", 30)
    driver.failing = True
    answers = driver.touch(enclave, range(30, 60), driver.epc.lookup("/a"))
    assert answers[-1] is Outcome.REFUSED
    driver.background()
    driver.failing = False
    assert driver.fault(enclave, 100, driver.epc.lookup("/a")) is Outcome.CREATED


def test_a_limit_of_zero_refuses_everything() -> None:
    driver = machine(100, "/a")
    driver.limit("/a", 0)
    with pytest.raises(AdmissionError):
        driver.create(driver.epc.lookup("/a"), 16)
    assert driver.pages("/a") == 0


def test_only_overhead_left_is_refused_at_once() -> None:
    driver = machine(100, "/a")
    enclave = enclave_in(driver, "/a", 0)
    driver.limit("/a", 2)
    assert driver.fault(enclave, 0, driver.epc.lookup("/a")) is Outcome.REFUSED
    assert driver.pages("/a") == 2


def test_va_pages_do_not_pile_up_when_pages_come_and_go() -> None:
    for series, expected in (("fair", 2), ("v17", 5)):
        driver = machine(2000, "/a", series=series)
        enclave = enclave_in(driver, "/a", 512)  # with the SECS one more than one VA page has slots for
        assert driver.epc.state.enclaves[enclave, at.ENCLAVE_NR_VA] == 2
        for _ in range(3):
            driver.epc.forget(enclave, 0)
            driver.fault(enclave, 0, driver.epc.lookup("/a"))
        assert driver.epc.state.enclaves[enclave, at.ENCLAVE_NR_VA] == expected


@pytest.mark.parametrize("text", ["12x", "", "-1", "1.0001Ki", "99999999999999999999"])
def test_soft_limits_refuse_what_is_no_size(text: str) -> None:
    driver = machine(100, "/a")
    if text:
        with pytest.raises(UsageError):
            driver.epc.write("/a", "epc.high", text)
    else:
        assert driver.epc.write("/a", "epc.high", text) == 0
    assert driver.word("/a", at.GROUP_HIGH) == at.signed(LIMIT_MAX)


def test_a_guest_over_its_limit_is_refused_and_counted() -> None:
    driver = machine(1000, "/a", series="fair")
    driver.limit("/a", 3)
    group = driver.epc.lookup("/a")
    area = int(vepc.create(driver.epc.state, group, 8))
    answers = [
        Outcome(int(vepc.access(driver.epc.state, area, page, group, False))) for page in (0, 1, 2, 3, 3)
    ]
    assert answers == [Outcome.CREATED] * 3 + [Outcome.REFUSED] * 2
    events = driver.events("/a")
    assert (events["max"], events["oom"]) == (2, 2)
    assert driver.pages("/a") == 3
