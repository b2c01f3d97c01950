"""SGX2 calls on one page: restrict permissions, change the type, accept, remove.

The caller has reclaimed in advance (``allocate.reclaim_direct``) and brought the page in. Answers are 0 or a
negative errno. Source: sgx_enclave_restrict_permissions, sgx_enclave_modify_types, sgx_encl_remove_pages.
"""

from epcgroup.compiled.jit import jit
from epcgroup.engine import enclave, fault, lru
from epcgroup.state import layout as at
from epcgroup.state.layout import State

EPERM = -1
EFAULT = -14
EINVAL = -22
_WAITING = at.PAGE_MODIFIED | at.PAGE_PENDING
#: The instruction fails on a page whose last change has not been accepted.
_UNSETTLED = at.PAGE_MODIFIED | at.PAGE_PENDING
_SPECIAL = at.PAGE_TCS | at.PAGE_TRIM


@jit
def _element(s: State, encl: int, index: int) -> int:
    return int(s.enclaves[encl, at.ENCLAVE_OFFSET] + index)


@jit
def _track(s: State) -> None:
    """ETRACK, and an interrupt to the CPUs that may run the enclave."""
    s.machine[at.ETRACK] += 1
    s.machine[at.IPI] += 1


@jit
def restrict(s: State, encl: int, index: int) -> int:
    """Reduce the permissions of a regular page to read-only (EMODPR); EINVAL for other types."""
    element = _element(s, encl, index)
    if s.marks[element] & _SPECIAL:
        return EINVAL
    if s.marks[element] & _UNSETTLED:
        return EFAULT
    s.marks[element] |= at.PAGE_RESTRICTED
    _track(s)
    return 0


@jit
def change_type(s: State, encl: int, index: int, mark: int) -> int:
    """Change a page to PAGE_TRIM or PAGE_TCS (EMODT); EINVAL unless it is regular or a TCS to be trimmed.

    A page that becomes a TCS is taken off its list and put back at the tail; its page table entries go.
    """
    element = _element(s, encl, index)
    kind = s.marks[element] & _SPECIAL
    if kind and not (kind == at.PAGE_TCS and mark == at.PAGE_TRIM):
        return EINVAL
    if s.marks[element] & _UNSETTLED:
        return EFAULT
    if mark == at.PAGE_TCS:
        fault.relist(s, s.pages[element])
    s.marks[element] = (s.marks[element] & (255 - _SPECIAL)) | mark | at.PAGE_MODIFIED
    _track(s)
    return 0


@jit
def accept(s: State, encl: int, index: int) -> bool:
    """EACCEPT: returns whether the page had a change to accept."""
    element = _element(s, encl, index)
    waiting = s.marks[element] & _WAITING
    s.marks[element] &= 255 - _WAITING
    return bool(waiting)


@jit
def remove(s: State, encl: int, index: int) -> int:
    """Remove a page that is trimmed and accepted; EPERM for any other. Its VA page stays."""
    element = _element(s, encl, index)
    if not s.marks[element] & at.PAGE_TRIM or s.marks[element] & at.PAGE_MODIFIED:
        return EPERM
    lru.remove(s, s.pages[element])
    enclave.free_resident(s, encl, index)
    s.enclaves[encl, at.ENCLAVE_PAGE_COUNT] -= 1
    return 0
