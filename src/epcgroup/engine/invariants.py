"""Laws every state obeys between two operations. ``check`` is run by every test after every step.

Conservation: each EPC page is free, listed, isolated, overhead (SECS, VA, guest, held) or poisoned, exactly
once. Hierarchy: usage of a group = pages charged to it + usage of its children. Lists: each page on exactly
the list its flags say. Records: page words, child counts and slots agree with the frames.
"""

import numpy as np
from numpy.typing import NDArray

from epcgroup.engine import lists
from epcgroup.engine.misc import above
from epcgroup.errors import InvariantError
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state import tree
from epcgroup.state.floor import VA_SLOTS
from epcgroup.state.layout import State
from epcgroup.units import PAGE_SIZE

_FREE, _LISTED, _FIXED = 1, 2, 3


def check(state: State) -> None:
    """Check all laws.

    Raises:
        InvariantError: the first law that is broken, with the numbers that break it.
    """
    seen = np.zeros(len(state.frames), np.int32)
    groups = list(tree.subtree(state, at.ROOT))
    _check_tree(state, groups)
    _check_free(state, seen)
    _check_lists(state, seen, groups)
    _check_frames(state, seen)
    _check_usage(state, groups)
    _check_enclaves(state)
    _check_queue(state)


def _demand(truth: bool, law: str) -> None:
    if not truth:
        raise InvariantError(law)


def _check_tree(state: State, groups: list[int]) -> None:
    known = set(np.nonzero(state.groups[:, at.GROUP_STATE])[0].tolist())
    _demand(known == set(groups), f"groups {sorted(known)} exist, the tree holds {sorted(groups)}")
    charged = _charged(state)
    for group in groups:
        children = list(tree.children(state, group))
        live = [child for child in children if state.groups[child, at.GROUP_STATE] == at.GROUP_LIVE]
        row = state.groups[group]
        _demand(row[at.GROUP_NR_CHILDREN] == len(live), f"group {group}: child count is not {len(live)}")
        references = int(charged[group]) + len(children)
        _demand(
            row[at.GROUP_REFERENCES] == references,
            f"group {group}: {row[at.GROUP_REFERENCES]} references, {references} expected",
        )
        alive = row[at.GROUP_STATE] == at.GROUP_LIVE or references > 0
        _demand(bool(alive), f"group {group} is removed, nothing holds it")
        check_holders(state, group, children)
        cursor = int(row[at.GROUP_CURSOR])
        _demand(
            cursor == 0 or cursor in set(tree.subtree(state, group)),
            f"group {group}: cursor {cursor} is outside",
        )


def check_holders(state: State, group: int, children: list[int]) -> None:
    """Children with listed pages are linked as holders, in order of creation; others may be."""
    linked: list[int] = []
    previous, child = 0, int(state.groups[group, at.GROUP_HOLDER_FIRST])
    while child and len(linked) <= len(children):
        linked.append(child)
        _demand(
            state.groups[child, at.GROUP_HOLDER_PREVIOUS] == previous, f"group {child}: a link does not match"
        )
        previous, child = child, int(state.groups[child, at.GROUP_HOLDER_NEXT])
    _demand(state.groups[group, at.GROUP_HOLDER_LAST] == previous, f"group {group}: the last holder is wrong")
    _demand(
        linked == [child for child in children if child in set(linked)], f"group {group}: holders {linked}"
    )
    full = {child for child in children if state.groups[child, at.GROUP_NR_LRU_TREE]}
    _demand(full <= set(linked), f"group {group}: {full} hold pages, holders {linked}")


def _charged(state: State) -> NDArray[np.int64]:
    owners = state.frames[:, at.FRAME_GROUP]
    return np.bincount(owners[owners > 0], minlength=len(state.groups)).astype(np.int64)


