"""What the nodes of a fleet come to together, added up while they come in, and what the scheduler did.

What must not live here: one node (``fleet.py``).
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.plan.fleet import SUMMED, Fleet, NodeFound
from epcgroup.plan.measure import Row, percentiles
from epcgroup.plan.scheduler import PENDING, Placement

#: Columns of a node's row that are added up over the nodes.
_ADDED: Final = (
    *SUMMED, "pods", "accesses", "pods_within", "pods_hurt", "requests_within", "wait_within_ns",
    "wait_beyond_ns",
)  # fmt: skip


def _merged(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum of two histograms; each has the buckets up to its last value."""
    total = np.zeros(max(len(one), len(other)), np.int64)
    total[: len(one)] += one
    total[: len(other)] += other
    return total


@dataclass(slots=True)
class SeriesTotals:
    """Sums over the nodes of one series, kept while they come in.

    Attributes:
        totals: figure → sum.
        stalls: share of the time each node stalled (some).
        latency, latency_within: as in :class:`NodeFound`.
    """

    totals: dict[str, int] = field(default_factory=dict)
    stalls: list[float] = field(default_factory=list)
    latency: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    latency_within: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, found: NodeFound) -> None:
        """Add a node."""
        for name in _ADDED:
            self.totals[name] = self.totals.get(name, 0) + int(found.row[name] or 0)
        self.stalls.append(float(found.row["stall_some"] or 0))
        self.latency = _merged(self.latency, found.latency)
        self.latency_within = _merged(self.latency_within, found.latency_within)
        self._digest.update(json.dumps(found.row, separators=(",", ":")).encode() + b"\n")

    @property
    def digest(self) -> str:
        """SHA-256 over the rows of the nodes in their order, each with the digest of its simulation."""
        return self._digest.hexdigest()

    def figures(self) -> Row:
        """Return the figures of the series as a whole."""
        everybody, within = percentiles(self.latency), percentiles(self.latency_within)
        stalls = np.array(self.stalls)
        totals = self.totals
        nr_within, nr_beyond = totals["requests_within"], totals["requests"] - totals["requests_within"]
        return {
            **totals,
            "wait_per_request_within_ns": totals["wait_within_ns"] / max(nr_within, 1),
            "wait_per_request_beyond_ns": totals["wait_beyond_ns"] / max(nr_beyond, 1),
            "stall_some_mean": float(stalls.mean()),
            "stall_some_p99": float(np.quantile(stalls, 0.99)),
            "stall_some_max": float(stalls.max()),
            **everybody,
            **{f"within_{name}": value for name, value in within.items()},
            "digest": self.digest,
        }


def scheduled(fleet: Fleet) -> Row:
    """Return what the scheduler did: the same under every series, since it counts claims."""
    placement, table = fleet.placement, fleet.table
    came = table.arrival_ns < fleet.duration_ns
    bound = placement.node != PENDING
    waited_s = (placement.start_ns - table.arrival_ns)[bound & came] / 1e9
    lived_ns = (placement.end_ns - placement.start_ns)[bound]
    whole_ns = fleet.duration_ns * fleet.nr_nodes
    claimed = float((lived_ns * (table.claim_bytes[bound] / fleet.epc_bytes)).sum()) / whole_ns
    return {
        "pods": int(came.sum()),
        "pods_beyond_claim": int((table.beyond & came).sum()),
        "pods_waited": int((waited_s > 0).sum()),
        "pods_pending": int((came & ~bound).sum()),
        "pending_bytes": int(table.claim_bytes[came & ~bound].sum()),
        "wait_p99_s": float(np.quantile(waited_s, 0.99)) if len(waited_s) else 0.0,
        "pods_per_node": float(lived_ns.sum()) / whole_ns,
        "pods_per_node_most": most_at_once(placement, fleet.nr_nodes),
        "claimed": claimed,
    }


def most_at_once(placement: Placement, nr_nodes: int) -> int:
    """Return the most pods any node had at the same time."""
    most = 0
    for node in range(nr_nodes):
        pods = placement.on(node)
        times = np.concatenate([placement.start_ns[pods], placement.end_ns[pods]])
        steps = np.concatenate([np.ones(len(pods), np.int64), -np.ones(len(pods), np.int64)])
        # A pod that ends when another starts has left before.
        order = np.lexsort((steps, times))
        most = max(most, int(np.cumsum(steps[order]).max(initial=0)))
    return most
