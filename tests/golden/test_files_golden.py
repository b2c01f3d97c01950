"""File texts and the grammar of ``misc.max`` against vectors observed on a running kernel."""

import errno
import json
from pathlib import Path

import pytest

from epcgroup.engine import invariants, misc
from epcgroup.errors import NoSuchFileError, TooLongError, UsageError
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at

_VECTORS = json.loads(Path(__file__).with_name("files_max_writes.json").read_text())
_SEV, _SEV_ES = 0, 1


def _machine(sev: int = 100, sev_es: int = 50) -> Epc:
    """A kernel with two resources, groups /a, /a/b and /c; ``sgx_epc`` hidden by capacity 0."""
    epc = Epc.create(8, series="v17", nr_groups=8, nr_enclaves=2, nr_enclave_pages=64)
    epc.state.machine[at.CAPACITY : at.CAPACITY + 3] = (sev, sev_es, 0)
    for path in ("/a", "/a/b", "/c"):
        epc.mkdir(path)
    return epc


def _charge(epc: Epc, path: str, amount: int, resource: int = _SEV) -> int:
    return int(misc.try_charge(epc.state, epc.lookup(path), resource, amount))


def _uncharge(epc: Epc, path: str, amount: int, resource: int = _SEV) -> None:
    misc.uncharge(epc.state, epc.lookup(path), resource, amount)


def _set(epc: Epc, path: str, text: str) -> None:
    epc.write(path, "misc.max", text)


@pytest.mark.parametrize(("name", "text", "reads"), _VECTORS["accepted"], ids=lambda v: None)
def test_accepted_limit(name: str, text: str, reads: str) -> None:
    epc = _machine()
    data = text.encode("latin-1")
    assert epc.write("/a", "misc.max", data) == len(data), name
    assert epc.read("/a", "misc.max") == f"sev {reads}\nsev_es max\n"


@pytest.mark.parametrize(("name", "text", "error"), _VECTORS["refused"], ids=lambda v: None)
def test_refused_limit_changes_nothing(name: str, text: str, error: str) -> None:
    epc = _machine()
    _set(epc, "/a", "sev 37")
    with pytest.raises(UsageError) as caught:
        epc.write("/a", "misc.max", text.encode("latin-1"))
    assert caught.value.errno == getattr(errno, error), name
    assert epc.read("/a", "misc.max") == "sev 37\nsev_es max\n"


def test_length_of_a_write() -> None:
    epc = _machine()
    for length in (4094, 4095, 4096):  # W28
        assert epc.write("/a", "misc.max", f"sev {length}".ljust(length)) == length
        assert epc.read("/a", "misc.max").startswith(f"sev {length}\n")
    for length in (4097, 8006, 8192):  # X14
        with pytest.raises(TooLongError) as caught:
            epc.write("/a", "misc.max", "sev 1".ljust(length))
        assert caught.value.errno == errno.E2BIG
    with pytest.raises(UsageError):  # X13
        epc.write("/a", "misc.max", "sev" + " " * 2997 + " 33\n")
    assert epc.write("/a", "misc.max", "") == 0  # W20
    assert epc.read("/a", "misc.max").startswith("sev 4096\n")


def test_one_resource_a_write() -> None:
    epc = _machine()
    _set(epc, "/a", "sev_es 7\n")  # W19
    assert epc.read("/a", "misc.max") == "sev max\nsev_es 7\n"


def test_no_capacity_refuses_after_reading_the_number() -> None:
    epc = _machine(sev=0)
    for text, error in (
        ("5", "EINVAL"),
        ("18446744073709551616", "ERANGE"),
        ("abc", "EINVAL"),
        ("max", "EINVAL"),
    ):
        with pytest.raises(UsageError) as caught:  # X11, X20
            _set(epc, "/a", f"sev {text}\n")
        assert caught.value.errno == getattr(errno, error)


