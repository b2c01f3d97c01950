"""Reclaim of series v2: passes over several groups, growing impatience, limit writes that reclaim and kill.

One pass scans 16 to 64 pages and writes at most 32. After the sixth pass that wrote nothing ages are ignored;
after the sixth that also found every list empty, an allocation gives up and a limit write kills an enclave.
Source: V2 17/18, sgx_epc_cgroup_reclaim_pages, __sgx_epc_cgroup_try_charge, reclaim_work_func, max_write.
"""

from epcgroup.compiled.jit import jit
from epcgroup.engine import oom, reclaim, walk
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

_SHIFT = 12
#: Passes without a batch after which an operation counts as endless (the recorder's patience).
PATIENCE = 20_000
ENDLESS = -1


@jit
def reset(s: State, context: int) -> None:
    """Forget the impatience of a context."""
    for word in range(at.CONTEXT_WORDS):
        s.machine[context + word] = 0


@jit
def judge(s: State, context: int, group: int) -> bool:
    """Judge the pass that just ended; returns whether it found every list of the subtree empty.

    A pass that wrote something leaves the counts alone.
    """
    if s.machine[context + at.PASS_WRITTEN]:
        return False
    if s.groups[group, at.GROUP_NR_LRU_TREE] == 0:
        s.machine[context + at.PASS_EMPTY] += 1
        return True
    s.machine[context + at.PASS_FAILS] += 1
    if s.machine[context + at.PASS_FAILS] > s.machine[on.NR_FAILED_PASSES]:
        s.machine[context + at.PASS_IGNORE_AGE] = 1
    return False


@jit
def isolate(s: State, context: int, group: int, wanted: int) -> int:
    """Isolate the batch of a pass for a group that wants so many pages."""
    nr_pages = min(max(wanted, s.machine[on.NR_MIN_SCAN]), s.machine[on.NR_MAX_SCAN])
    s.machine[context + at.PASS_WRITTEN] = 0
    done = reclaim.isolate_shared(s, context, group, nr_pages, group)
    s.machine[context + at.PASS_PENDING] = 1 if done else 0
    return done


@jit
def _worker_target(s: State, group: int) -> int:
    target = walk.limit_pages(s.groups[group, at.GROUP_MAX])
    if target > 0:
        target -= 1
    if target > 64:
        target -= 8
    return target


@jit
def _toward(s: State, context: int, group: int, target: int, kills: bool) -> int:
    """Isolate the next batch of a loop that brings a usage down to ``target`` pages; 0 = loop over."""
    for _ in range(PATIENCE):
        if s.machine[context + at.PASS_PENDING]:
            s.machine[context + at.PASS_PENDING] = 0
            if _is_over(s, context, group, kills):
                return 0
        usage = s.groups[group, at.GROUP_USAGE] >> _SHIFT
        if usage <= target:
            return 0
        done = isolate(s, context, group, usage - target)
        if done:
            return done
        if _is_over(s, context, group, kills):
            return 0
    return ENDLESS


@jit
def _is_over(s: State, context: int, group: int, kills: bool) -> bool:
    if not judge(s, context, group):
        return False
    if kills and s.machine[context + at.PASS_EMPTY] > s.machine[on.NR_EMPTY_PASSES]:
        oom.kill(s, group)
    return not kills


@jit
def item_step(s: State, group: int) -> int:
    """Isolate the next batch of a group's work item; 0 = finished, ENDLESS = it would never finish."""
    return _toward(s, at.CONTEXT_WORKER, group, _worker_target(s, group), False)


@jit
def write_step(s: State, group: int) -> int:
    """Isolate the next batch of a ``misc.max`` write below the usage; 0 = done, or ENDLESS."""
    target = walk.limit_pages(s.groups[group, at.GROUP_MAX])
    return _toward(s, at.CONTEXT_WRITE, group, target, True)
