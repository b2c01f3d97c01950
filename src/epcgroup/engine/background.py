"""Background reclaim: the work item of a group, forced requests, ksgxd; and the end of a batch.

``next_batch`` is the one entry of a machine that has idle time: it isolates the next batch that any of them
wants.
"""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import group as groups
from epcgroup.engine import lru, page, reclaim, shared, walk
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

_SHIFT = 12
_YOUNG = 1
_WRITTEN = 0


@jit
def lowest_limit(s: State, group: int) -> int:
    """Return the smallest misc.max from a group to the root, in pages. Source: V17, max_pages_to_root."""
    lowest = walk.limit_pages(s.groups[group, at.GROUP_MAX])
    while group:
        lowest = min(lowest, walk.limit_pages(s.groups[group, at.GROUP_MAX]))
        group = s.groups[group, at.GROUP_PARENT]
    return lowest


@inlined
def should_reclaim(s: State, group: int) -> bool:
    """Return whether the item of a group has something to do.

    V17: own usage has reached the lowest limit on the path, less the margin when the limit is above 128
    pages. fair: own usage is above the group's background target. Source: V17, sgx_cgroup_should_reclaim.
    """
    if s.groups[group, at.GROUP_NR_LRU_TREE] == 0:
        return False
    usage = s.groups[group, at.GROUP_USAGE] >> _SHIFT
    if s.machine[on.QUEUES_NEAR_LIMIT]:
        return bool(usage > walk.background_target(s, group) or s.groups[group, at.GROUP_FORCED] > 0)
    limit = lowest_limit(s, group)
    if limit > s.machine[on.NR_MARGIN_FROM]:
        limit -= s.machine[on.NR_MARGIN]
    return bool(usage >= limit)


@jit
def _want(s: State, group: int) -> int:
    if not s.machine[on.QUEUES_NEAR_LIMIT]:
        return int(s.machine[on.NR_TO_SCAN])
    usage = s.groups[group, at.GROUP_USAGE] >> _SHIFT
    excess = max(usage - walk.background_target(s, group), s.groups[group, at.GROUP_FORCED])
    return int(min(s.machine[on.NR_TO_SCAN], max(excess, 1)))


@jit
def _count_reason(s: State, group: int) -> None:
    usage = s.groups[group, at.GROUP_USAGE] >> _SHIFT
    if usage > walk.limit_pages(s.groups[group, at.GROUP_HIGH]):
        s.groups[group, at.STAT_EVENT_HIGH] += 1


@jit
def begin_item(s: State) -> int:
    """Take the first queued item as the running one; returns its group, 0 if none is queued."""
    group = groups.dequeue(s)
    s.machine[at.WORK_CURRENT] = group
    s.machine[at.CONTEXT_WORKER + at.PASS_ROOT] = 0
    shared.reset(s, at.CONTEXT_WORKER)
    if group and s.machine[on.HAS_SOFT_LIMITS]:
        _count_reason(s, group)
    return group


@jit
def item_step(s: State) -> int:
    """Isolate the next batch of the running item; 0 when it is finished (or the group is gone).

    Returns -1 if it would never end (V2).
    """
    context = at.CONTEXT_WORKER
    group = s.machine[at.WORK_CURRENT]
    if not group:
        return 0
    if s.machine[on.WALK] == on.WALK_SHARED:
        done = shared.item_step(s, group)
        if done == 0:
            s.machine[at.WORK_CURRENT] = 0
        return done
    done = reclaim.step(s, context, group)
    if done:
        return done
    if should_reclaim(s, group) and not reclaim.is_hopeless(s, context, group):
        reclaim.begin(s, context, group, _want(s, group))
        return reclaim.step(s, context, group)
    s.groups[group, at.GROUP_FORCED] = 0
    s.machine[at.WORK_CURRENT] = 0
    return 0


@jit
def ksgxd_step(s: State) -> int:
    """Isolate the next batch of ksgxd; 0 when it goes to sleep. Source: ksgxd, sgx_should_reclaim."""
    done = reclaim.step(s, at.CONTEXT_KSGXD, 0)
    if done:
        return done
    if ksgxd_wants(s) and not reclaim.is_hopeless(s, at.CONTEXT_KSGXD, at.ROOT):
        return ksgxd_round(s)
    s.machine[at.KSGXD_AWAKE] = 0
    return 0


