"""``invariants.check`` finds every kind of corruption: one law broken on purpose at a time."""

from collections.abc import Callable

import pytest

from epcgroup.engine import invariants
from epcgroup.errors import InvariantError
from epcgroup.state import layout as at
from epcgroup.state.layout import State
from tests.unit.engine.driving import Driver, enclave_in, machine


def _lively() -> Driver:
    driver = machine(300, "/a", "/a/b", "/c")
    driver.limit("/a/b", 60)
    enclave_in(driver, "/a/b", 100)
    enclave_in(driver, "/c", 30)
    driver.epc.write("/a", "misc.max", "sgx_epc max")
    invariants.check(driver.epc.state)
    return driver


def _set(table: str, row: int, column: int, change: int) -> Callable[[State], None]:
    def corrupt(state: State) -> None:
        getattr(state, table)[row, column] += change

    return corrupt


def _word(word: int, change: int) -> Callable[[State], None]:
    def corrupt(state: State) -> None:
        state.machine[word] += change

    return corrupt


def _head(state: State) -> int:
    return int(state.groups[4, at.GROUP_LRU_HEAD])


def _break_back_link(state: State) -> None:
    second = state.frames[_head(state), at.FRAME_NEXT]
    state.frames[second, at.FRAME_PREVIOUS] = 0


def _lose_a_frame(state: State) -> None:
    state.machine[at.SECTIONS + at.SECTION_FRESH] += 1


def _unmark(state: State) -> None:
    state.frames[_head(state), at.FRAME_FLAGS] &= ~at.FRAME_LISTED


def _isolate_without_batch(state: State) -> None:
    frame = int(state.enclaves[2, at.ENCLAVE_SECS])
    state.frames[frame, at.FRAME_FLAGS] |= at.FRAME_ISOLATED


def _steal(state: State) -> None:
    state.frames[_head(state), at.FRAME_GROUP] = 3


def _misplace(state: State) -> None:
    state.frames[_head(state), at.FRAME_PAGE] += 1


def _foreign(state: State) -> None:
    state.frames[_head(state), at.FRAME_ENCLAVE] = 1


def _forget_page(state: State) -> None:
    element = state.enclaves[2, at.ENCLAVE_OFFSET] + state.frames[_head(state), at.FRAME_PAGE]
    state.pages[element] = 0


def _overlap(state: State) -> None:
    state.enclaves[2, at.ENCLAVE_OFFSET] -= 1


def _drop_secs(state: State) -> None:
    state.enclaves[2, at.ENCLAVE_SECS] = 0


def _forget_peak(state: State) -> None:
    state.groups[3, at.GROUP_PEAK] = 0


def _half_dead(state: State) -> None:
    state.groups[4, at.GROUP_STATE] = at.GROUP_NONE


CORRUPTIONS = {
    "usage of a group": _set("groups", 3, at.GROUP_USAGE, 4096),
    "usage of the root": _set("groups", 1, at.GROUP_USAGE, -4096),
    "peak below usage": _forget_peak,
    "references": _set("groups", 3, at.GROUP_REFERENCES, 1),
    "live children": _set("groups", 2, at.GROUP_NR_CHILDREN, 1),
    "length of a list": _set("groups", 3, at.GROUP_NR_LRU, 1),
    "length below": _set("groups", 2, at.GROUP_NR_LRU_TREE, 1),
    "cursor outside": _set("groups", 3, at.GROUP_CURSOR, 2),
    "unreclaimable list": _set("groups", 3, at.GROUP_NR_FIXED, 1),
    "pending mark": _set("groups", 4, at.GROUP_WORK_PENDING, 1),
    "statistics": _set("groups", 3, at.STAT_RESIDENT, 1),
    "tail of the queue": _word(at.WORK_TAIL, 1),
    "free count": _word(at.NR_FREE, 1),
    "lost frame": _lose_a_frame,
    "children": _set("enclaves", 1, at.ENCLAVE_NR_CHILDREN, 1),
    "evicted": _set("enclaves", 1, at.ENCLAVE_NR_EVICTED, 1),
    "VA pages": _set("enclaves", 1, at.ENCLAVE_NR_VA, 1),
    "kind": _set("enclaves", 5, at.ENCLAVE_KIND, 1),
    "back link": _break_back_link,
    "list flag": _unmark,
    "isolated without batch": _isolate_without_batch,
    "page on a foreign list": _steal,
    "misplaced frame": _misplace,
    "foreign frame": _foreign,
    "forgotten page": _forget_page,
    "overlap": _overlap,
    "no SECS": _drop_secs,
    "group out of the tree": _half_dead,
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_is_found(name: str) -> None:
    driver = _lively()
    CORRUPTIONS[name](driver.epc.state)
    with pytest.raises(InvariantError):
        invariants.check(driver.epc.state)


def test_every_law_names_what_broke_it() -> None:
    driver = _lively()
    driver.epc.state.groups[3, at.GROUP_NR_LRU] += 1
    with pytest.raises(InvariantError, match="group 1: 83 listed below"):
        invariants.check(driver.epc.state)
