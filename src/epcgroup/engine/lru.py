"""Intrusive lists of frames: the reclaimable list of a group, and the unreclaimable one of series v2.

A frame is on at most one list; FRAME_LISTED, FRAME_FIXED and FRAME_ISOLATED say which. The counts of a
group and of all levels above it (``GROUP_NR_LRU_TREE``) move with the lists, so that "nothing reclaimable
below" is one look.
"""

from epcgroup.compiled.jit import inlined, jit
from epcgroup.engine import holders
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State


@inlined
def owner(s: State, frame: int) -> int:
    """Return the group on whose list a frame belongs: the one charged, or the root of a single list."""
    if s.machine[on.WALK] == on.WALK_ONE_LIST:
        return at.ROOT
    return int(s.frames[frame, at.FRAME_GROUP])


@inlined
def count(s: State, group: int, change: int) -> None:
    """Move the counts of a list and of all levels above it."""
    s.groups[group, at.GROUP_NR_LRU] += change
    while group:
        before = s.groups[group, at.GROUP_NR_LRU_TREE]
        s.groups[group, at.GROUP_NR_LRU_TREE] = before + change
        if before == 0 and change:
            holders.enter(s, group)
        group = s.groups[group, at.GROUP_PARENT]


@inlined
def _append(s: State, group: int, frame: int, head: int) -> None:
    tail = s.groups[group, head + 1]
    s.frames[frame, at.FRAME_PREVIOUS] = tail
    s.frames[frame, at.FRAME_NEXT] = 0
    if tail:
        s.frames[tail, at.FRAME_NEXT] = frame
    else:
        s.groups[group, head] = frame
    s.groups[group, head + 1] = frame


@inlined
def _unlink(s: State, group: int, frame: int, head: int) -> None:
    following = s.frames[frame, at.FRAME_NEXT]
    previous = s.frames[frame, at.FRAME_PREVIOUS]
    if following:
        s.frames[following, at.FRAME_PREVIOUS] = previous
    else:
        s.groups[group, head + 1] = previous
    if previous:
        s.frames[previous, at.FRAME_NEXT] = following
    else:
        s.groups[group, head] = following
    s.frames[frame, at.FRAME_NEXT] = 0
    s.frames[frame, at.FRAME_PREVIOUS] = 0


@inlined
def append(s: State, frame: int) -> int:
    """Put a frame at the tail of its list; returns the list's group, where the caller counts it."""
    group = owner(s, frame)
    _append(s, group, frame, at.GROUP_LRU_HEAD)
    s.frames[frame, at.FRAME_FLAGS] |= at.FRAME_LISTED
    return group


@inlined
def add_tail(s: State, frame: int) -> None:
    """Put a frame at the tail (young end) of its list. Source: sgx_mark_page_reclaimable."""
    count(s, append(s, frame), 1)


@inlined
def remove(s: State, frame: int) -> None:
    """Take a frame off its reclaimable list; nothing happens if it is on none."""
    if s.frames[frame, at.FRAME_FLAGS] & at.FRAME_LISTED:
        group = owner(s, frame)
        _unlink(s, group, frame, at.GROUP_LRU_HEAD)
        s.frames[frame, at.FRAME_FLAGS] &= ~at.FRAME_LISTED
        count(s, group, -1)


@inlined
def _isolated(s: State, frame: int) -> None:
    flags = s.frames[frame, at.FRAME_FLAGS]
    s.frames[frame, at.FRAME_FLAGS] = (flags & ~at.FRAME_LISTED) | at.FRAME_ISOLATED


@inlined
def isolate(s: State, group: int, frame: int) -> None:
    """Take a frame of a group's list into the batch; the caller counts it."""
    _unlink(s, group, frame, at.GROUP_LRU_HEAD)
    _isolated(s, frame)


@inlined
def isolate_head(s: State, frame: int) -> int:
    """Take the head of a list into the batch; returns the next one. ``set_head`` makes the list whole."""
    following = s.frames[frame, at.FRAME_NEXT]
    s.frames[frame, at.FRAME_NEXT] = 0
    s.frames[frame, at.FRAME_PREVIOUS] = 0
    _isolated(s, frame)
    return int(following)


@inlined
def set_head(s: State, group: int, frame: int) -> None:
    """Let the list of a group begin at ``frame``, 0 if none is left; the caller counts what went."""
    s.groups[group, at.GROUP_LRU_HEAD] = frame
    if frame:
        s.frames[frame, at.FRAME_PREVIOUS] = 0
    else:
        s.groups[group, at.GROUP_LRU_TAIL] = 0


@inlined
def restore(s: State, group: int, frame: int) -> None:
    """Undo ``isolate``: back to the head of the list; the caller counts it."""
    head = s.groups[group, at.GROUP_LRU_HEAD]
    s.frames[frame, at.FRAME_NEXT] = head
    s.frames[frame, at.FRAME_PREVIOUS] = 0
    if head:
        s.frames[head, at.FRAME_PREVIOUS] = frame
    else:
        s.groups[group, at.GROUP_LRU_TAIL] = frame
    s.groups[group, at.GROUP_LRU_HEAD] = frame
    flags = s.frames[frame, at.FRAME_FLAGS]
    s.frames[frame, at.FRAME_FLAGS] = (flags & ~at.FRAME_ISOLATED) | at.FRAME_LISTED


@jit
def add_fixed(s: State, frame: int) -> None:
    """Record a SECS, VA or guest page on its group's unreclaimable list. Source: V2, sgx_record_epc_page."""
    if s.machine[on.KEEPS_UNRECLAIMABLE]:
        group = int(s.frames[frame, at.FRAME_GROUP])
        _append(s, group, frame, at.GROUP_FIXED_HEAD)
        s.frames[frame, at.FRAME_FLAGS] |= at.FRAME_FIXED
        s.groups[group, at.GROUP_NR_FIXED] += 1


@inlined
def remove_fixed(s: State, frame: int) -> None:
    """Take a frame off the unreclaimable list; nothing happens if it is not there."""
    if s.frames[frame, at.FRAME_FLAGS] & at.FRAME_FIXED:
        group = int(s.frames[frame, at.FRAME_GROUP])
        _unlink(s, group, frame, at.GROUP_FIXED_HEAD)
        s.frames[frame, at.FRAME_FLAGS] &= ~at.FRAME_FIXED
        s.groups[group, at.GROUP_NR_FIXED] -= 1
