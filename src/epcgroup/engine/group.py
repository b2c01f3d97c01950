"""The cgroup tree: making and removing groups, and the references that keep a removed group alive.

Every charged page and every child object holds one reference. A removed group keeps its place in the tree, is
still walked by reclaim, and is freed with its last reference; then a removed parent may follow.
"""

from epcgroup.compiled import pointers
from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import holders, siblings, walk
from epcgroup.state import layout as at
from epcgroup.state.layout import State


@jit
def create(s: State, parent: int) -> int:
    """Make a group below ``parent`` (0: the root itself); returns its number, 0 if the table is full."""
    for group in range(1, s.machine[at.NR_GROUPS] + 1):
        if s.groups[group, at.GROUP_STATE] == at.GROUP_NONE:
            pointers.clear(s.groups, group)
            s.groups[group, at.GROUP_STATE] = at.GROUP_LIVE
            s.machine[at.GROUP_SERIAL] += 1
            s.groups[group, at.GROUP_ID] = s.machine[at.GROUP_SERIAL]
            s.groups[group, at.GROUP_HIGH] = -1
            for resource in range(3):
                s.groups[group, at.GROUP_COUNTERS + at.COUNTERS * resource + at.MAX] = -1
            if parent:
                _link(s, parent, group)
            return group
    return 0


@jit
def _link(s: State, parent: int, group: int) -> None:
    s.groups[group, at.GROUP_PARENT] = parent
    siblings.insert(s, siblings.CHILDREN, parent, group, s.groups[parent, at.GROUP_LAST_CHILD])
    s.groups[parent, at.GROUP_REFERENCES] += 1
    s.groups[parent, at.GROUP_NR_CHILDREN] += 1


@jit
def remove(s: State, group: int) -> bool:
    """Remove a group; False with processes or live children in it, and for the root.

    Source: cgroup_rmdir.
    """
    busy = s.groups[group, at.GROUP_NR_PROCESSES] or s.groups[group, at.GROUP_NR_CHILDREN]
    if group == at.ROOT or busy:
        return False
    s.groups[group, at.GROUP_STATE] = at.GROUP_DEAD
    s.groups[s.groups[group, at.GROUP_PARENT], at.GROUP_NR_CHILDREN] -= 1
    _free_unreferenced(s, group)
    return True


@inlined
def get(s: State, group: int) -> None:
    """Take a reference for a charged page."""
    s.groups[group, at.GROUP_REFERENCES] += 1


@inlined
def put(s: State, group: int, nr_pages: int) -> None:
    """Drop the references of charged pages; frees a removed group with its last one."""
    s.groups[group, at.GROUP_REFERENCES] -= nr_pages
    _free_unreferenced(s, group)


@jit
def _free_unreferenced(s: State, group: int) -> None:
    while (
        group
        and s.groups[group, at.GROUP_STATE] == at.GROUP_DEAD
        and s.groups[group, at.GROUP_REFERENCES] == 0
    ):
        parent = s.groups[group, at.GROUP_PARENT]
        _free(s, group, parent)
        s.groups[parent, at.GROUP_REFERENCES] -= 1
        group = parent


@jit
def _free(s: State, group: int, parent: int) -> None:
    cancel(s, group)
    ancestor = parent
    while ancestor:
        if s.groups[ancestor, at.GROUP_CURSOR] == group:
            s.groups[ancestor, at.GROUP_CURSOR] = walk.after_freed(s, group, ancestor)
        ancestor = s.groups[ancestor, at.GROUP_PARENT]
    holders.leave(s, group)
    siblings.remove(s, siblings.CHILDREN, parent, group)
    for column in range(at.GROUP_STATISTICS, at.GROUP_STATISTICS + at.NR_STATISTICS):
        s.groups[parent, column] += s.groups[group, column]
    for enclave in range(1, s.machine[at.NR_ENCLAVES] + 1):
        if s.enclaves[enclave, at.ENCLAVE_HOME] == group:
            s.enclaves[enclave, at.ENCLAVE_HOME] = parent
    for kill in range(at.KILLS, at.KILLS + at.KILL_ROWS * at.KILL_COLUMNS, at.KILL_COLUMNS):
        for column in (at.KILL_GROUP, at.KILL_LEVEL):
            if s.machine[kill + column] == group:
                s.machine[kill + column] = parent
    pointers.clear(s.groups, group)


@inlined
def queue(s: State, group: int) -> None:
    """Queue the work item of a group; nothing happens if it is queued already. Source: queue_work."""
    if s.groups[group, at.GROUP_WORK_PENDING]:
        return
    s.groups[group, at.GROUP_WORK_PENDING] = 1
    s.groups[group, at.GROUP_WORK_NEXT] = 0
    tail = s.machine[at.WORK_TAIL]
    if tail:
        s.groups[tail, at.GROUP_WORK_NEXT] = group
    else:
        s.machine[at.WORK_HEAD] = group
    s.machine[at.WORK_TAIL] = group


@jit
def dequeue(s: State) -> int:
    """Take the first queued item; returns its group, 0 if nothing is queued."""
    group = s.machine[at.WORK_HEAD]
    if group:
        s.machine[at.WORK_HEAD] = s.groups[group, at.GROUP_WORK_NEXT]
        if not s.machine[at.WORK_HEAD]:
            s.machine[at.WORK_TAIL] = 0
        s.groups[group, at.GROUP_WORK_PENDING] = 0
        s.groups[group, at.GROUP_WORK_NEXT] = 0
    return int(group)


@jit
def cancel(s: State, group: int) -> None:
    """Forget everything that is under way for a group that is being freed. Source: cancel_work_sync."""
    if s.machine[at.WORK_CURRENT] == group:
        s.machine[at.WORK_CURRENT] = 0
    for context in range(at.CONTEXT_ALLOCATION, at.CONTEXT_WRITE + 1, at.CONTEXT_WORDS):
        if s.machine[context + at.PASS_ROOT] == group:
            s.machine[context + at.PASS_ROOT] = 0
    if not s.groups[group, at.GROUP_WORK_PENDING]:
        return
    previous = 0
    item = s.machine[at.WORK_HEAD]
    while item != group:
        previous = item
        item = s.groups[item, at.GROUP_WORK_NEXT]
    following = s.groups[group, at.GROUP_WORK_NEXT]
    if previous:
        s.groups[previous, at.GROUP_WORK_NEXT] = following
    else:
        s.machine[at.WORK_HEAD] = following
    if not following:
        s.machine[at.WORK_TAIL] = previous
    s.groups[group, at.GROUP_WORK_PENDING] = 0
