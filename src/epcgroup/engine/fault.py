"""Page faults: load an evicted page, create one on demand, and undo either.

The step answers with an ``Outcome`` as a positive number. Source: sgx_vma_fault, __sgx_encl_load_page,
sgx_encl_eaug_page.
"""

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import allocate, enclave, lru
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

HIT = 0
CREATED = 1
LOADED = 2
NO_PAGE = 7
_STAMP = 2**30 - 1


@inlined
def access(s: State, encl: int, index: int, group: int, signal: bool) -> int:
    """Bring page ``index`` in for a task of ``group``; an ``Outcome``.

    With EVICT a batch is isolated: act on it, finish it, ask again; with KILL a victim is chosen: end it,
    finish the kill, ask again. Pages absent from an initialised enclave are created on demand where SGX2 is
    on.
    """
    held = s.pages[s.enclaves[encl, at.ENCLAVE_OFFSET] + index]
    if held > 0:
        return HIT
    # V2 B4: the kernel does not ask whether the enclave was killed, and crashes.
    state = s.enclaves[encl, at.ENCLAVE_FLAGS] & (at.ENCLAVE_INITIALISED | at.ENCLAVE_KILLED)
    can_create = state == at.ENCLAVE_INITIALISED and s.machine[at.SGX2]
    if held == 0 and not can_create:
        return NO_PAGE
    # A fault that may reclaim itself waits like any other: a signal must not make SIGBUS of it (S3).
    signal = signal and not s.machine[on.FAULT_RECLAIMS]
    answer = load(s, encl, index, group, signal) if held < 0 else _create(s, encl, index, group, signal)
    _count(s, encl, index, group, answer)
    return answer


@inlined
def _count(s: State, encl: int, index: int, group: int, answer: int) -> None:
    """Statistics of a fault that was not a hit."""
    if answer in (CREATED, LOADED):
        s.groups[group, at.STAT_FAULTS] += 1
    enclave.note_refusal(s, encl, index + 1, group, answer)


@inlined
def _secs_in(s: State, encl: int, group: int, signal: bool) -> int:
    """Bring the SECS back if it is out; 0 or a negative outcome. It stays if the page is refused then."""
    if not s.enclaves[encl, at.ENCLAVE_FLAGS] & at.ENCLAVE_SECS_OUT:
        return 0
    answer = enclave.put_secs(s, encl, group, bool(s.machine[on.FAULT_RECLAIMS]), signal)
    if answer == 0:
        s.machine[at.ELDU] += 1
    return answer


@inlined
def load(s: State, encl: int, index: int, group: int, signal: bool) -> int:
    """Load an evicted page (ELDU), its SECS first; an ``Outcome``."""
    answer = _secs_in(s, encl, group, signal)
    if answer:
        return -answer
    frame = enclave.hold(s, encl, group, bool(s.machine[on.FAULT_RECLAIMS]), signal)
    if frame < 0:
        return -frame
    stamp = -1 - s.pages[s.enclaves[encl, at.ENCLAVE_OFFSET] + index]
    distance = (s.groups[group, at.STAT_RECLAIMED] - stamp) & _STAMP
    if distance <= s.groups[group, at.STAT_RESIDENT]:
        # Fewer pages left since than the group holds: a little more memory would have kept this one.
        s.groups[group, at.STAT_REFAULTS] += 1
    s.machine[at.ELDU] += 1
    s.enclaves[encl, at.ENCLAVE_NR_EVICTED] -= 1
    s.frames[frame, at.FRAME_FLAGS] |= at.FRAME_LOADED
    s.groups[group, at.STAT_LOADED] += 1
    enclave.list_page(s, encl, index, frame)
    return LOADED


@inlined
def _create(s: State, encl: int, index: int, group: int, signal: bool) -> int:
    """Create a page on demand (EAUG): SECS if out, the page, a VA page if due; an ``Outcome``."""
    may_reclaim = bool(s.machine[on.FAULT_RECLAIMS])
    answer = _secs_in(s, encl, group, signal)
    if answer:
        return -answer
    frame = enclave.hold(s, encl, group, may_reclaim, signal)
    if frame < 0:
        return -frame
    answer = enclave.grow(s, encl, group, may_reclaim, signal)
    if answer:
        if answer not in allocate.UNFINISHED:
            enclave.let_go(s, encl)
        return -answer
    s.machine[at.EAUG] += 1
    s.groups[group, at.STAT_CREATED] += 1
    if s.machine[on.UNMARKED_BLOCKS]:
        s.frames[frame, at.FRAME_FLAGS] |= at.FRAME_UNMARKED
    s.marks[s.enclaves[encl, at.ENCLAVE_OFFSET] + index] |= at.PAGE_PENDING
    enclave.list_page(s, encl, index, frame)
    return CREATED


@jit
def undo(s: State, encl: int, index: int) -> bool:
    """Take back a page that the machine could not put in place; False if it is not resident.

    A loaded page is evicted again, a created one absent.
    """
    element = s.enclaves[encl, at.ENCLAVE_OFFSET] + index
    frame = s.pages[element]
    if frame <= 0:
        return False
    group = s.frames[frame, at.FRAME_GROUP]
    loaded = s.frames[frame, at.FRAME_FLAGS] & at.FRAME_LOADED
    mark = s.marks[element]
    enclave.free_resident(s, encl, index)
    if loaded:
        s.marks[element] = mark
        s.pages[element] = -1 - (s.groups[group, at.STAT_RECLAIMED] & _STAMP)
        s.enclaves[encl, at.ENCLAVE_NR_EVICTED] += 1
    else:
        enclave.shrink(s, encl)
    return True


@jit
def forget(s: State, encl: int, index: int) -> bool:
    """Make a page absent that was lost, resident or evicted; False if it was absent."""
    element = s.enclaves[encl, at.ENCLAVE_OFFSET] + index
    if s.pages[element] == 0:
        return False
    if s.pages[element] > 0:
        enclave.free_resident(s, encl, index)
    else:
        s.pages[element] = 0
        s.marks[element] = 0
        s.enclaves[encl, at.ENCLAVE_NR_EVICTED] -= 1
    s.enclaves[encl, at.ENCLAVE_PAGE_COUNT] -= 1
    return True


@jit
def relist(s: State, frame: int) -> None:
    """Move a page to the tail of its list (conversion to TCS); a poisoned page is listed again by this."""
    lru.remove(s, frame)
    lru.add_tail(s, frame)
