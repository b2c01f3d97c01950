"""One page allocation: charge, free page, wake-up of ksgxd, as one step that never waits.

A step answers with a frame (> 0) or with a negative ``Outcome``. ``-EVICT`` means: a batch has been isolated,
act on it, finish it and call the step again with the same arguments. ``-KILL``: a victim has been chosen,
end it, finish the kill and call again.
"""

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import background, misc, page, reclaim, section, shared, victim, walk
from epcgroup.engine import group as groups
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

EVICT = -3
BUSY = -4
REFUSED = -5
INTERRUPTED = -6
LIVELOCK = -8
KILL = -9
#: Answers that keep what a step took so far.
UNFINISHED = (EVICT, KILL)
_CONTEXT = at.CONTEXT_ALLOCATION


@inlined
def page_of(s: State, group: int, may_reclaim: bool, signal: bool) -> int:
    """Take one page charged to ``group``; ``may_reclaim``: the caller can wait for a batch.

    Source: ML, V2, V17: sgx_alloc_epc_page.
    """
    s.machine[at.REFUSED_AT] = 0
    if s.machine[_CONTEXT + at.PASS_ROOT] and reclaim.step(s, _CONTEXT, group):
        return EVICT
    if not s.machine[on.ENFORCED]:
        return _watched(s, group, may_reclaim, signal)
    answer = _charge(s, group, may_reclaim, signal)
    if answer:
        return answer
    frame = section.take(s)
    if not frame:
        misc.uncharge(s, group, at.RESOURCE_EPC, page.PAGE_BYTES)
        frame = _no_free_page(s, group, may_reclaim, signal)
        if frame in (EVICT, LIVELOCK):
            return frame
    elif s.machine[on.QUEUES_NEAR_LIMIT]:
        queue_crowded(s, group)
    _wake_ksgxd(s)
    return frame


@jit
def rare_page_of(s: State, group: int, may_reclaim: bool, signal: bool) -> int:
    """``page_of`` for SECS, VA and guest pages: a call, where the page of a fault is taken in line."""
    return page_of(s, group, may_reclaim, signal)


@jit
def _watched(s: State, group: int, may_reclaim: bool, signal: bool) -> int:
    frame = section.take(s)
    if frame:
        misc.charge_unlimited(s, group, at.RESOURCE_EPC, page.PAGE_BYTES)
    elif s.groups[at.ROOT, at.GROUP_NR_LRU_TREE] == 0:
        return REFUSED
    else:
        frame = _no_free_page(s, group, may_reclaim, signal)
        if frame == EVICT:
            return EVICT
    _wake_ksgxd(s)
    return frame


@jit
def _no_free_page(s: State, group: int, may_reclaim: bool, signal: bool) -> int:
    """The free lists are empty: reclaim from the whole machine. Source: ML, sgx_alloc_epc_page."""
    if s.groups[at.ROOT, at.GROUP_NR_LRU_TREE] == 0:
        return REFUSED
    if not may_reclaim:
        return BUSY
    if signal:
        return INTERRUPTED
    if s.machine[on.WALK] == on.WALK_SHARED:
        for _ in range(shared.PATIENCE):
            if reclaim.isolate_shared(s, _CONTEXT, at.ROOT, s.machine[on.NR_TO_SCAN], group):
                return EVICT
        return LIVELOCK
    if reclaim.is_hopeless(s, _CONTEXT, at.ROOT):
        return REFUSED
    reclaim.begin(s, _CONTEXT, at.ROOT, s.machine[on.NR_TO_SCAN])
    return EVICT if reclaim.step(s, _CONTEXT, group) else REFUSED


@inlined
def _charge(s: State, group: int, may_reclaim: bool, signal: bool) -> int:
    """Charge one page to a group; 0 or a negative outcome."""
    if s.machine[on.WALK] == on.WALK_SHARED:
        return _charge_patiently(s, group, may_reclaim, signal)
    level = misc.try_charge(s, group, at.RESOURCE_EPC, page.PAGE_BYTES)
    return 0 if level == 0 else _refused(s, group, level, may_reclaim, signal)


@jit
def _refused(s: State, group: int, level: int, may_reclaim: bool, signal: bool) -> int:
    """A level has no room: reclaim below it; a negative outcome."""
    if level == misc.INVALID:
        return REFUSED
    s.machine[at.REFUSED_AT] = level
    where = level if s.machine[on.RECLAIMS_REFUSER] else group
    if s.groups[where, at.GROUP_NR_LRU_TREE] == 0:
        return _last_resort(s, level, may_reclaim, signal)
    if signal and (may_reclaim or s.machine[on.SIGNAL_FIRST]):
        return INTERRUPTED
    if not may_reclaim:
        groups.queue(s, group)
        return BUSY
    if reclaim.is_hopeless(s, _CONTEXT, where):
        return _last_resort(s, level, may_reclaim, signal)
    reclaim.begin(s, _CONTEXT, where, 1)
    return EVICT if reclaim.step(s, _CONTEXT, group) else REFUSED


