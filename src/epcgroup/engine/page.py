"""One EPC page from its allocation to its return: free list, owner, charge, references, counts.

Every way a page can leave EPC ends in ``release``, or for the pages of a batch in ``uncharge``: only these
give a charge back.
"""

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import group as groups
from epcgroup.engine import lru, misc, section
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

PAGE_BYTES = 4096


@inlined
def _statistic(page: int) -> int:
    if page <= at.PAGE_VA:
        return at.STAT_VA
    if page == at.PAGE_SECS:
        return at.STAT_SECS
    return at.STAT_RESIDENT


@inlined
def bind(s: State, frame: int, group: int, enclave: int, page: int) -> None:
    """Give a taken and charged page its owner; ``page`` is an index, PAGE_SECS or a link of VA pages."""
    s.frames[frame, at.FRAME_GROUP] = group
    s.frames[frame, at.FRAME_ENCLAVE] = enclave
    s.frames[frame, at.FRAME_PAGE] = page
    groups.get(s, group)
    s.groups[group, _statistic(page)] += 1


@jit
def release(s: State, frame: int) -> None:
    """Uncharge a page and put it on the free list; takes it off any list first. Source: sgx_free_epc_page."""
    group = s.frames[frame, at.FRAME_GROUP]
    lru.remove(s, frame)
    lru.remove_fixed(s, frame)
    if s.frames[frame, at.FRAME_FLAGS] & at.FRAME_ISOLATED:
        leave_batch(s, frame)
    s.groups[group, _statistic(s.frames[frame, at.FRAME_PAGE])] -= 1
    misc.uncharge(s, group, at.RESOURCE_EPC, PAGE_BYTES)
    section.give(s, frame)
    groups.put(s, group, 1)


@inlined
def uncharge(s: State, group: int, nr_pages: int) -> None:
    """Give the charges of pages back that were freed out of a batch, all of one group."""
    s.groups[group, at.STAT_RESIDENT] -= nr_pages
    misc.uncharge(s, group, at.RESOURCE_EPC, nr_pages * PAGE_BYTES)
    groups.put(s, group, nr_pages)


@jit
def leave_batch(s: State, frame: int) -> None:
    """Forget a page of the batch whose enclave let go of it: ``finish`` will skip its row."""
    for row in range(s.machine[at.BATCH_NR]):
        where = at.BATCH + at.BATCH_COLUMNS * row + 3
        if s.machine[where] == frame:
            s.machine[where] = 0
    s.frames[frame, at.FRAME_FLAGS] &= ~at.FRAME_ISOLATED


@jit
def poison(s: State, frame: int) -> None:
    """Mark a page as failed hardware; it is never handed out again. Source: arch_memory_failure.

    A free page leaves its free list at once and is still counted there; one in use waits for its end.
    """
    if s.frames[frame, at.FRAME_FLAGS] & at.FRAME_POISONED:
        return
    if not s.frames[frame, at.FRAME_GROUP]:
        section.withdraw(s, frame)
    elif s.machine[on.POISON_UNLISTS]:
        lru.remove(s, frame)
    s.frames[frame, at.FRAME_FLAGS] |= at.FRAME_POISONED