def _check_free(state: State, seen: NDArray[np.int32]) -> None:
    free = lists.mark_free(state, seen, _FREE)
    _demand(free >= 0, "a free list is broken")
    unowned = state.frames[1:, at.FRAME_GROUP] == 0
    poisoned = int((unowned & (state.frames[1:, at.FRAME_FLAGS] & at.FRAME_POISONED > 0)).sum())
    counted = int(state.machine[at.NR_FREE])
    _demand(free + poisoned == counted, f"{free} free and {poisoned} poisoned pages, {counted} counted")


def _check_lists(state: State, seen: NDArray[np.int32], groups: list[int]) -> None:
    for group in groups:
        row = state.groups[group]
        listed = lists.mark(state, seen, group, at.GROUP_LRU_HEAD, _LISTED)
        fixed = lists.mark(state, seen, group, at.GROUP_FIXED_HEAD, _FIXED)
        _demand(
            listed == row[at.GROUP_NR_LRU], f"group {group}: list of {listed}, {row[at.GROUP_NR_LRU]} counted"
        )
        _demand(
            fixed == row[at.GROUP_NR_FIXED], f"group {group}: unreclaimable list of {fixed} is not as counted"
        )
        below = sum(int(state.groups[each, at.GROUP_NR_LRU]) for each in tree.subtree(state, group))
        _demand(below == row[at.GROUP_NR_LRU_TREE], f"group {group}: {below} listed below, not as counted")


def _check_frames(state: State, seen: NDArray[np.int32]) -> None:
    flags = state.frames[:, at.FRAME_FLAGS]
    owned = state.frames[:, at.FRAME_GROUP] > 0
    _demand(
        bool(((flags & at.FRAME_LISTED > 0) == (seen == _LISTED)).all()),
        "a flag LISTED does not match the lists",
    )
    _demand(
        bool(((flags & at.FRAME_FIXED > 0) == (seen == _FIXED)).all()),
        "a flag FIXED does not match the lists",
    )
    lost = ~owned & (seen != _FREE) & (flags & at.FRAME_POISONED == 0)
    _demand(not lost[1:].any(), f"frames {np.nonzero(lost)[0][1:5]} are neither owned nor free")
    _demand(not (owned & (seen == _FREE)).any(), "a frame is owned and free")
    isolated = set(np.nonzero(flags & at.FRAME_ISOLATED)[0].tolist())
    rows = at.BATCH + 3 + at.BATCH_COLUMNS * np.arange(int(state.machine[at.BATCH_NR]))
    batch = {int(frame) for frame in state.machine[rows]} - {0}
    _demand(isolated == batch, f"isolated frames {sorted(isolated)}, batch {sorted(batch)}")
    both = (flags & at.FRAME_LISTED > 0) & (flags & at.FRAME_ISOLATED > 0)
    _demand(not both.any(), "a frame is isolated and listed")
    if state.machine[on.WALK] != on.WALK_ONE_LIST:
        _check_owner_lists(state)


def _check_owner_lists(state: State) -> None:
    listed = state.frames[:, at.FRAME_FLAGS] & at.FRAME_LISTED > 0
    owners = state.frames[listed, at.FRAME_GROUP]
    counts = np.bincount(owners, minlength=len(state.groups))
    wrong = np.nonzero(counts[: len(state.groups)] != state.groups[:, at.GROUP_NR_LRU])[0]
    _demand(not len(wrong), f"groups {wrong[:5]}: pages stand on lists of groups they are not charged to")


def _check_usage(state: State, groups: list[int]) -> None:
    charged = _charged(state)
    missed = state.machine[on.ROOT_NEVER_REFUSED] != 0  # V2 B3: the root's usage may be too small
    for group in groups:
        row = state.groups[group]
        children = sum(int(state.groups[child, at.GROUP_USAGE]) for child in tree.children(state, group))
        expected = int(charged[group]) * PAGE_SIZE + children
        usage = int(row[at.GROUP_USAGE])
        root_short = missed and group == at.ROOT and usage <= expected
        _demand(usage == expected or root_short, f"group {group}: usage {usage}, {expected} charged below")
        _demand(
            not above(usage, int(row[at.GROUP_PEAK])) or bool(missed), f"group {group}: usage above its peak"
        )
    statistics = state.groups[:, at.STAT_RESIDENT : at.STAT_SECS + 1].sum()
    _demand(
        int(statistics) == int(charged.sum()), f"epc.stat counts {statistics} pages, {charged.sum()} charged"
    )
    capacity = at.unsigned(state.machine[at.CAPACITY + at.RESOURCE_EPC])
    over = not missed and int(state.groups[at.ROOT, at.GROUP_USAGE]) > max(
        capacity, int(state.machine[at.NR_FRAMES]) * PAGE_SIZE
    )
    _demand(not over, "usage of the root above the capacity")