@jit
def _last_resort(s: State, level: int, may_reclaim: bool, signal: bool) -> int:
    """Nothing can be reclaimed below a level without room: kill there, or refuse.

    Who may not even reclaim (a guest page) kills nobody, nor does a task that is about to leave.
    """
    return KILL if may_reclaim and not signal and victim.choose(s, level) else REFUSED


@jit
def _charge_root_v2(s: State) -> int:
    """V2 B3: a task in the root is charged if that is possible, and never refused."""
    misc.try_charge(s, at.ROOT, at.RESOURCE_EPC, page.PAGE_BYTES)
    return 0


@jit
def _charge_patiently(s: State, group: int, may_reclaim: bool, signal: bool) -> int:
    """Charge as V2 does: retry after every pass, give up after six empty ones."""
    if group == at.ROOT and s.machine[on.ROOT_NEVER_REFUSED]:
        return _charge_root_v2(s)
    if s.machine[_CONTEXT + at.PASS_PENDING] == 0:
        shared.reset(s, _CONTEXT)
    for _ in range(shared.PATIENCE):
        if s.machine[_CONTEXT + at.PASS_PENDING]:
            s.machine[_CONTEXT + at.PASS_PENDING] = 0
            if _is_exhausted(s, group):
                return REFUSED
        if misc.try_charge(s, group, at.RESOURCE_EPC, page.PAGE_BYTES) == 0:
            return 0
        limit = walk.limit_pages(s.groups[group, at.GROUP_MAX])
        if limit < 1:
            return REFUSED
        if signal:
            return INTERRUPTED
        if not may_reclaim:
            groups.queue(s, group)
            return BUSY
        usage = s.groups[group, at.GROUP_USAGE] >> 12
        wanted = usage + 1 - limit if usage + 1 > limit else s.machine[on.NR_MIN_SCAN]
        if shared.isolate(s, _CONTEXT, group, wanted):
            return EVICT
        if _is_exhausted(s, group):
            return REFUSED
    return LIVELOCK


@jit
def _is_exhausted(s: State, group: int) -> bool:
    shared.judge(s, _CONTEXT, group)
    return bool(s.machine[_CONTEXT + at.PASS_EMPTY] > s.machine[on.NR_EMPTY_PASSES])


@inlined
def _wake_ksgxd(s: State) -> None:
    """Wake ksgxd when few pages are free and something is reclaimable. Source: sgx_should_reclaim."""
    if s.machine[at.NR_FREE] < s.machine[on.NR_LOW] and s.groups[at.ROOT, at.GROUP_NR_LRU_TREE] > 0:
        s.machine[at.KSGXD_AWAKE] = 1


@inlined
def queue_crowded(s: State, group: int) -> None:
    """Queue the item of every level from ``group`` up that has too little room left (series ``fair``).

    Too little: less than half of what the background keeps free, or above epc.high.
    """
    while group:
        usage = s.groups[group, at.GROUP_USAGE] >> 12
        limit = walk.limit_pages(s.groups[group, at.GROUP_MAX])
        trigger = limit - (walk.room_wanted(s, limit) >> 1)
        if (
            usage > min(trigger, walk.limit_pages(s.groups[group, at.GROUP_HIGH]))
            and s.groups[group, at.GROUP_NR_LRU_TREE]
            and s.machine[at.WORK_CURRENT] != group
        ):
            groups.queue(s, group)
        group = s.groups[group, at.GROUP_PARENT]


@jit
def reclaim_direct(s: State, group: int, stage: int) -> int:
    """Reclaim in advance for one page of an SGX2 call: first in the group, then from the machine.

    Args:
        s: the state.
        group: the caller's group.
        stage: 0 at first; the value returned before when a batch was isolated (> 0).

    Returns:
        1 or 2: a batch was isolated, act on it and call again with this stage; 0: done.

    Source: V17, sgx_reclaim_direct; ML has the second part only.
    """
    if stage and reclaim.step(s, _CONTEXT, group):
        return stage
    if stage == 0 and s.machine[on.GROUP_DIRECT] and background.should_reclaim(s, group):
        reclaim.begin(s, _CONTEXT, group, s.machine[on.NR_TO_SCAN])
        if reclaim.step(s, _CONTEXT, group):
            return 1
    if stage < 2 and s.machine[at.NR_FREE] < s.machine[on.NR_LOW] and s.groups[at.ROOT, at.GROUP_NR_LRU_TREE]:
        if s.machine[on.WALK] == on.WALK_SHARED:
            size = s.machine[on.NR_TO_SCAN]
            return 2 if reclaim.isolate_shared(s, _CONTEXT, at.ROOT, size, group) else 0
        reclaim.begin(s, _CONTEXT, at.ROOT, s.machine[on.NR_TO_SCAN])
        if reclaim.step(s, _CONTEXT, group):
            return 2
    return 0
