"""A pairing heap for each list, largest key first, linked through ``frames``: the optimum's order.

Source: Fredman, Sedgewick, Sleator, Tarjan, The pairing heap, Algorithmica 1, 1986; merging in two passes.
"""

from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim.policy.memory import FRAME_NEXT, FRAME_OWN, FRAME_PREVIOUS, LIST_OWN, Memory

KEY = FRAME_OWN
_CHILD = FRAME_OWN + 1  # first child
_NEXT = FRAME_NEXT  # sibling
_PREVIOUS = FRAME_PREVIOUS  # sibling, or the parent of a first child
_ROOT = LIST_OWN


@inlined
def top(m: Memory, group: int) -> int:
    """Return the frame with the largest key, 0 if the heap is empty."""
    return int(m.lists[nth(group), _ROOT])


@inlined
def _meld(m: Memory, first: int, second: int) -> int:
    """Join two heaps without siblings; returns the root."""
    if not first or not second:
        return first + second
    if m.frames[nth(first), KEY] < m.frames[nth(second), KEY]:
        first, second = second, first
    child = m.frames[nth(first), _CHILD]
    m.frames[nth(second), _NEXT] = child
    m.frames[nth(second), _PREVIOUS] = first
    if child:
        m.frames[nth(child), _PREVIOUS] = second
    m.frames[nth(first), _CHILD] = second
    return first


@inlined
def add(m: Memory, group: int, frame: int, key: int) -> None:
    """Put a frame that is in no heap into one."""
    m.frames[nth(frame), KEY] = key
    m.frames[nth(frame), _CHILD] = 0
    m.frames[nth(frame), _NEXT] = 0
    m.frames[nth(frame), _PREVIOUS] = 0
    m.lists[nth(group), _ROOT] = _meld(m, m.lists[nth(group), _ROOT], frame)


@inlined
def _merge_children(m: Memory, frame: int) -> int:
    """Make one heap of the children of a frame: by pairs from the left, then all from the right."""
    pairs = 0  # chained through _NEXT, the last pair first
    child = m.frames[nth(frame), _CHILD]
    while child:
        second = m.frames[nth(child), _NEXT]
        following = 0
        if second:
            following = m.frames[nth(second), _NEXT]
            m.frames[nth(second), _NEXT] = 0
        m.frames[nth(child), _NEXT] = 0
        pair = _meld(m, child, second)
        m.frames[nth(pair), _NEXT] = pairs
        pairs = pair
        child = following
    root = 0
    while pairs:
        following = m.frames[nth(pairs), _NEXT]
        m.frames[nth(pairs), _NEXT] = 0
        root = _meld(m, root, pairs)
        pairs = following
    if root:
        m.frames[nth(root), _PREVIOUS] = 0
    return root


@inlined
def _cut(m: Memory, frame: int) -> None:
    """Take a frame that is not the root, with all below it, from its parent."""
    following = m.frames[nth(frame), _NEXT]
    previous = m.frames[nth(frame), _PREVIOUS]
    if following:
        m.frames[nth(following), _PREVIOUS] = previous
    if m.frames[nth(previous), _CHILD] == frame:
        m.frames[nth(previous), _CHILD] = following
    else:
        m.frames[nth(previous), _NEXT] = following
    m.frames[nth(frame), _NEXT] = 0
    m.frames[nth(frame), _PREVIOUS] = 0


@inlined
def raise_key(m: Memory, group: int, frame: int, key: int) -> None:
    """Give a frame of the heap a key that is not smaller."""
    m.frames[nth(frame), KEY] = key
    root = m.lists[nth(group), _ROOT]
    if frame != root:
        _cut(m, frame)
        m.lists[nth(group), _ROOT] = _meld(m, root, frame)


@inlined
def remove(m: Memory, group: int, frame: int) -> None:
    """Take a frame out of the heap."""
    root = m.lists[nth(group), _ROOT]
    if frame == root:
        m.lists[nth(group), _ROOT] = _merge_children(m, frame)
    else:
        _cut(m, frame)
        m.lists[nth(group), _ROOT] = _meld(m, root, _merge_children(m, frame))