def _check_enclaves(state: State) -> None:
    end = 0
    enclave = int(state.machine[at.ENCLAVE_FIRST])
    linked = []
    while enclave:
        row = state.enclaves[enclave]
        _demand(row[at.ENCLAVE_OFFSET] >= end, f"enclave {enclave} overlaps the one before")
        end = int(row[at.ENCLAVE_OFFSET] + row[at.ENCLAVE_SIZE])
        linked.append(enclave)
        _check_enclave(state, enclave)
        enclave = int(row[at.ENCLAVE_NEXT])
    kinds = np.nonzero(state.enclaves[:, at.ENCLAVE_KIND])[0].tolist()
    _demand(sorted(linked) == kinds, f"enclaves {kinds} exist, {sorted(linked)} are linked")


def _check_enclave(state: State, enclave: int) -> None:
    row = state.enclaves[enclave]
    offset = int(row[at.ENCLAVE_OFFSET])
    words = state.pages[offset : offset + int(row[at.ENCLAVE_SIZE])]
    resident = np.nonzero(words > 0)[0]
    frames = words[resident]
    _demand(
        bool((state.frames[frames, at.FRAME_ENCLAVE] == enclave).all()), f"enclave {enclave}: foreign frame"
    )
    _demand(
        bool((state.frames[frames, at.FRAME_PAGE] == resident).all()), f"enclave {enclave}: misplaced frame"
    )
    evicted = int((words < 0).sum())
    _demand(evicted == row[at.ENCLAVE_NR_EVICTED], f"enclave {enclave}: {evicted} evicted, not as counted")
    if row[at.ENCLAVE_KIND] != at.KIND_ENCLAVE:
        return
    children = int(row[at.ENCLAVE_NR_CHILDREN])
    _demand(
        children == len(resident), f"enclave {enclave}: {len(resident)} resident, {children} children counted"
    )
    _demand(children == 0 or row[at.ENCLAVE_SECS] > 0, f"enclave {enclave}: children without SECS")
    slots = evicted + int(row[at.ENCLAVE_FLAGS] & at.ENCLAVE_SECS_OUT > 0)
    killed = row[at.ENCLAVE_FLAGS] & at.ENCLAVE_KILLED
    _demand(
        bool(killed) or slots <= VA_SLOTS * int(row[at.ENCLAVE_NR_VA]),
        f"enclave {enclave}: {slots} slots used",
    )
    owned = int((state.frames[:, at.FRAME_ENCLAVE] == enclave).sum())
    expected = (
        children + int(row[at.ENCLAVE_NR_VA]) + int(row[at.ENCLAVE_SECS] > 0) + int(row[at.ENCLAVE_HELD] > 0)
    )
    _demand(owned == expected, f"enclave {enclave}: owns {owned} frames, {expected} accounted for")


def _check_queue(state: State) -> None:
    queued: list[int] = []
    group = int(state.machine[at.WORK_HEAD])
    while group and len(queued) <= len(state.groups):
        queued.append(group)
        group = int(state.groups[group, at.GROUP_WORK_NEXT])
    pending = np.nonzero(state.groups[:, at.GROUP_WORK_PENDING])[0].tolist()
    _demand(sorted(queued) == pending, f"items {queued} queued, {pending} marked pending")
    _demand((queued[-1] if queued else 0) == state.machine[at.WORK_TAIL], "the tail of the queue is wrong")
