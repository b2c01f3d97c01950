"""Orders in which reclaim visits groups: pre-order, with a cursor at the group the walk starts from.

Pre-order: parent before children, children in order of creation; removed groups that still exist are visited.
"""

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import holders
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

_SHIFT = 12
_PAGES_MASK = 2**52 - 1


@inlined
def successor(s: State, group: int, root: int) -> int:
    """Return the group after ``group`` in pre-order inside ``root``'s subtree, 0 at the end."""
    child = s.groups[group, at.GROUP_FIRST_CHILD]
    if child:
        return int(child)
    while group != root:
        following = s.groups[group, at.GROUP_NEXT]
        if following:
            return int(following)
        group = s.groups[group, at.GROUP_PARENT]
    return 0


@inlined
def _next_holding(s: State, group: int, root: int) -> int:
    """Return the next group in pre-order with pages on its own list, 0 at the end.

    Groups without pages are not visited (``holders.py``): ten thousand idle ones cost nothing.
    """
    while True:
        onward = holders.first(s, group)
        while not onward and group != root:
            onward = holders.following(s, group)
            if not onward:
                group = s.groups[group, at.GROUP_PARENT]
        if not onward or s.groups[onward, at.GROUP_NR_LRU]:
            return int(onward)
        group = onward


@jit
def next_round_robin(s: State, root: int) -> int:
    """Return the next group with pages from ``root``'s cursor on and move the cursor behind it.

    There must be one. Source: V17, sgx_cgroup_next_get, called until a list is not empty.
    """
    group = _find(s, root, False, False)
    _move_cursor(s, root, group)
    return group


@inlined
def _move_cursor(s: State, root: int, group: int) -> None:
    following = successor(s, group, root)
    s.groups[root, at.GROUP_CURSOR] = following if following else root


@jit
def after_freed(s: State, group: int, root: int) -> int:
    """Return where ``root``'s cursor goes when the group under it is freed.

    V17 moves on; V2 forgets the position (``next`` unset).
    """
    if s.machine[on.WALK] == on.WALK_SHARED:
        return 0
    following = successor(s, group, root)
    return following if following else root


@inlined
def limit_pages(limit: int) -> int:
    """Return a limit (bytes, bit pattern of a u64) in whole pages."""
    return int((limit >> _SHIFT) & _PAGES_MASK)


@inlined
def is_protected(s: State, group: int, root: int) -> bool:
    """Return whether a level from ``group`` up to below ``root`` holds no more than its epc.low."""
    while group != root and group:
        low = limit_pages(s.groups[group, at.GROUP_LOW])
        if low and s.groups[group, at.GROUP_USAGE] >> _SHIFT <= low:
            return True
        group = s.groups[group, at.GROUP_PARENT]
    return False


@inlined
def room_wanted(s: State, limit: int) -> int:
    """Return the pages the background keeps free below a limit (pages): 1/8, at most the margin."""
    return int(min(s.machine[on.NR_MARGIN], limit >> 3))


@inlined
def background_target(s: State, group: int) -> int:
    """Return the usage, in pages, down to which the item of a group works (series ``fair``).

    Below misc.max by the room wanted, and not above epc.high.
    """
    limit = limit_pages(s.groups[group, at.GROUP_MAX])
    target = limit - room_wanted(s, limit)
    return min(target, limit_pages(s.groups[group, at.GROUP_HIGH]))


@inlined
def is_crowded(s: State, group: int, root: int) -> bool:
    """Return whether a level from ``group`` up to below ``root`` holds more than its background target."""
    while group != root and group:
        if s.groups[group, at.GROUP_USAGE] >> _SHIFT > background_target(s, group):
            return True
        group = s.groups[group, at.GROUP_PARENT]
    return False


@inlined
def _suits(s: State, group: int, root: int, crowded: bool, unprotected: bool) -> bool:
    return bool(
        s.groups[group, at.GROUP_NR_LRU]
        and not (crowded and not is_crowded(s, group, root))
        and not (unprotected and is_protected(s, group, root))
    )


@jit
def _find(s: State, root: int, crowded: bool, unprotected: bool) -> int:
    """Return the first group with pages, from the cursor to the end, then from the root on; 0: none suits."""
    group = s.groups[root, at.GROUP_CURSOR]
    for _ in range(2):
        if not group:
            group = root
        while group:
            if _suits(s, group, root, crowded, unprotected):
                return int(group)
            group = _next_holding(s, group, root)
    return 0


@jit
def next_preferred(s: State, root: int) -> int:
    """Return the next group to take pages from in series ``fair``; its subtree must hold a reclaimable page.

    Round robin as in V17, but first among groups with too little room below a limit of theirs, then among
    groups above their epc.low, and only when all are protected among all (counted in epc.events ``low``).
    """
    group = 0
    if s.groups[root, at.GROUP_FIRST_CHILD]:
        group = _find(s, root, True, True)
    if not group:
        group = _find(s, root, False, True)
    if not group:
        group = _find(s, root, False, False)
        s.groups[group, at.STAT_EVENT_LOW] += 1
    _move_cursor(s, root, group)
    return group


@jit
def next_shared(s: State, root: int, first: bool) -> int:
    """Advance the walk position of V2 and return the group visited, 0 at the end of a round.

    The first step of a pass starts over at the root when the position is unset. Source: V2,
    sgx_epc_cgroup_iter.
    """
    current = s.groups[root, at.GROUP_CURSOR]
    following = successor(s, current, root) if current else 0
    if not following:
        if first:
            if current:
                s.groups[root, at.GROUP_EPOCH] += 1
            following = root
        else:
            s.groups[root, at.GROUP_CURSOR] = 0
            s.groups[root, at.GROUP_EPOCH] += 1
            return 0
    s.groups[root, at.GROUP_CURSOR] = following
    return following
