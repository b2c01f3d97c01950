"""Series ``fair``: an enclave that could never use its pages is refused when it is created."""

import numpy as np
import pytest

from epcgroup.engine import invariants
from epcgroup.errors import AdmissionError, EpcExhaustedError
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome
from tests.unit.engine.driving import PAGE, enclave_in, machine


def test_of_equal_limits_the_nearest_is_named() -> None:
    driver = machine(1000, "/pod", "/pod/a")
    for path in ("/pod", "/pod/a"):
        driver.limit(path, 2)
    with pytest.raises(AdmissionError, match="the limit of /pod/a is 8192"):
        driver.epc.enclave_create(driver.epc.lookup("/pod/a"), 1)


@pytest.mark.parametrize(("size", "floor"), [(1, 3), (511, 3), (512, 4), (1023, 4), (1024, 5)])
def test_an_enclave_that_can_never_be_used_is_refused_when_it_is_created(size: int, floor: int) -> None:
    driver = machine(1000, "/pod", "/pod/a")
    group = driver.epc.lookup("/pod/a")
    driver.limit("/pod", floor - 1)
    driver.limit("/pod/a", floor)
    with pytest.raises(
        AdmissionError, match=rf"{size * PAGE} .*/pod/a .*{floor * PAGE} .*/pod is {(floor - 1) * PAGE}"
    ):
        driver.epc.enclave_create(group, size)
    assert (driver.pages("/pod"), driver.events("/pod/a")["max"]) == (0, 0)
    assert (driver.events("/pod")["max"], driver.events("/pod")["oom"]) == (1, 1)
    assert driver.epc.read("/pod", "misc.events") == "sgx_epc.max 0\n"
    driver.limit("/pod", floor)
    outcome, number = driver.create(group, size)
    assert outcome is Outcome.CREATED
    assert driver.touch(number, range(size), group) == [Outcome.CREATED]


def test_the_capacity_is_a_limit_too_and_other_series_admit_all() -> None:
    driver = machine(4, "/a")
    with pytest.raises(EpcExhaustedError, match="the machine's EPC is 16384"):
        driver.epc.enclave_create(driver.epc.lookup("/a"), 1024)
    driver = machine(4, "/a", series="v17")
    assert driver.create(driver.epc.lookup("/a"), 1024)[0] is Outcome.CREATED


def test_a_limit_lowered_during_creation_undoes_it() -> None:
    driver = machine(1000, "/a")
    enclave_in(driver, "/a", 8)
    group = driver.epc.lookup("/a")
    driver.limit("/a", driver.pages("/a") + 1)
    assert driver.epc.enclave_create(group, 16) == (Outcome.EVICT, 0)
    driver.act()
    driver.limit("/a", 2)
    with pytest.raises(AdmissionError):
        driver.epc.enclave_create(group, 16)
    invariants.check(driver.epc.state)
    assert len(np.nonzero(driver.epc.state.enclaves[:, at.ENCLAVE_KIND])[0]) == 1
