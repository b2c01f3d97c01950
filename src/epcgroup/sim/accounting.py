"""Time that programs wait, per pod and for the node, as pressure stall information counts it; latencies.

``some``: at least one task waits for the EPC; ``full``: at least one does and no other is running or ready to
run. A task without work is neither. Changes come in the order of virtual time, so the sums are exact.
Source: kernel/sched/psi.c (``test_states``, PSI_MEM_SOME and PSI_MEM_FULL).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.sim import layout as at

_BITS: Final = 5
_LINEAR: Final = 2 << _BITS
#: Buckets that times of up to 2**63 - 1 ns fall into.
NR_BUCKETS: Final = ((63 - _BITS - 1) << _BITS) + _LINEAR


@inlined
def _change(pods: NDArray[np.int64], row: int, before: int, after: int, time: int) -> None:
    """One task of a pod (or of the node) goes from one mood to another."""
    here = nth(row)
    if pods[here, at.NR_STALLED]:
        passed = time - pods[here, at.CHANGED]
        pods[here, at.STALL_SOME] += passed
        if not pods[here, at.NR_PRODUCTIVE]:
            pods[here, at.STALL_FULL] += passed
    pods[here, at.CHANGED] = time
    pods[here, at.NR_STALLED] += (after == at.STALLED) - (before == at.STALLED)
    pods[here, at.NR_PRODUCTIVE] += (after == at.PRODUCTIVE) - (before == at.PRODUCTIVE)


@jit
def become(tasks: NDArray[np.int64], pods: NDArray[np.int64], task: int, mood: int, time: int) -> None:
    """Note that a task idles, works or waits from ``time`` on."""
    before = tasks[nth(task), at.MOOD]
    if before != mood:
        tasks[nth(task), at.MOOD] = mood
        _change(pods, tasks[nth(task), at.POD], before, mood, time)
        _change(pods, pods.shape[0] - 1, before, mood, time)


@inlined
def _stall(pods: NDArray[np.int64], row: int, begin: int, end: int) -> None:
    """One productive task of a pod (or of the node) waits from ``begin`` to ``end``."""
    here = nth(row)
    pods[here, at.STALL_SOME] += end - (pods[here, at.CHANGED] if pods[here, at.NR_STALLED] else begin)
    if pods[here, at.NR_PRODUCTIVE] == 1:
        pods[here, at.STALL_FULL] += end - begin
    pods[here, at.CHANGED] = end


@inlined
def stall(tasks: NDArray[np.int64], pods: NDArray[np.int64], task: int, begin: int, end: int) -> None:
    """Note that a productive task waits and goes on, with nothing else noted between: ``become`` twice."""
    _stall(pods, tasks[nth(task), at.POD], begin, end)
    _stall(pods, pods.shape[0] - 1, begin, end)


def settle(pods: NDArray[np.int64], time: int) -> None:
    """Bring the stall times of all rows up to ``time``."""
    passed = (time - pods[:, at.CHANGED]) * (pods[:, at.NR_STALLED] > 0)
    pods[:, at.STALL_SOME] += passed
    pods[:, at.STALL_FULL] += passed * (pods[:, at.NR_PRODUCTIVE] == 0)
    pods[:, at.CHANGED] = time


@inlined
def bucket_of(value_ns: int) -> int:
    """Return the bucket of a time >= 0: ``abi/histogram.py``, compiled."""
    if value_ns < _LINEAR:
        return value_ns
    shift = 0
    rest = value_ns
    for step in (32, 16, 8, 4, 2, 1):
        if rest >> step >= _LINEAR >> 1:
            rest >>= step
            shift += step
    return (shift << _BITS) + (value_ns >> shift)
