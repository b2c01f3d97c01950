"""Series ``fair``: the player carries kills out. The kernel has no such file; v2's kills: its own cases."""

import pytest

from tests.conformance.playing import LIMITED, Machine


def test_a_fault_kills_and_goes_on() -> None:
    machine = Machine(1000, "fair")
    machine.do("mkdir /a")
    machine.build("E", "/a", 0, ready=True)
    machine.build("F", "/a", 0)
    assert machine.do('write /a epc.oom "kill"') == {"ret": "4"}
    machine.do("max /a 4")
    assert machine.do("touch E 0-1") == {"hit": "0", "load": "2"}
    assert machine.do("touch F 0") == {"err": "oomkilled"}
    assert machine.do("close F", "exit pF") == {"ret": "0"}
    assert machine.do("cat /a epc.kills")["ret"] == str(len("1 enclave=2 group=/a level=/a pages=2 over=0\n"))


def test_the_enclave_that_adds_or_faults_may_be_the_one_that_goes() -> None:
    machine = Machine(1000, "fair")
    machine.do("mkdir /a")
    machine.build("E", "/a", 3)
    machine.do('write /a epc.oom "kill"', "max /a 5", "failback 100")
    assert machine.do("add E 2") == {"ret": "-12", "count": "0"}
    machine.build("G", "/a", 0, ready=True)
    machine.do("max /a 2")
    assert machine.do("touch G 0") == {"hit": "0", "load": "0", "stop": "sigbus@0"}
    assert machine.pages("/a") == 0


def test_a_call_on_a_page_of_the_victim_fails() -> None:
    """The page of an SGX2 call has to be loaded, and its own enclave dies for it."""
    machine = Machine(1000, "fair")
    machine.do("mkdir /a")
    machine.build("E", "/a", 2, ready=True)
    machine.reclaim("/a", 40)
    machine.do('write /a epc.oom "kill"', "max /a 1")
    assert machine.pages("/a") == 1
    assert machine.do("modp E 0 1") == {"ret": "-14", "count": "0"}
    assert machine.do("modp E 0 1") == {"err": "oomkilled"}


@pytest.mark.parametrize("series", LIMITED)
def test_other_series_have_no_such_file(series: str) -> None:
    machine = Machine(1000, series)
    assert machine.do("mkdir /a", 'write /a epc.oom "kill"') == {"ret": "-2"}
    assert machine.do("cat /a epc.kills")["ret"] == "-2"


def test_what_is_no_policy_is_refused() -> None:
    machine = Machine(1000, "fair")
    assert machine.do("mkdir /a", 'write /a epc.oom "maybe"') == {"ret": "-22"}
    assert machine.do('write /a epc.kills "kill"') == {"ret": "-13"}
