"""Who evicted whom: pages of one pod written out on behalf of another; the rule of ``pager/attribution.py``.

A batch that serves a limit counts for the pod of the limit. A batch of ksgxd serves the machine: its pages
count for those whose allocations used up the free pages, in the order in which they did.
"""

from epcgroup.compiled.jit import inlined, nth
from epcgroup.engine import reclaim
from epcgroup.sim import layout as at
from epcgroup.sim.layout import MAX_DEBTS, Arrays
from epcgroup.state import layout as engine
from epcgroup.state.layout import State

_WRITTEN = 0


@inlined
def _wrapped(place: int) -> int:
    """Return a place of the ring of debts; the remainder of a division takes longer than all the rest."""
    return place - MAX_DEBTS if place >= MAX_DEBTS else place


@inlined
def charged(a: Arrays, pod: int) -> None:
    """A page was charged to a pod: it owes one, unless its own limit had just made one free."""
    w = a.machine
    if a.pods[nth(pod), at.CREDITS] > 0:
        a.pods[nth(pod), at.CREDITS] -= 1
        return
    a.debts[nth(_wrapped(w[at.FIRST_DEBT] + w[at.NR_DEBTS]))] = pod
    if w[at.NR_DEBTS] < MAX_DEBTS:
        w[at.NR_DEBTS] += 1
    else:
        w[at.FIRST_DEBT] = _wrapped(w[at.FIRST_DEBT] + 1)


@inlined
def _debtor(a: Arrays) -> int:
    """Return who used up the next page that ksgxd makes free; the number of pods if nobody is known."""
    w = a.machine
    if w[at.NR_DEBTS] == 0:
        return int(a.reclaimed_by.shape[0])
    pod = a.debts[nth(w[at.FIRST_DEBT])]
    w[at.FIRST_DEBT] = _wrapped(w[at.FIRST_DEBT] + 1)
    w[at.NR_DEBTS] -= 1
    return int(pod)


@inlined
def _count(a: Arrays, owner: int, cause: int) -> None:
    """Count one page of a pod that is written out for a group, or for the machine: 0."""
    if owner >= a.reclaimed_by.shape[0]:
        return
    if cause:
        by = a.pod_of_group[nth(cause)]
        a.pods[nth(owner), at.CREDITS] = min(a.pods[nth(owner), at.CREDITS] + 1, MAX_DEBTS)
    else:
        by = _debtor(a)
    a.reclaimed_by[nth(owner), nth(by)] += 1


@inlined
def attribute(a: Arrays, s: State) -> None:
    """Count the pages of the batch that are about to be written out, as ``outcomes`` says."""
    for row in range(s.machine[engine.BATCH_NR]):
        if a.outcomes[row] == _WRITTEN and reclaim.is_row_valid(s, row):
            group = s.machine[engine.BATCH + engine.BATCH_COLUMNS * row + 2]
            _count(a, a.pod_of_group[nth(group)], s.machine[engine.BATCH_CAUSE])
