"""Conformance cases 1 to 9 of the description of the kernel: the files of the misc controller.

Mainline does not know ``sgx_epc``; there the same files are looked at through ``sev``: every resource
shares them.
"""

import pytest

from epcgroup.state import layout as at
from tests.conformance.playing import EVERY, LIMITED, PAGE, Machine

_INVALID, _RANGE = "-22", "-34"
_MAX = "max"


def _resource(series: str) -> str:
    return "sev" if series == "mainline" else "sgx_epc"


def _machine(series: str, *paths: str) -> tuple[Machine, str]:
    """A machine whose resource has a capacity, and the name of that resource."""
    machine = Machine(256, series)
    if series == "mainline":
        machine.do("cap sev 1048576")
    for path in paths:
        machine.do(f"mkdir {path}")
    return machine, _resource(series)


@pytest.mark.parametrize("series", EVERY)
def test_case_01_files_of_a_fresh_group(series: str) -> None:
    machine, name = _machine(series, "/a")
    files = machine.files("/a")
    assert files["misc.max"] == rf"{name} max\n"
    assert files["misc.current"] == rf"{name} 0\n"
    assert files["misc.events"] == rf"{name}.max 0\n"


@pytest.mark.parametrize("series", ["mainline", "v17", "fair"])
def test_case_02_peak_and_local_events_of_a_fresh_group(series: str) -> None:
    machine, name = _machine(series, "/a")
    files = machine.files("/a")
    assert files["misc.peak"] == rf"{name} 0\n"
    assert files["misc.events.local"] == rf"{name}.max 0\n"


@pytest.mark.parametrize("series", EVERY)
def test_case_03_files_of_the_root(series: str) -> None:
    machine, name = _machine(series)
    expected = {"misc.capacity"} if series == "v2" else {"misc.capacity", "misc.current", "misc.peak"}
    files = machine.files("/")
    assert set(files) == expected
    assert files["misc.capacity"] == rf"{name} 1048576\n"
    for absent in {"misc.max", "misc.events", "misc.events.local", "misc.current"} - expected:
        assert machine.do(f"cat / {absent}")["ret"] == "-2"
    assert machine.do(f'write / misc.max "{name} 1"') == {"ret": "-2"}


@pytest.mark.parametrize("series", EVERY)
def test_case_04_no_capacity_below_the_root(series: str) -> None:
    machine, _ = _machine(series, "/a")
    assert "misc.capacity" not in machine.files("/a")
    assert machine.do("cat /a misc.capacity")["ret"] == "-2"


@pytest.mark.parametrize("series", EVERY)
def test_case_05_without_capacity_the_resource_is_absent(series: str) -> None:
    machine, name = _machine(series, "/a")
    machine.do(f"cap {name} 0")
    assert machine.files("/")["misc.capacity"] == ""
    assert {machine.files("/a")[file] for file in ("misc.max", "misc.current", "misc.events")} == {""}
    before = machine.state.groups.copy()
    assert machine.do(f'write /a misc.max "{name} 4096"') == {"ret": _INVALID}
    assert machine.do(f"charge /a {name} 4096") == {"ret": _INVALID}
    assert machine.do(f"charge /a {name} 0") == {"ret": _INVALID}
    assert (machine.state.groups == before).all()


