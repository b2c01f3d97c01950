"""Samples over virtual time, taken between two segments, and the result they make."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from epcgroup.sim import accounting
from epcgroup.sim import layout as at
from epcgroup.sim.layout import Arrays
from epcgroup.sim.result import NODE_COLUMNS, POD_COLUMNS, Kill, Result
from epcgroup.sim.scenario import Scenario
from epcgroup.state import layout as engine
from epcgroup.state.layout import State

_POD = {name: column for column, name in enumerate(POD_COLUMNS)}
_NODE = {name: column for column, name in enumerate(NODE_COLUMNS)}
#: Column of a sample → counter of ``pods``.
_COUNTERS = {
    "created": at.CREATED,
    "loaded": at.LOADED,
    "refused": at.REFUSED,
    "hits": at.HITS,
    "requests": at.ANSWERED,
}
_TIMES = {
    "stall_some_ns": at.STALL_SOME,
    "stall_full_ns": at.STALL_FULL,
    "direct_ns": at.DIRECT,
}


class Recorder:
    """What has been seen of one simulation.

    Attributes:
        groups: group of each pod, 0 while it has none, int64.
        phases: index into ``PHASES`` of each pod, int64.
        peaks: highest usage of each pod, in bytes, as far as its group is gone, int64.
    """

    def __init__(self, state: State, arrays: Arrays) -> None:
        nr_pods = len(arrays.pods) - 1
        self._state = state
        self._arrays = arrays
        self._times_ns: list[int] = []
        self._pods: list[NDArray[np.int64]] = []
        self._nodes: list[NDArray[np.int64]] = []
        self._reclaimed_by: list[NDArray[np.int64]] = []
        self._latency: list[NDArray[np.int64]] = []
        self.groups = np.zeros(nr_pods, np.int64)
        self.phases = np.zeros(nr_pods, np.int64)
        self.peaks = np.zeros(nr_pods, np.int64)

    def sample(self, time: int) -> None:
        """Take a sample at a time in ps."""
        accounting.settle(self._arrays.pods, time)
        self._times_ns.append(time // at.PS)
        self._pods.append(self._pod_rows())
        self._nodes.append(self._node_row())
        self._reclaimed_by.append(self._arrays.reclaimed_by.copy())
        self._latency.append(self._arrays.latency.copy())

    def _pod_rows(self) -> NDArray[np.int64]:
        rows = np.zeros((len(self.groups), len(POD_COLUMNS)), np.int64)
        counters = self._arrays.pods[:-1]
        for name, column in _COUNTERS.items():
            rows[:, _POD[name]] = counters[:, column]
        for name, column in _TIMES.items():
            rows[:, _POD[name]] = counters[:, column] // at.PS
        rows[:, _POD["faults"]] = rows[:, _POD["created"]] + rows[:, _POD["loaded"]]
        rows[:, _POD["evictions"]] = self._arrays.reclaimed_by.sum(axis=1)
        usage = self._state.groups[self.groups, engine.GROUP_USAGE]
        peak = self._state.groups[self.groups, engine.GROUP_PEAK]
        rows[:, _POD["current_bytes"]] = np.where(self.groups > 0, usage, 0)
        rows[:, _POD["peak_bytes"]] = np.maximum(self.peaks, np.where(self.groups > 0, peak, 0))
        rows[:, _POD["phase"]] = self.phases
        self._add_enclaves(rows)
        return rows

    def _add_enclaves(self, rows: NDArray[np.int64]) -> None:
        tasks = self._arrays.tasks
        live = tasks[tasks[:, at.WHAT] != at.OFF]
        enclaves = self._state.enclaves[live[:, at.ENCLAVE]]
        np.add.at(rows[:, _POD["resident_pages"]], live[:, at.POD], enclaves[:, engine.ENCLAVE_NR_CHILDREN])
        np.add.at(rows[:, _POD["evicted_pages"]], live[:, at.POD], enclaves[:, engine.ENCLAVE_NR_EVICTED])

    def _node_row(self) -> NDArray[np.int64]:
        row = np.zeros(len(NODE_COLUMNS), np.int64)
        words, node = self._arrays.machine, self._arrays.pods[-1]
        row[_NODE["free_pages"]] = self._state.machine[engine.NR_FREE]
        row[_NODE["background_batches"]] = words[at.BACKGROUND_BATCHES]
        row[_NODE["background_ns"]] = words[at.BACKGROUND_TIME] // at.PS
        row[_NODE["stall_some_ns"]] = node[at.STALL_SOME] // at.PS
        row[_NODE["stall_full_ns"]] = node[at.STALL_FULL] // at.PS
        return row

    def result(
        self, scenario: Scenario, messages: tuple[str, ...], reasons: tuple[str, ...], kills: tuple[Kill, ...]
    ) -> Result:
        """Return everything that was sampled, and what else is known; see ``Result``."""
        nr_buckets = int(np.flatnonzero(self._latency[-1].any(axis=0)).max(initial=-1)) + 1
        arrays = (
            np.array(self._times_ns, np.int64),
            np.array(self._pods),
            np.array(self._nodes),
            np.array(self._reclaimed_by),
            np.array([counts[:, :nr_buckets] for counts in self._latency]),
        )
        pods = self._arrays.pods[:-1]
        nr_accesses = int(pods[:, [at.HITS, at.CREATED, at.LOADED, at.REFUSED]].sum())
        digest = _digest(arrays, nr_accesses, kills)
        return Result(scenario, *arrays, nr_accesses, digest, messages, reasons, kills)


def _digest(arrays: tuple[NDArray[np.int64], ...], nr_accesses: int, kills: tuple[Kill, ...]) -> str:
    digest = hashlib.sha256(str(nr_accesses).encode())
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array, "<i8").data)
    for kill in kills:
        digest.update(repr(kill).encode())
    return digest.hexdigest()
