"""The misc controller: charges over the hierarchy, peak, events.

Amounts and counters are u64 kept as int64 bit patterns; ``above`` compares them as unsigned numbers. The
controller knows nothing of EPC: any resource can be charged. Source: kernel/cgroup/misc.c.
"""

from epcgroup.compiled.jit import inlined, jit
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

_SIGN = -(2**63)
#: Results of try_charge besides 0 and a refusing level.
INVALID = -1


@inlined
def above(left: int, right: int) -> bool:
    """Return whether ``left`` > ``right`` as unsigned 64-bit numbers."""
    return (left ^ _SIGN) > (right ^ _SIGN)


@inlined
def _over(s: State, usage: int, limit: int) -> bool:
    if s.machine[on.SIGNED_COUNTERS]:
        # misc.c before July 2023 compares `unsigned long` limits, but refuses what is negative as `long`
        # first.
        return usage < 0 or above(usage, limit)
    return above(usage, limit)


@jit
def _count_event(s: State, refuser: int, column: int) -> None:
    to_root = s.machine[on.EVENTS_TO_ROOT]
    if not to_root:
        s.groups[refuser, column + 1] += 1
    group = refuser
    while group and (to_root or group != at.ROOT):
        s.groups[group, column] += 1
        group = s.groups[group, at.GROUP_PARENT]


@inlined
def try_charge(s: State, group: int, resource: int, amount: int) -> int:
    """Charge ``amount`` at every level from ``group`` to the root, or at none.

    Returns:
        0 when charged, INVALID without such a resource, else the group that refused. A peak below the
        refusing level keeps the refused amount, and refusals count attempts, as in the kernel.

    Source: misc_cg_try_charge.
    """
    capacity = s.machine[at.CAPACITY + resource]
    if capacity == 0:
        return INVALID
    column = at.GROUP_COUNTERS + at.COUNTERS * resource
    level = group
    while level and amount:
        usage = s.groups[level, column] + amount
        if _over(s, usage, s.groups[level, column + at.MAX]) or _over(s, usage, capacity):
            _count_event(s, level, column + at.EVENTS)
            while group != level:
                s.groups[group, column] -= amount
                group = s.groups[group, at.GROUP_PARENT]
            return int(level)
        s.groups[level, column] = usage
        if above(usage, s.groups[level, column + at.PEAK]):
            s.groups[level, column + at.PEAK] = usage
        level = s.groups[level, at.GROUP_PARENT]
    return 0


@jit
def charge_unlimited(s: State, group: int, resource: int, amount: int) -> None:
    """Count ``amount`` at every level without asking any limit (series that only watch)."""
    column = at.GROUP_COUNTERS + at.COUNTERS * resource
    while group:
        usage = s.groups[group, column] + amount
        s.groups[group, column] = usage
        if above(usage, s.groups[group, column + at.PEAK]):
            s.groups[group, column + at.PEAK] = usage
        group = s.groups[group, at.GROUP_PARENT]


@inlined
def uncharge(s: State, group: int, resource: int, amount: int) -> None:
    """Take ``amount`` back at every level; the first time a counter falls below zero is a warning.

    Source: misc_cg_uncharge.
    """
    column = at.GROUP_COUNTERS + at.COUNTERS * resource
    while group:
        usage = s.groups[group, column] - amount
        s.groups[group, column] = usage
        if usage < 0 and s.machine[at.WARNINGS] == 0 and s.machine[on.SIGNED_COUNTERS]:
            s.machine[at.WARNINGS] = 1
        group = s.groups[group, at.GROUP_PARENT]
