"""EPC sections, NUMA nodes and free pages.

Free lists are first in, first out for each node. A section's pages that were never used stand in front of
its node's list without being linked (``SECTION_FRESH`` counts through them), so that an unused EPC costs no
memory.
"""

from epcgroup.compiled import pointers
from epcgroup.compiled.jit import inlined, jit
from epcgroup.state import layout as at
from epcgroup.state.layout import State


@jit
def add_section(s: State, index: int, first: int, nr_pages: int, node: int) -> None:
    """Make frames ``first`` .. ``first + nr_pages - 1`` usable as section ``index`` on a node."""
    section = at.SECTIONS + at.SECTION_WORDS * index
    s.machine[section + at.SECTION_FIRST] = first
    s.machine[section + at.SECTION_FRESH] = first
    s.machine[section + at.SECTION_END] = first + nr_pages
    s.machine[section + at.SECTION_NODE] = node
    s.machine[at.NR_FREE] += nr_pages
    s.machine[at.EREMOVE] += nr_pages


@inlined
def _take_from(s: State, node: int) -> int:
    for index in range(at.NR_SECTIONS):
        section = at.SECTIONS + at.SECTION_WORDS * index
        fresh = s.machine[section + at.SECTION_FRESH]
        end = s.machine[section + at.SECTION_END]
        if not end:
            break  # sections are numbered without gaps
        while fresh < end and s.machine[section + at.SECTION_NODE] == node:
            s.machine[section + at.SECTION_FRESH] = fresh + 1
            if not s.frames[fresh, at.FRAME_FLAGS]:  # else it failed before it was ever used
                return int(fresh)
            fresh += 1
    queue = at.NODES + 2 * node
    frame = s.machine[queue]
    if frame:
        s.machine[queue] = s.frames[frame, at.FRAME_NEXT]
        if not s.machine[queue]:
            s.machine[queue + 1] = 0
    return int(frame)


@inlined
def take(s: State) -> int:
    """Take a free page: the running task's node first, then the others in cyclic order; 0 if there is none.

    Source: ML, __sgx_alloc_epc_page.
    """
    start = s.machine[at.NODE]
    for step in range(at.NR_NODES):
        node = (start + step) % at.NR_NODES
        frame = _take_from(s, node)
        if frame:
            s.machine[at.NR_FREE] -= 1
            s.frames[frame, at.FRAME_NEXT] = 0
            s.frames[frame, at.FRAME_FLAGS] = node << at.FRAME_NODE_SHIFT
            return frame
    return 0


@inlined
def give(s: State, frame: int) -> None:
    """Put a page back at the tail of its node's list, a poisoned one nowhere; the count rises for both.

    Source: ML, sgx_free_epc_page.
    """
    s.machine[at.NR_FREE] += 1
    flags = s.frames[frame, at.FRAME_FLAGS]
    poisoned = flags & at.FRAME_POISONED
    node = flags >> at.FRAME_NODE_SHIFT
    queue = at.NODES + 2 * node
    pointers.clear(s.frames, frame)
    s.frames[frame, at.FRAME_FLAGS] = poisoned | node << at.FRAME_NODE_SHIFT
    if not poisoned:
        tail = s.machine[queue + 1]
        if tail:
            s.frames[tail, at.FRAME_NEXT] = frame
        else:
            s.machine[queue] = frame
        s.machine[queue + 1] = frame


@jit
def withdraw(s: State, frame: int) -> None:
    """Take a page off the free list it is on; the count of free pages stays. Source: arch_memory_failure.

    A page that was never used is on none: ``take`` passes it when it is marked as failed.
    """
    queue = at.NODES + 2 * (s.frames[frame, at.FRAME_FLAGS] >> at.FRAME_NODE_SHIFT)
    previous = 0
    current = s.machine[queue]
    while current and current != frame:
        previous = current
        current = s.frames[current, at.FRAME_NEXT]
    if not current:
        return
    following = s.frames[frame, at.FRAME_NEXT]
    if previous:
        s.frames[previous, at.FRAME_NEXT] = following
    else:
        s.machine[queue] = following
    if not following:
        s.machine[queue + 1] = previous
    s.frames[frame, at.FRAME_NEXT] = 0
