"""Which children hold reclaimable pages: how a walk passes ten thousand idle groups without a look.

A parent links those of its children that may have a page on a list, their own or one below, in order of
creation. A child enters with its first page, or when a walk begins at it, and leaves when a walk meets it
empty: each empty group is looked at once. Walks, cursors and what they find are as without it.
"""

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import siblings
from epcgroup.state import layout as at
from epcgroup.state.layout import State


@inlined
def _is_in(s: State, group: int) -> bool:
    parent = s.groups[group, at.GROUP_PARENT]
    return bool(s.groups[group, at.GROUP_HOLDER_PREVIOUS] or s.groups[parent, at.GROUP_HOLDER_FIRST] == group)


@jit
def _before(s: State, parent: int, group: int) -> int:
    """Return the last holder made before ``group``, 0 if there is none.

    Looks at the siblings before it and at the holders from the last one on by turns: the shorter way counts.
    """
    sibling = s.groups[group, at.GROUP_PREVIOUS]
    holder = s.groups[parent, at.GROUP_HOLDER_LAST]
    while holder and s.groups[holder, at.GROUP_ID] > s.groups[group, at.GROUP_ID]:
        if not sibling or _is_in(s, sibling):
            return int(sibling)
        sibling = s.groups[sibling, at.GROUP_PREVIOUS]
        holder = s.groups[holder, at.GROUP_HOLDER_PREVIOUS]
    return int(holder)


@jit
def enter(s: State, group: int) -> None:
    """Link a group with the other holders of its parent; nothing happens if it is, or is the root."""
    parent = s.groups[group, at.GROUP_PARENT]
    if not parent or _is_in(s, group):
        return
    siblings.insert(s, siblings.HOLDERS, parent, group, _before(s, parent, group))


@jit
def leave(s: State, group: int) -> None:
    """Unlink a group; nothing happens if it is not linked."""
    if _is_in(s, group):
        siblings.remove(s, siblings.HOLDERS, s.groups[group, at.GROUP_PARENT], group)


@inlined
def _first_full(s: State, group: int) -> int:
    """Return the first of ``group`` and the holders after it that has pages, dropping those met before it."""
    while group and s.groups[group, at.GROUP_NR_LRU_TREE] == 0:
        following = s.groups[group, at.GROUP_HOLDER_NEXT]
        leave(s, group)
        group = following
    return group


@inlined
def first(s: State, parent: int) -> int:
    """Return the first child with pages on its list or below, 0 if there is none."""
    return _first_full(s, s.groups[parent, at.GROUP_HOLDER_FIRST])


@inlined
def following(s: State, group: int) -> int:
    """Return the next sibling of ``group`` with pages on its list or below, 0 if there is none."""
    enter(s, group)
    return _first_full(s, s.groups[group, at.GROUP_HOLDER_NEXT])