def test_which_file_exists_where() -> None:
    epc = _machine()
    root = {name for name in epc.files("/") if name.startswith("misc.")}
    assert root == {"misc.capacity", "misc.current", "misc.peak"}  # F1-F6
    child = {name for name in epc.files("/a") if name.startswith("misc.")}
    assert child == {"misc.current", "misc.peak", "misc.max", "misc.events", "misc.events.local"}
    with pytest.raises(NoSuchFileError):
        epc.read("/", "misc.max")
    with pytest.raises(NoSuchFileError):
        epc.write("/a", "misc.capacity", "sev 1")


def test_files_that_take_no_writes() -> None:
    epc = _machine()
    for path, name in (
        ("/", "misc.capacity"),
        ("/a", "misc.current"),
        ("/a", "misc.peak"),
        ("/a", "misc.events"),
    ):
        with pytest.raises(UsageError) as caught:  # D4
            epc.write(path, name, "sev 0")
        assert caught.value.errno == errno.EINVAL


def test_formats() -> None:
    empty = _machine(0, 0)
    assert all(empty.read("/a", f"misc.{name}") == "" for name in ("max", "current", "peak", "events"))  # O7
    epc = _machine(100, 0)
    texts = {name: epc.read("/", name) for name in ("misc.capacity", "misc.current", "misc.peak")}
    assert texts == {"misc.capacity": "sev 100\n", "misc.current": "sev 0\n", "misc.peak": "sev 0\n"}  # O8
    assert epc.read("/a", "misc.max") == "sev max\n"
    assert epc.read("/a", "misc.events") == "sev.max 0\n"
    both = _machine()
    assert both.read("/", "misc.capacity") == "sev 100\nsev_es 50\n"  # O9
    both.state.machine[at.CAPACITY] = -1
    assert both.read("/", "misc.capacity") == "sev 18446744073709551615\nsev_es 50\n"  # O13


def test_capacity_zero_hides_lines() -> None:
    epc = _machine()
    _set(epc, "/a", "sev_es 7")
    assert _charge(epc, "/a", 100) == 0
    for _ in range(5):
        _charge(epc, "/a/b" if _ else "/a", 1)
    _uncharge(epc, "/a", 90)
    _set(epc, "/a", "sev 5")
    epc.state.machine[at.CAPACITY] = 0
    assert epc.read("/a", "misc.max") == "sev_es 7\n"  # O10
    assert epc.read("/a", "misc.current") == "sev 10\nsev_es 0\n"
    assert epc.read("/a", "misc.peak") == "sev 100\nsev_es 0\n"
    assert epc.read("/a", "misc.events").startswith("sev.max ")
    epc.state.machine[at.CAPACITY] = 100
    assert epc.read("/a", "misc.max") == "sev 5\nsev_es 7\n"  # O11


def test_lines_of_a_counter_survive_alone() -> None:
    epc = _machine()
    _set(epc, "/a/b", "sev 5")
    assert _charge(epc, "/a/b", 5) == 0
    assert _charge(epc, "/a/b", 1) == epc.lookup("/a/b")
    _uncharge(epc, "/a/b", 5)
    epc.state.machine[at.CAPACITY] = 0
    assert epc.read("/a/b", "misc.current") == "sev_es 0\n"  # O12
    assert epc.read("/a/b", "misc.peak") == "sev 5\nsev_es 0\n"
    assert epc.read("/a/b", "misc.events") == "sev.max 1\nsev_es.max 0\n"
    assert epc.read("/a/b", "misc.events.local") == "sev.max 1\nsev_es.max 0\n"
    assert epc.read("/a", "misc.events") == "sev.max 1\nsev_es.max 0\n"
    assert epc.read("/a", "misc.events.local") == "sev_es.max 0\n"
    assert epc.read("/", "misc.current") == "sev_es 0\n"
    assert epc.read("/", "misc.peak") == "sev 5\nsev_es 0\n"


