"""A fleet: pods that have found their nodes, then every node simulated under each series.

Nodes do not touch each other once their pods are bound, so each is a simulation of its own. Its result is
reduced to a row at once.

What must not live here: drawing pods (``podtable.py``), scheduling (``scheduler.py``), sums over the nodes
(``fleettotals.py``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.plan.measure import Row, giving_up, percentiles
from epcgroup.plan.podmodels import Distributions
from epcgroup.plan.podtable import DAY_NS, PodTable
from epcgroup.plan.pool import Pool, in_order
from epcgroup.plan.scheduler import Placement
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import NODE_COLUMNS, POD_COLUMNS, Result
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Scenario

#: Columns of the table of nodes: type and meaning.
COLUMNS: Final = {
    "series": "text",
    "node": "int",
    "pods": "int",  # bound to it in all
    "pods_at_once": "float",  # mean over the time
    "claimed": "float",  # share of its EPC, mean over the time
    "requests": "int",
    "accesses": "int",
    "faults": "int",
    "loaded": "int",
    "evictions": "int",
    "refused": "int",
    "stall_some": "float",  # share of the time
    "stall_full": "float",
    "p50_ns": "int",
    "p99_ns": "int",
    "p999_ns": "int",
    "p99_within_ns": "int",  # of the pods that take no more than they claim
    "pods_within": "int",  # how many these are
    "pods_hurt": "int",  # how many of them had to load pages back
    "requests_within": "int",
    "wait_within_ns": "int",  # time these pods waited for EPC
    "wait_beyond_ns": "int",  # ... the others
    "digest": "text",
}
#: Columns that are sums over the pods of a node.
SUMMED: Final = ("requests", "faults", "loaded", "evictions", "refused")
_POD: Final = {name: number for number, name in enumerate(POD_COLUMNS)}
_NODE: Final = {name: number for number, name in enumerate(NODE_COLUMNS)}


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet whose pods have found their nodes.

    Attributes:
        table: the pods.
        placement: where each runs and when.
        nr_nodes: all alike.
        epc_bytes: EPC of each.
        duration_ns: time simulated.
        given: what the models are.
        costs: cost model.
        seed: of every random choice.
    """

    table: PodTable
    placement: Placement
    nr_nodes: int
    epc_bytes: int
    duration_ns: int
    given: Distributions
    costs: str
    seed: int

    def scenario(self, node: int, series: str) -> Scenario:
        """Return what happens on one node under a series."""
        return Scenario(
            self.epc_bytes,
            tuple(self._pod(int(pod)) for pod in self.placement.on(node)),
            self.duration_ns,
            series=series,
            costs=self.costs,
            seed=self.seed,
            sample_ns=self.duration_ns,  # only totals are looked at
        )

    def _pod(self, pod: int) -> PodSpec:
        claim = int(self.table.claim_bytes[pod])
        start_ns, end_ns = int(self.placement.start_ns[pod]), int(self.placement.end_ns[pod])
        load = self.given.mean_load(start_ns, end_ns, DAY_NS)
        model = self.given.models[self.table.model[pod]]
        program = model.program(int(self.table.enclave_pages[pod]), float(self.table.rate[pod]) * load)
        return PodSpec(
            f"{model.name}-{pod}",
            (ContainerSpec("main", program, claim),),
            claim_bytes=claim,
            limit_bytes=claim,
            start_ns=start_ns,
            end_ns=end_ns if end_ns < self.duration_ns else None,
        )


@dataclass(frozen=True, slots=True)
class _NodeTask:
    """One node to simulate; can be sent to another machine.

    Attributes:
        node: its number.
        scenario: what happens there.
        beyond: which of its pods take more than they claim.
    """

    node: int
    scenario: Scenario
    beyond: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class NodeFound:
    """What one node did under one series.

    Attributes:
        row: of :data:`COLUMNS`.
        latency: requests of all pods by bucket, int64 (buckets,).
        latency_within: of the pods that take no more than they claim.
    """

    row: Row
    latency: NDArray[np.int64]
    latency_within: NDArray[np.int64]


def _simulate(task: _NodeTask, stop: Callable[[], bool] | None = None) -> NodeFound:
    result = simulate(task.scenario, None if stop is None else giving_up(stop))
    return _reduced(task, result)


def _reduced(task: _NodeTask, result: Result) -> NodeFound:
    within = ~np.array(task.beyond, np.bool_)
    latency, latency_within = result.latency[-1].sum(axis=0), result.latency[-1][within].sum(axis=0)
    row: Row = {
        "series": task.scenario.series,
        "node": task.node,
        "pods": len(task.scenario.pods),
        **_occupation(task.scenario),
        "accesses": result.nr_accesses,
        **_of_pods(result.pods[-1], within),
        **_stalls(result.node[-1], task.scenario.duration_ns),
        **percentiles(latency),
        "p99_within_ns": percentiles(latency_within)["p99_ns"],
        "digest": result.digest,
    }
    return NodeFound(row, latency, latency_within)


def _of_pods(pods: NDArray[np.int64], within: NDArray[np.bool_]) -> dict[str, int]:
    stalls = pods[:, _POD["stall_some_ns"]]
    return {
        **{name: int(pods[:, _POD[name]].sum()) for name in SUMMED},
        "pods_within": int(within.sum()),
        "pods_hurt": int((pods[within, _POD["loaded"]] > 0).sum()),
        "requests_within": int(pods[within, _POD["requests"]].sum()),
        "wait_within_ns": int(stalls[within].sum()),
        "wait_beyond_ns": int(stalls[~within].sum()),
    }


def _stalls(node: NDArray[np.int64], duration_ns: int) -> dict[str, float]:
    return {name: int(node[_NODE[f"{name}_ns"]]) / duration_ns for name in ("stall_some", "stall_full")}


def _occupation(scenario: Scenario) -> dict[str, float]:
    """Return how many pods there were and how much they claimed, means over the time."""
    whole = scenario.duration_ns
    times = [((whole if pod.end_ns is None else pod.end_ns) - pod.start_ns) / whole for pod in scenario.pods]
    claimed = sum(time * pod.claim_bytes for time, pod in zip(times, scenario.pods, strict=True))
    return {"pods_at_once": sum(times), "claimed": claimed / scenario.capacity_bytes}


def nodes_under(
    fleet: Fleet, series: Sequence[str], pool: Pool, stop: Callable[[], bool]
) -> Iterator[NodeFound]:
    """Simulate every node under every series; give what each did, in order; ends early when stopped."""
    beyond = fleet.table.beyond
    tasks = (
        _NodeTask(node, fleet.scenario(node, one), tuple(bool(x) for x in beyond[fleet.placement.on(node)]))
        for one in series
        for node in range(fleet.nr_nodes)
    )
    call = partial(_simulate, stop=stop) if pool.here else _simulate
    return in_order(pool, call, tasks, stop)
