"""The last resort: to kill an enclave. All its charges come back at once.

Series v2 kills in a limit write, the enclave whose SECS or VA page is the oldest of the subtree; series fair
in an allocation that finds nothing to reclaim, the enclave that ``victim`` chose and the machine has ended.
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
def _end(s: State, victim: int, group: int) -> None:
    """End an enclave: it stays known, marked ENCLAVE_KILLED, until its last reference goes."""
    s.enclaves[victim, at.ENCLAVE_FLAGS] |= at.ENCLAVE_KILLED
    # First: a removed group leaves its counts with its last page.
    s.groups[group, at.STAT_EVENT_OOM_KILL] += 1
    enclave.free_all(s, victim)


@jit
def finish_kill(s: State) -> int:
    """Account for the end of the enclave in ``VICTIM``; returns it, 0 if it has gone meanwhile."""
    victim = s.machine[at.VICTIM]
    if victim:
        s.machine[at.SEQUENCE] += 1
        s.machine[at.VICTIM] = 0
        s.machine[at.NR_KILLS] += 1
        _end(s, victim, s.enclaves[victim, at.ENCLAVE_HOME])
        s.machine[at.SEQUENCE] += 1
    return int(victim)


@jit
def kill(s: State, root: int) -> int:
    """Kill one enclave of a subtree (series v2); returns it, 0 if none was found."""
    group = root
    while group:
        victim = _victim_of(s, group)
        if victim:
            _end(s, victim, group)
            return victim
        group = walk.successor(s, group, root)
    return 0
