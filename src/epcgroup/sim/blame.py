"""Who evicted whom: pages of one pod written out on behalf of another, by the rule of ``engine/blame.py``."""

from epcgroup.compiled.jit import inlined, nth
from epcgroup.engine import blame, reclaim
from epcgroup.sim.layout import Arrays
from epcgroup.state import layout as engine
from epcgroup.state.layout import State

_WRITTEN = 0
_charge, _free, _settle = inlined(blame.charge), inlined(blame.free), inlined(blame.settle)


@inlined
def charged(a: Arrays, pod: int) -> None:
    """A page was charged to a pod."""
    _charge(a.account, pod)


@inlined
def count(a: Arrays, owner: int, cause: int) -> None:
    """Count one page of a pod that is written out for a group, or for the machine: 0."""
    nr_pods = a.reclaimed_by.shape[0]
    if owner >= nr_pods:
        return
    if cause:
        by = a.pod_of_group[nth(cause)]
        _free(a.account, owner, 1)
    else:
        by = _settle(a.account)
    a.reclaimed_by[nth(owner), nth(by if by >= 0 else nr_pods)] += 1


@inlined
def attribute(a: Arrays, s: State) -> None:
    """Count the pages of the batch that are about to be written out, as ``outcomes`` says."""
    for row in range(s.machine[engine.BATCH_NR]):
        if a.outcomes[row] == _WRITTEN and reclaim.is_row_valid(s, row):
            group = s.machine[engine.BATCH + engine.BATCH_COLUMNS * row + 2]
            count(a, a.pod_of_group[nth(group)], s.machine[engine.BATCH_CAUSE])
