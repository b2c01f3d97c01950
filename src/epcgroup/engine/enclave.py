"""Enclaves: creation, adding pages, SECS and VA pages, release.

VA pages needed = ceil((1 + pages) / 512): one is due whenever ``page_count`` is a multiple of 512 before
counting. They are charged all the time and freed only with the enclave. Every step may answer ``-EVICT`` or
``-KILL``; what it took so far is held in ``ENCLAVE_HELD`` until it is called again.
"""

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import admission, allocate, lru, page, table
from epcgroup.state import floor
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

VA_SLOTS = floor.VA_SLOTS
CREATED = 1
FULL = table.FULL
EXISTS = -101
BELOW_FLOOR = -102
#: What ``note_refusal`` calls the pages of a creation.
_CREATION = -1


@inlined
def _is_va_due(s: State, enclave: int) -> bool:
    if s.machine[on.VA_WHEN_NEEDED]:
        return bool(
            s.enclaves[enclave, at.ENCLAVE_PAGE_COUNT] >= VA_SLOTS * s.enclaves[enclave, at.ENCLAVE_NR_VA]
        )
    return bool(s.enclaves[enclave, at.ENCLAVE_PAGE_COUNT] % VA_SLOTS == 0)


@jit
def _is_va_spare(s: State, enclave: int) -> bool:
    spare = s.enclaves[enclave, at.ENCLAVE_NR_VA] - 1
    return bool(
        s.machine[on.VA_WHEN_NEEDED] and s.enclaves[enclave, at.ENCLAVE_PAGE_COUNT] <= VA_SLOTS * spare
    )


@inlined
def grow(s: State, enclave: int, group: int, may_reclaim: bool, signal: bool) -> int:
    """Count one more page, with a VA page when one is due; 0 or a negative outcome. Source: sgx_encl_grow."""
    answer = _add_va(s, enclave, group, may_reclaim, signal) if _is_va_due(s, enclave) else 0
    if answer == 0:
        s.enclaves[enclave, at.ENCLAVE_PAGE_COUNT] += 1
    return answer


@jit
def _add_va(s: State, enclave: int, group: int, may_reclaim: bool, signal: bool) -> int:
    frame = allocate.rare_page_of(s, group, may_reclaim, signal)
    if frame < 0:
        return int(frame)
    page.bind(s, frame, group, enclave, at.PAGE_VA - s.enclaves[enclave, at.ENCLAVE_VA_HEAD])
    s.machine[at.EPA] += 1
    lru.add_fixed(s, frame)
    s.enclaves[enclave, at.ENCLAVE_VA_HEAD] = frame
    s.enclaves[enclave, at.ENCLAVE_NR_VA] += 1
    return 0


@jit
def shrink(s: State, enclave: int) -> None:
    """Undo ``grow``: give the VA page back that it took, count one page less. Source: sgx_encl_shrink."""
    s.enclaves[enclave, at.ENCLAVE_PAGE_COUNT] -= 1
    if _is_va_due(s, enclave) or _is_va_spare(s, enclave):
        frame = s.enclaves[enclave, at.ENCLAVE_VA_HEAD]
        s.enclaves[enclave, at.ENCLAVE_VA_HEAD] = at.PAGE_VA - s.frames[frame, at.FRAME_PAGE]
        s.enclaves[enclave, at.ENCLAVE_NR_VA] -= 1
        s.machine[at.EREMOVE] += 1
        page.release(s, frame)


@inlined
def hold(s: State, enclave: int, group: int, may_reclaim: bool, signal: bool) -> int:
    """Take the page of a step, or the one held since the step was begun; a frame or a negative outcome."""
    frame = s.enclaves[enclave, at.ENCLAVE_HELD]
    if frame and s.frames[frame, at.FRAME_GROUP] == group:
        return int(frame)
    let_go(s, enclave)
    frame = allocate.page_of(s, group, may_reclaim, signal)
    if frame > 0:
        page.bind(s, frame, group, enclave, 0)
        s.enclaves[enclave, at.ENCLAVE_HELD] = frame
    return int(frame)


