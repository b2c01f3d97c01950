"""Lists of groups below one parent: all of its children, and those that hold pages (``holders.py``).

The four columns of a list stand together, so the first one names the list: first and last in the row of the
parent, next and previous in the rows of its children.
"""

from typing import Final

from epcgroup.compiled.jit import inlined
from epcgroup.state import layout as at
from epcgroup.state.layout import State

CHILDREN: Final = at.GROUP_FIRST_CHILD
HOLDERS: Final = at.GROUP_HOLDER_FIRST
_FIRST, _LAST, _NEXT, _PREVIOUS = range(4)


@inlined
def insert(s: State, links: int, parent: int, group: int, previous: int) -> None:
    """Link a group behind its sibling ``previous``, 0: as the first."""
    if previous:
        following = s.groups[previous, links + _NEXT]
        s.groups[previous, links + _NEXT] = group
    else:
        following = s.groups[parent, links + _FIRST]
        s.groups[parent, links + _FIRST] = group
    if following:
        s.groups[following, links + _PREVIOUS] = group
    else:
        s.groups[parent, links + _LAST] = group
    s.groups[group, links + _NEXT] = following
    s.groups[group, links + _PREVIOUS] = previous


@inlined
def remove(s: State, links: int, parent: int, group: int) -> None:
    """Unlink a group from its siblings."""
    previous = s.groups[group, links + _PREVIOUS]
    following = s.groups[group, links + _NEXT]
    if previous:
        s.groups[previous, links + _NEXT] = following
    else:
        s.groups[parent, links + _FIRST] = following
    if following:
        s.groups[following, links + _PREVIOUS] = previous
    else:
        s.groups[parent, links + _LAST] = previous
    s.groups[group, links + _NEXT] = 0
    s.groups[group, links + _PREVIOUS] = 0