#: Input, what it returns (None: bytes taken), what is read back then. ``@`` is the name of the resource.
_WRITES = [
    ("@ 8192", None, "8192"),
    (r"@ 8192\n", None, "8192"),
    ("  @ 8192  ", None, "8192"),
    ("@ max", None, _MAX),
    ("@ 0", None, "0"),
    ("@ 0x2000", None, "8192"),
    ("@ 020000", None, "8192"),
    ("@ +8192", None, "8192"),
    ("@ 0X1f", None, "31"),
    ("@ +0x10", None, "16"),
    ("@ 5000", None, "5000"),
    ("@ 18446744073709551615", None, _MAX),
    ("@ 18446744073709551614", None, "18446744073709551614"),
    *(
        (text, _RANGE, "12288")
        for text in (
            "@ 18446744073709551616",
            "@ 0x10000000000000000",
            "@ 99999999999999999999zz",
        )
    ),
    *(
        (f"@ {value}", _INVALID, "12288")
        for value in "-1 4K 1.5 08 0x 0b11 ++1 1_000 MAX".split()  # noqa: SIM905
    ),
    *(
        (text, _INVALID, "12288")
        for text in (
            "@ max x",
            "@ 4096 8192",
            "@  8192",
            r"@\t8192",
            "@",
            "8192",
            "max",
            r"\n",
            r"@ 4096\nsev_es 1",
            r"@ max\n@ 0",
            "SGX_EPC 4096",
            "foo 1",
            "foo 99999999999999999999999",
        )
    ),
]


@pytest.mark.parametrize("series", EVERY)
@pytest.mark.parametrize(("text", "refusal", "value"), _WRITES)
def test_case_06_every_row_of_the_grammar(series: str, text: str, refusal: str | None, value: str) -> None:
    machine, name = _machine(series, "/a")
    machine.do(f'write /a misc.max "{name} 12288"')
    written = text.replace("@", name)
    taken = len(written.encode().decode("unicode_escape"))
    assert machine.do(f'write /a misc.max "{written}"') == {"ret": refusal or str(taken)}
    assert machine.files("/a")["misc.max"] == rf"{name} {value}\n"


@pytest.mark.parametrize("series", EVERY)
def test_case_06_number_before_capacity(series: str) -> None:
    machine, name = _machine(series, "/a")
    machine.do(f"cap {name} 0")
    assert machine.do(f'write /a misc.max "{name} 4096"') == {"ret": _INVALID}
    assert machine.do(f'write /a misc.max "{name} 18446744073709551616"') == {"ret": _RANGE}


@pytest.mark.parametrize(("series", "events"), [("v2", 6), ("v17", 1)])
def test_case_07_limit_of_10000_bytes_holds_two_pages(series: str, events: int) -> None:
    machine, _ = _machine(series, "/a")
    machine.do('write /a misc.max "sgx_epc 10000"', "proc p /a")
    assert machine.files("/a")["misc.max"] == r"sgx_epc 10000\n"
    assert machine.do("enclave E p") == {"ret": "0"}
    assert machine.do("add E 1") == {"ret": "-12", "count": "0"}
    assert machine.files("/a")["misc.current"] == r"sgx_epc 8192\n"
    assert machine.events("/a") == events


def test_case_07_fair_does_not_admit_the_enclave() -> None:
    """SECS and VA page fill the limit: no page of contents could ever be added."""
    machine, _ = _machine("fair", "/a")
    machine.do('write /a misc.max "sgx_epc 10000"', "proc p /a")
    assert machine.do("enclave E p") == {"ret": "-12", "step": "create"}
    assert (machine.pages("/a"), machine.events("/a")) == (0, 0)


@pytest.mark.parametrize("series", EVERY)
def test_case_08_limit_above_capacity_is_accepted(series: str) -> None:
    machine, name = _machine(series, "/a")
    assert int(machine.do(f'write /a misc.max "{name} 1099511627776"')["ret"]) > 0
    assert machine.files("/a")["misc.max"] == rf"{name} 1099511627776\n"


@pytest.mark.parametrize("series", [*LIMITED, "fair"])
def test_case_09_last_write_wins_and_leaves_other_resources(series: str) -> None:
    machine, _ = _machine(series, "/a")
    machine.do("cap sev 100", 'write /a misc.max "sev 7"')
    machine.do(f'write /a misc.max "sgx_epc {PAGE}"', f'write /a misc.max "sgx_epc {2 * PAGE}"')
    assert machine.files("/a")["misc.max"] == r"sev 7\nsgx_epc 8192\n"
    assert machine.word("/a", at.GROUP_MAX) == 2 * PAGE