@jit
def ksgxd_wants(s: State) -> bool:
    """Return whether another round is due: too few free pages and something reclaimable."""
    return bool(s.machine[at.NR_FREE] < s.machine[on.NR_HIGH] and s.groups[at.ROOT, at.GROUP_NR_LRU_TREE] > 0)


@jit
def ksgxd_round(s: State) -> int:
    """Begin one round (a global pass of 16) and isolate its first batch."""
    if s.machine[on.WALK] == on.WALK_SHARED:
        nr_pages = s.machine[on.NR_TO_SCAN]
        return reclaim.isolate_shared(s, at.CONTEXT_KSGXD, at.ROOT, nr_pages, 0)
    reclaim.begin(s, at.CONTEXT_KSGXD, at.ROOT, s.machine[on.NR_TO_SCAN])
    return reclaim.step(s, at.CONTEXT_KSGXD, 0)


@inlined
def next_batch(s: State) -> int:
    """Isolate the next batch of any background work: items as queued, then ksgxd; 0 = nothing to do."""
    while s.machine[at.WORK_CURRENT] or s.machine[at.WORK_HEAD]:
        if not s.machine[at.WORK_CURRENT]:
            begin_item(s)
        done = item_step(s)
        if done > 0:
            return done
        if done < 0:
            s.machine[at.WORK_CURRENT] = 0
    if s.machine[at.KSGXD_AWAKE]:
        return ksgxd_step(s)
    return 0


@inlined
def has_work(s: State) -> bool:
    """Return whether ``next_batch`` has anything to look at."""
    return bool(s.machine[at.WORK_CURRENT] or s.machine[at.WORK_HEAD] or s.machine[at.KSGXD_AWAKE])


@inlined
def finish(s: State, outcomes: NDArray[np.uint8]) -> int:
    """Account for a whole batch; ``outcomes`` holds one ``Written`` a row. Returns the pages written out."""
    written = 0
    charged, nr_freed = 0, 0  # not uncharged yet, all of one group
    listed, nr_returned = 0, 0  # not counted yet, all on one list
    for row in range(s.machine[at.BATCH_NR]):
        if not reclaim.is_row_valid(s, row):
            continue
        if outcomes[row] == _WRITTEN:
            group = s.machine[at.BATCH + at.BATCH_COLUMNS * row + 2]
            if group != charged:
                _uncharge(s, charged, nr_freed)
                charged, nr_freed = group, 0
            _write(s, row)
            reclaim.empty_row(s, row)
            nr_freed += 1
            written += 1
        else:
            group = reclaim.return_row(s, row)
            if group != listed:
                _count(s, listed, nr_returned)
                listed, nr_returned = group, 0
            nr_returned += 1
    _uncharge(s, charged, nr_freed)
    _count(s, listed, nr_returned)
    reclaim.close_batch(s)
    return written


@inlined
def _write(s: State, row: int) -> None:
    """Account for a page that was written out, with its SECS and the request it was for."""
    forced = s.machine[at.WORK_CURRENT]
    if reclaim.write_row(s, row):
        reclaim.write_secs(s, s.machine[at.BATCH + at.BATCH_COLUMNS * row])
    if forced and s.machine[at.BATCH_CONTEXT] == at.CONTEXT_WORKER:
        s.groups[forced, at.GROUP_FORCED] -= s.groups[forced, at.GROUP_FORCED] > 0


@jit
def _uncharge(s: State, group: int, nr_pages: int) -> None:
    if nr_pages:
        page.uncharge(s, group, nr_pages)


@jit
def _count(s: State, group: int, nr_pages: int) -> None:
    if nr_pages:
        lru.count(s, group, nr_pages)


@inlined
def age(s: State, outcomes: NDArray[np.uint8]) -> None:
    """Fill ``outcomes`` from the engine's own accessed marks, clearing them (machines without page tables).

    Ages are not asked when the pass ignores them, and not for pages beyond the number a pass may write.
    """
    accepted = 0
    for row in range(s.machine[at.BATCH_NR]):
        where = at.BATCH + at.BATCH_COLUMNS * row
        element = s.enclaves[s.machine[where], at.ENCLAVE_OFFSET] + s.machine[where + 1]
        young = s.marks[element] & at.PAGE_ACCESSED
        if accepted >= s.machine[at.BATCH_MAX_WRITTEN]:
            outcomes[row] = _YOUNG
        elif young and not s.machine[at.BATCH_IGNORE_AGE]:
            s.marks[element] &= 255 - at.PAGE_ACCESSED
            outcomes[row] = _YOUNG
        else:
            outcomes[row] = _WRITTEN
            accepted += 1
