"""The OOM policy of series ``fair``: whether an allocation that cannot be had kills, and whom.

Only a group whose own ``misc.max`` refuses and whose ``epc.oom`` is ``kill`` kills, and only enclaves that
live (were created) in it or below: a full machine never does, or one new enclave could end those of others. A
live enclave holds its first VA page, charged where it lives: every kill makes room, and one allocation causes
no more kills than there are enclaves.
"""

from epcgroup.compiled.jit import jit
from epcgroup.engine import misc, walk
from epcgroup.engine.page import PAGE_BYTES
from epcgroup.state import layout as at
from epcgroup.state.layout import State

_SHIFT = 12


@jit
def choose(s: State, level: int) -> int:
    """Choose whom to kill so that ``level`` gets room; the enclave, also in ``VICTIM``; 0: nobody.

    Guest areas, killed enclaves and the one whose creation is under way are no candidates; a creation that
    gets no page gives its own back. The victim is the first by: most pages of its group above a limit of its
    own, most pages of its group above ``epc.low``, most EPC pages, youngest.
    """
    s.machine[at.VICTIM] = 0
    usage = s.groups[level, at.GROUP_USAGE] + PAGE_BYTES
    if s.groups[level, at.GROUP_OOM] != at.OOM_KILL or not misc.above(usage, s.groups[level, at.GROUP_MAX]):
        return 0
    best = (-1, 0, 0, 0)
    enclave = s.machine[at.ENCLAVE_FIRST]
    while enclave:
        home = s.enclaves[enclave, at.ENCLAVE_HOME]
        if _may_die(s, enclave) and _is_below(s, home, level):
            over, unprotected = _overrun(s, home, level)
            rank = (over, unprotected, _nr_pages(s, enclave), s.enclaves[enclave, at.ENCLAVE_ID])
            if rank > best:
                best = rank
                s.machine[at.VICTIM] = enclave
        enclave = s.enclaves[enclave, at.ENCLAVE_NEXT]
    if s.machine[at.VICTIM]:
        _note(s, level, best[2], best[0])
    return int(s.machine[at.VICTIM])


@jit
def _may_die(s: State, enclave: int) -> bool:
    return bool(
        s.enclaves[enclave, at.ENCLAVE_KIND] == at.KIND_ENCLAVE
        and not s.enclaves[enclave, at.ENCLAVE_FLAGS] & at.ENCLAVE_KILLED
        and enclave != s.machine[at.CREATING]
    )


@jit
def _is_below(s: State, group: int, level: int) -> bool:
    while group and group != level:
        group = s.groups[group, at.GROUP_PARENT]
    return bool(group)


@jit
def _nr_pages(s: State, enclave: int) -> int:
    return int(
        s.enclaves[enclave, at.ENCLAVE_NR_CHILDREN]
        + s.enclaves[enclave, at.ENCLAVE_NR_VA]
        + (s.enclaves[enclave, at.ENCLAVE_SECS] > 0)
        + (s.enclaves[enclave, at.ENCLAVE_HELD] > 0)
    )


@jit
def _overrun(s: State, group: int, level: int) -> tuple[int, int]:
    """Return how far a group is above its limits, and above its protection, in pages.

    Both are worked out at every level from the group up to below ``level``: the most it is above misc.max or
    epc.high at one of them (as reclaim finds a crowded group), and what it holds itself, but no more than the
    least it is above epc.low at one of them (any level protects).
    """
    over = 0
    unprotected = (
        s.groups[group, at.STAT_RESIDENT] + s.groups[group, at.STAT_VA] + s.groups[group, at.STAT_SECS]
    )
    while group != level:
        usage = s.groups[group, at.GROUP_USAGE] >> _SHIFT
        limit = min(
            walk.limit_pages(s.groups[group, at.GROUP_MAX]), walk.limit_pages(s.groups[group, at.GROUP_HIGH])
        )
        over = max(over, usage - limit)
        unprotected = min(unprotected, max(usage - walk.limit_pages(s.groups[group, at.GROUP_LOW]), 0))
        group = s.groups[group, at.GROUP_PARENT]
    return over, unprotected


@jit
def _note(s: State, level: int, nr_pages: int, over: int) -> None:
    """Write the row of the kill that is to come; it counts when it is done."""
    row = at.KILLS + at.KILL_COLUMNS * (s.machine[at.NR_KILLS] % at.KILL_ROWS)
    s.machine[row + at.KILL_ENCLAVE] = s.machine[at.VICTIM]
    s.machine[row + at.KILL_GROUP] = s.enclaves[s.machine[at.VICTIM], at.ENCLAVE_HOME]
    s.machine[row + at.KILL_LEVEL] = level
    s.machine[row + at.KILL_PAGES] = nr_pages
    s.machine[row + at.KILL_OVER] = over
