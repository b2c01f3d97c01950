"""Pods onto nodes, as the Kubernetes scheduler does it when EPC is what is scarce.

It counts claims, never use. A pod that fits nowhere is pending; whenever a pod ends, those pending are looked
at again in the order they came, and a later one that fits does not wait for an earlier one that does not.

What must not live here: what fits (``sim/ledger.py``), what a pod does on its node (``fleet.py``).

Source: kube-scheduler, NodeResourcesFit with ``scoringStrategy`` over EPC alone. Differences: the first of
equal nodes is taken, not any; no back-off of pending pods; no priorities, no preemption.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.plan.podtable import PodTable
from epcgroup.sim.ledger import fits

#: Node of a pod that never found one.
PENDING: Final = -1

#: Bytes free after the pod is bound, of nodes where it fits → what is best is smallest.
Score = Callable[[NDArray[np.int64]], NDArray[np.int64]]
#: Names as in KubeSchedulerConfiguration. LeastAllocated spreads, MostAllocated packs.
SCORINGS: Final[Mapping[str, Score]] = {
    "LeastAllocated": lambda free_bytes: -free_bytes,
    "MostAllocated": lambda free_bytes: free_bytes,
}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the pods of a table went.

    Attributes:
        node: int32 (pods,), or :data:`PENDING`.
        start_ns: int64 (pods,): when it was bound; of a pending pod the end of the time looked at.
        end_ns: int64 (pods,): start and lifetime, at most the end of the time looked at.
        by_node: int64 (pods,): the pods, those of a node together, in the order of the table.
        first: int64 (nodes + 1,): where those of each node begin in ``by_node``.
    """

    node: NDArray[np.int32]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    by_node: NDArray[np.int64]
    first: NDArray[np.int64]

    def on(self, node: int) -> NDArray[np.int64]:
        """Return the pods of a node, in the order of the table."""
        return self.by_node[self.first[node] : self.first[node + 1]]


@dataclass(slots=True)
class _Cluster:
    """Nodes while pods come and go.

    Attributes:
        table: the pods.
        free_bytes: what nobody claims, int64 (nodes,).
        score: which node is best.
        node, start_ns: as in :class:`Placement`.
        ends: (when, pod) of the bound pods, a heap.
        pending: pods that fit nowhere, in the order they came.
    """

    table: PodTable
    free_bytes: NDArray[np.int64]
    score: Score
    node: NDArray[np.int32]
    start_ns: NDArray[np.int64]
    ends: list[tuple[int, int]] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)

    def bind(self, pod: int, now_ns: int) -> bool:
        """Bind a pod to the best node on which it fits, if there is one."""
        candidates = np.flatnonzero(fits(int(self.table.claim_bytes[pod]), self.free_bytes))
        if not len(candidates):
            return False
        best = int(candidates[np.argmin(self.score(self.free_bytes[candidates]))])
        self._bind_to(pod, best, now_ns)
        return True

    def _bind_to(self, pod: int, node: int, now_ns: int) -> None:
        self.free_bytes[node] -= self.table.claim_bytes[pod]
        self.node[pod] = node
        self.start_ns[pod] = now_ns
        heapq.heappush(self.ends, (now_ns + int(self.table.lifetime_ns[pod]), pod))

    def end_until(self, now_ns: int) -> None:
        """End the pods whose time has come; after each, the pending pods look at its node."""
        while self.ends and self.ends[0][0] <= now_ns:
            end_ns, pod = heapq.heappop(self.ends)
            node = int(self.node[pod])
            self.free_bytes[node] += self.table.claim_bytes[pod]
            self._retry(node, end_ns)

    def _retry(self, node: int, now_ns: int) -> None:
        """Bind pending pods to the one node that has more room than before."""
        left: list[int] = []
        for pod in self.pending:
            if fits(int(self.table.claim_bytes[pod]), int(self.free_bytes[node])):
                self._bind_to(pod, node, now_ns)
            else:
                left.append(pod)
        self.pending = left


def schedule(
    table: PodTable, nr_nodes: int, epc_bytes: int, duration_ns: int, scoring: str = "LeastAllocated"
) -> Placement:
    """Return where and when each pod runs.

    Args:
        table: the pods, in the order of their arrival.
        nr_nodes: how many nodes there are, all alike.
        epc_bytes: EPC of each.
        duration_ns: the time looked at.
        scoring: a name of :data:`SCORINGS`.
    """
    nr_pods = table.nr_pods
    cluster = _Cluster(
        table,
        np.full(nr_nodes, epc_bytes, np.int64),
        SCORINGS[scoring],
        np.full(nr_pods, PENDING, np.int32),
        np.full(nr_pods, duration_ns, np.int64),
    )
    for pod, arrival_ns in enumerate(table.arrival_ns.tolist()):
        if arrival_ns >= duration_ns:
            break
        cluster.end_until(arrival_ns)
        if not cluster.bind(pod, arrival_ns):
            cluster.pending.append(pod)
    cluster.end_until(duration_ns - 1)
    end_ns = np.minimum(cluster.start_ns + table.lifetime_ns, duration_ns)
    by_node = np.argsort(cluster.node, kind="stable")
    first = np.searchsorted(cluster.node[by_node], np.arange(nr_nodes + 1))
    return Placement(cluster.node, cluster.start_ns, end_ns, by_node, first)