@inlined
def let_go(s: State, enclave: int) -> None:
    """Free the page held for a step that failed (EREMOVE first), if there is one."""
    frame = s.enclaves[enclave, at.ENCLAVE_HELD]
    if frame:
        s.machine[at.EREMOVE] += 1
        s.enclaves[enclave, at.ENCLAVE_HELD] = 0
        page.release(s, frame)


@jit
def put_secs(s: State, enclave: int, group: int, may_reclaim: bool, signal: bool) -> int:
    """Take the page of the SECS and record it; 0 or a negative outcome."""
    frame = allocate.rare_page_of(s, group, may_reclaim, signal)
    if frame < 0:
        return frame
    page.bind(s, frame, group, enclave, at.PAGE_SECS)
    lru.add_fixed(s, frame)
    s.enclaves[enclave, at.ENCLAVE_SECS] = frame
    s.enclaves[enclave, at.ENCLAVE_FLAGS] &= ~at.ENCLAVE_SECS_OUT
    return 0


@jit
def create(s: State, group: int, size: int, signal: bool) -> tuple[int, int]:
    """Create an enclave: a VA page and a SECS page, both may reclaim. Source: sgx_encl_create.

    Returns:
        (outcome, enclave): CREATED, or a negative one; (FULL, which): a table is full, 0 rows or 1 page
        ranges; (BELOW_FLOOR, level): refused, see ``admission``.
    """
    level = admission.refuser_of(s, group, size)
    if level:
        abandon(s)
        return BELOW_FLOOR, level
    enclave = s.machine[at.CREATING]
    if enclave and not (
        s.enclaves[enclave, at.ENCLAVE_HOME] == group and s.enclaves[enclave, at.ENCLAVE_SIZE] == size
    ):
        abandon(s)
        enclave = 0
    if not enclave:
        enclave = table.make(s, group, size, at.KIND_ENCLAVE)
        if enclave <= 0:
            return FULL, 0 if enclave == 0 else 1
        s.machine[at.CREATING] = enclave
    answer = _create(s, enclave, group, signal)
    note_refusal(s, enclave, _CREATION, group, -answer)
    if answer == 0:
        s.machine[at.ECREATE] += 1
        s.machine[at.CREATING] = 0
        return CREATED, int(enclave)
    if answer not in allocate.UNFINISHED:
        abandon(s)
    return answer, 0


@jit
def _create(s: State, enclave: int, group: int, signal: bool) -> int:
    answer = 0
    if s.enclaves[enclave, at.ENCLAVE_PAGE_COUNT] == 0:
        answer = grow(s, enclave, group, True, signal)
    if answer == 0:
        answer = put_secs(s, enclave, group, True, signal)
    return answer


@inlined
def note_refusal(s: State, enclave: int, what: int, group: int, outcome: int) -> None:
    """Count one ``max`` event for each refused allocation, however often it is asked again, and its ``oom``.

    Args:
        s: the state.
        enclave: the enclave that asks.
        what: the page + 1 it asks for, or another number that tells its allocations apart.
        group: the group to be charged.
        outcome: the answer, an ``Outcome`` (positive).
    """
    refuser = s.machine[at.REFUSED_AT]
    if refuser and s.enclaves[enclave, at.ENCLAVE_REFUSED] != what:
        s.groups[refuser, at.STAT_EVENT_MAX] += 1
        s.enclaves[enclave, at.ENCLAVE_REFUSED] = what
    if -outcome == allocate.REFUSED:
        s.groups[refuser if refuser else group, at.STAT_EVENT_OOM] += 1
    if -outcome not in (allocate.EVICT, allocate.BUSY, allocate.KILL):
        s.enclaves[enclave, at.ENCLAVE_REFUSED] = 0


@jit
def abandon(s: State) -> None:
    """Undo a creation that is under way: nothing of it remains."""
    enclave = s.machine[at.CREATING]
    if enclave:
        s.machine[at.CREATING] = 0
        release(s, enclave)


@jit
def initialise(s: State, enclave: int) -> None:
    """EINIT: from now on pages come on demand and the SECS may leave."""
    s.enclaves[enclave, at.ENCLAVE_FLAGS] |= at.ENCLAVE_INITIALISED


