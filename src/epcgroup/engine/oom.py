"""The last resort of series v2: kill the enclave whose SECS or VA page is the oldest of the subtree.

Source: V2 14/18, sgx_epc_oom: groups in pre-order, oldest entry first; guest pages are thrown off the list.
"""

from epcgroup.compiled.jit import jit
from epcgroup.engine import enclave, lru, walk
from epcgroup.state import layout as at
from epcgroup.state.layout import State


@jit
def _victim_of(s: State, group: int) -> int:
    """Return the owner of the oldest entry of a group's unreclaimable list, 0 if none is left.

    Guest pages met on the way are unlinked and skipped (V2 B6).
    """
    frame = s.groups[group, at.GROUP_FIXED_HEAD]
    while frame:
        owner = s.frames[frame, at.FRAME_ENCLAVE]
        lru.remove_fixed(s, frame)
        if s.enclaves[owner, at.ENCLAVE_KIND] == at.KIND_ENCLAVE:
            return int(owner)
        frame = s.groups[group, at.GROUP_FIXED_HEAD]
    return 0


@jit
def kill(s: State, root: int) -> int:
    """Kill one enclave of a subtree; returns it, 0 if none was found. Its charges come back at once.

    The enclave stays known, marked ENCLAVE_KILLED, until its last reference goes.
    """
    group = root
    while group:
        victim = _victim_of(s, group)
        if victim:
            s.enclaves[victim, at.ENCLAVE_FLAGS] |= at.ENCLAVE_KILLED
            enclave.free_all(s, victim)
            s.groups[group, at.STAT_EVENT_OOM_KILL] += 1
            return victim
        group = walk.successor(s, group, root)
    return 0
