"""Admission (series ``fair``): an enclave that could never use its pages is refused when it is created.

SECS and VA pages are charged as long as pages are in use and cannot be written out; with one page of contents
they are the floor of an enclave. Assumed is that it uses its whole size. The kernel finds out late: after it
has paged everything else out, it refuses the VA page of page (limit - 2) * 512.
"""

from epcgroup.compiled.jit import jit
from epcgroup.engine import walk
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.floor import floor_pages
from epcgroup.state.layout import State

_floor_pages = jit(floor_pages)


@jit
def limit_of(s: State, level: int) -> int:
    """Return the pages a level may hold: its misc.max; the root's limit is the capacity."""
    if level == at.ROOT:
        return walk.limit_pages(s.machine[at.CAPACITY + at.RESOURCE_EPC])
    return walk.limit_pages(s.groups[level, at.GROUP_MAX])


@jit
def _tightest(s: State, group: int) -> int:
    """Return the level with the smallest limit from a group to the root, the nearest of equals."""
    level = group
    while group:
        if limit_of(s, group) < limit_of(s, level):
            level = group
        group = s.groups[group, at.GROUP_PARENT]
    return level


@jit
def refuser_of(s: State, group: int, size: int) -> int:
    """Return the level whose limit is below the floor of an enclave of a group, 0 if it is admitted.

    A refusal is one ``max`` and one ``oom`` of that level in epc.events, as that of any allocation.
    """
    level = _tightest(s, group) if s.machine[on.ADMITS_BY_FLOOR] else 0
    if not level or _floor_pages(size) <= limit_of(s, level):
        return 0
    s.groups[level, at.STAT_EVENT_MAX] += 1
    s.groups[level, at.STAT_EVENT_OOM] += 1
    return int(level)