def _figures(epc: Epc, path: str) -> tuple[int, int, int, int]:
    row = epc.state.groups[epc.lookup(path), at.GROUP_COUNTERS : at.GROUP_COUNTERS + at.COUNTERS]
    return int(row[at.USAGE]), int(row[at.PEAK]), int(row[at.EVENTS]), int(row[at.EVENTS_LOCAL])


def test_charging_over_the_hierarchy() -> None:
    """Vectors C1 to C11: usage, peak, events, events.local."""
    epc = _machine()
    _set(epc, "/a", "sev 20")
    _set(epc, "/a/b", "sev 10")
    assert _charge(epc, "/a/b", 10) == 0
    assert [_figures(epc, path)[:2] for path in ("/", "/a", "/a/b")] == [(10, 10)] * 3  # C1
    assert _charge(epc, "/a/b", 1) == epc.lookup("/a/b")
    assert _figures(epc, "/a/b") == (10, 10, 1, 1)  # C2
    assert _figures(epc, "/a") == (10, 10, 1, 0)
    _set(epc, "/a/b", "sev max")
    assert _charge(epc, "/a/b", 0) == 0  # C3
    assert _charge(epc, "/a/b", 10) == 0  # C4
    assert _charge(epc, "/a/b", 1) == epc.lookup("/a")  # C5
    assert _figures(epc, "/a/b") == (20, 21, 1, 1)
    assert _figures(epc, "/a") == (20, 20, 2, 1)
    _set(epc, "/a", "sev max")
    assert _charge(epc, "/a/b", 80) == 0  # C6
    assert _charge(epc, "/a/b", 1) == epc.lookup("/a/b")  # C7: the capacity is looked at on the lowest level
    assert _figures(epc, "/a/b") == (100, 100, 2, 2)
    assert _figures(epc, "/a") == (100, 100, 3, 1)
    _set(epc, "/a", "sev 5")
    assert _charge(epc, "/a/b", 1) == epc.lookup("/a/b")  # C8
    assert _figures(epc, "/a")[2:] == (4, 1)
    _uncharge(epc, "/a/b", 90)
    assert _figures(epc, "/a") == (10, 100, 4, 1)  # C9
    epc.state.machine[at.CAPACITY] = 3
    assert _charge(epc, "/a/b", 1) == epc.lookup("/a/b")  # C10
    assert _figures(epc, "/a")[2] == 5
    epc.state.machine[at.CAPACITY] = 0
    assert _charge(epc, "/a/b", 1) == misc.INVALID  # C11
    assert _charge(epc, "/a/b", 0) == misc.INVALID


def test_refusal_at_the_root_is_invisible() -> None:
    epc = _machine()
    assert _charge(epc, "/a/b", 60) == 0
    assert _charge(epc, "/c", 50) == at.ROOT  # C15
    assert _figures(epc, "/c") == (0, 50, 0, 0)
    assert _figures(epc, "/")[:3] == (60, 60, 0)
    assert _charge(epc, "/c", 40) == 0  # C16
    assert _figures(epc, "/")[0] == 100


def test_equality_is_allowed_and_the_lowest_level_refuses() -> None:
    epc = _machine()
    _set(epc, "/a", "sev 60")
    _set(epc, "/a/b", "sev 60")
    assert _charge(epc, "/a/b", 60) == 0
    assert _charge(epc, "/a/b", 1) == epc.lookup("/a/b")  # C17
    assert (_figures(epc, "/a/b")[2:], _figures(epc, "/a")[2:]) == ((1, 1), (1, 0))
    _set(epc, "/a", "sev 61")
    _set(epc, "/a/b", "sev 61")
    assert _charge(epc, "/a/b", 1) == 0  # C18


def test_peak_keeps_what_an_ancestor_refused() -> None:
    epc = _machine()
    _set(epc, "/a", "sev 20")
    assert _charge(epc, "/a/b", 12) == 0
    assert _charge(epc, "/a/b", 9) == epc.lookup("/a")  # C20
    assert _figures(epc, "/a/b")[:2] == (12, 21)
    assert _figures(epc, "/a")[:2] == (12, 12)
    invariants.check(epc.state)
