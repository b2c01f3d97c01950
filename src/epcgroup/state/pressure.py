"""``epc.pressure``: the share of time tasks of a group waited for EPC, as pressure stall files have it.

The engine reads no clock: the machine adds waits (``STAT_STALL_USEC``) and calls ``tick`` with the time
that passed. Light: no Numba.
"""

from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.state import layout as at
from epcgroup.state import tree
from epcgroup.state.layout import State

#: Windows of the averages, in seconds. Source: Documentation/accounting/psi.rst.
WINDOWS: Final = (10, 60, 300)
_MILLION: Final = 1_000_000


def total_usec(state: State, group: int) -> int:
    """Return the time tasks of a group and all below it waited, in microseconds."""
    rows = list(tree.subtree(state, group))
    return int(state.groups[rows, at.STAT_STALL_USEC].sum())


def _totals_usec(state: State) -> NDArray[np.int64]:
    """Waits of every group with all below it, int64 (rows of groups,), level by level up the tree."""
    parents = state.groups[:, at.GROUP_PARENT]
    carried = np.where(state.groups[:, at.GROUP_STATE] != 0, state.groups[:, at.STAT_STALL_USEC], 0)
    totals = carried.copy()
    while carried.any():
        above = np.zeros_like(carried)
        np.add.at(above, parents, carried)
        above[0] = 0
        totals += above
        carried = above
    return totals


def tick(state: State, elapsed_usec: int) -> None:
    """Move the averages of every group on by ``elapsed_usec`` (> 0); overlapping waits count once."""
    totals = _totals_usec(state)
    columns = state.groups[:, at.GROUP_PRESSURE : at.GROUP_PRESSURE + len(WINDOWS)]
    waited = np.maximum(totals - state.groups[:, at.GROUP_PRESSURE_TOTAL], 0)
    shares = np.minimum(waited / elapsed_usec, 1.0) * _MILLION
    state.groups[:, at.GROUP_PRESSURE_TOTAL] = totals
    for index, window in enumerate(WINDOWS):
        weight = 1 - exp(-elapsed_usec / _MILLION / window)
        columns[:, index] += np.rint((shares - columns[:, index]) * weight).astype(np.int64)


def text(state: State, group: int) -> str:
    """Return the file: ``some avg10=0.00 avg60=0.00 avg300=0.00 total=0``; averages in per cent."""
    averages = state.groups[group, at.GROUP_PRESSURE : at.GROUP_PRESSURE + len(WINDOWS)]
    shown = (
        f"avg{window}={average * 100 / _MILLION:.2f}"
        for window, average in zip(WINDOWS, averages.tolist(), strict=True)
    )
    return f"some {' '.join(shown)} total={total_usec(state, group)}\n"
