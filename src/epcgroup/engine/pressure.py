"""``epc.pressure``: the share of time tasks of a group waited for EPC, as pressure stall files have it.

The engine reads no clock: the machine adds waits (``STAT_STALL_USEC``) and calls ``tick`` with the time
that passed. Light: no Numba.
"""

from math import exp
from typing import Final

import numpy as np

from epcgroup.engine import state as at
from epcgroup.engine import tree
from epcgroup.engine.state import State

#: Windows of the averages, in seconds. Source: Documentation/accounting/psi.rst.
WINDOWS: Final = (10, 60, 300)
_MILLION: Final = 1_000_000


def total_usec(state: State, group: int) -> int:
    """Return the time tasks of a group and all below it waited, in microseconds."""
    rows = list(tree.subtree(state, group))
    return int(state.groups[rows, at.STAT_STALL_USEC].sum())


def tick(state: State, elapsed_usec: int) -> None:
    """Move the averages of every group on by ``elapsed_usec`` (> 0); overlapping waits count once."""
    for group in np.nonzero(state.groups[:, at.GROUP_STATE])[0].tolist():
        row = state.groups[group]
        total = total_usec(state, group)
        waited = max(0, total - int(row[at.GROUP_PRESSURE_TOTAL]))
        share = min(1.0, waited / elapsed_usec) * _MILLION
        row[at.GROUP_PRESSURE_TOTAL] = total
        for index, window in enumerate(WINDOWS):
            weight = 1 - exp(-elapsed_usec / _MILLION / window)
            average = int(row[at.GROUP_PRESSURE + index])
            row[at.GROUP_PRESSURE + index] = round(average + (share - average) * weight)


def text(state: State, group: int) -> str:
    """Return the file: ``some avg10=0.00 avg60=0.00 avg300=0.00 total=0``; averages in per cent."""
    averages = state.groups[group, at.GROUP_PRESSURE : at.GROUP_PRESSURE + len(WINDOWS)]
    shown = (
        f"avg{window}={average * 100 / _MILLION:.2f}"
        for window, average in zip(WINDOWS, averages.tolist(), strict=True)
    )
    return f"some {' '.join(shown)} total={total_usec(state, group)}\n"