@inlined
def list_page(s: State, enclave: int, index: int, frame: int) -> None:
    """Make a held frame the resident page ``index``: child of the SECS, tail of its group's list."""
    s.enclaves[enclave, at.ENCLAVE_HELD] = 0
    s.frames[frame, at.FRAME_PAGE] = index
    s.pages[s.enclaves[enclave, at.ENCLAVE_OFFSET] + index] = frame
    s.enclaves[enclave, at.ENCLAVE_NR_CHILDREN] += 1
    lru.add_tail(s, frame)


@jit
def add(s: State, enclave: int, index: int, group: int, signal: bool) -> int:
    """Add page ``index`` (EADD) before EINIT; CREATED, EXISTS or a negative outcome.

    The page is taken first, then the VA page if due; it cannot be reclaimed meanwhile, which is why a limit
    of L pages fails after (L - 2) * 512 - 1 pages. Source: sgx_encl_add_page.
    """
    if s.enclaves[enclave, at.ENCLAVE_FLAGS] & at.ENCLAVE_KILLED:
        return allocate.REFUSED
    frame = hold(s, enclave, group, True, signal)
    if frame < 0:
        return frame
    answer = grow(s, enclave, group, True, signal)
    if answer in allocate.UNFINISHED:
        return answer
    if answer == 0 and s.pages[s.enclaves[enclave, at.ENCLAVE_OFFSET] + index]:
        shrink(s, enclave)
        answer = EXISTS
    if answer:
        let_go(s, enclave)
        return answer
    s.machine[at.EADD] += 1
    s.groups[group, at.STAT_CREATED] += 1
    list_page(s, enclave, index, frame)
    return CREATED


@jit
def free_resident(s: State, enclave: int, index: int) -> None:
    """EREMOVE and free a resident page; the record becomes absent."""
    element = s.enclaves[enclave, at.ENCLAVE_OFFSET] + index
    frame = s.pages[element]
    s.pages[element] = 0
    s.marks[element] = 0
    s.enclaves[enclave, at.ENCLAVE_NR_CHILDREN] -= 1
    s.machine[at.EREMOVE] += 1
    page.release(s, frame)


@jit
def free_all(s: State, enclave: int) -> None:
    """Free every EPC page of an enclave: its pages, the SECS, the VA pages. Source: sgx_encl_release."""
    let_go(s, enclave)
    offset = s.enclaves[enclave, at.ENCLAVE_OFFSET]
    for index in range(s.enclaves[enclave, at.ENCLAVE_SIZE]):
        if s.pages[offset + index] > 0:
            free_resident(s, enclave, index)
        elif s.pages[offset + index] < 0 or s.marks[offset + index]:
            s.pages[offset + index] = 0
            s.marks[offset + index] = 0
    s.enclaves[enclave, at.ENCLAVE_NR_EVICTED] = 0
    if s.enclaves[enclave, at.ENCLAVE_SECS]:
        s.machine[at.EREMOVE] += 1
        page.release(s, s.enclaves[enclave, at.ENCLAVE_SECS])
        s.enclaves[enclave, at.ENCLAVE_SECS] = 0
    while s.enclaves[enclave, at.ENCLAVE_VA_HEAD]:
        frame = s.enclaves[enclave, at.ENCLAVE_VA_HEAD]
        s.enclaves[enclave, at.ENCLAVE_VA_HEAD] = at.PAGE_VA - s.frames[frame, at.FRAME_PAGE]
        s.machine[at.EREMOVE] += 1
        page.release(s, frame)
    s.enclaves[enclave, at.ENCLAVE_NR_VA] = 0


@jit
def release(s: State, enclave: int) -> None:
    """End an enclave or guest area: every page and charge comes back."""
    if s.machine[at.CREATING] == enclave:
        s.machine[at.CREATING] = 0
    if s.machine[at.VICTIM] == enclave:
        s.machine[at.VICTIM] = 0
    free_all(s, enclave)
    table.drop(s, enclave)
