"""Claims as the scheduler counts them, and which pods fit the node.

What must not live here: limits of groups as text (``groups.py``), time (``runner.py``).
"""

from dataclasses import dataclass, field

from epcgroup.node.objects import Pod
from epcgroup.node.quantity import EPC_RESOURCE


def effective_claim(pod: Pod) -> int:
    """Return the bytes of EPC a pod claims as a whole.

    The larger of: all containers and sidecars together; and, for each init container, itself with the
    sidecars started before it.

    Source: Kubernetes, "Sidecar containers", resource sharing; ``PodRequests`` of component-helpers/resource.
    """
    sidecars = largest_init = 0
    for container in pod.init_containers:
        claim = container.claim_bytes or 0
        if container.sidecar:
            sidecars += claim
            largest_init = max(largest_init, sidecars)
        else:
            largest_init = max(largest_init, sidecars + claim)
    together = sidecars + sum(container.claim_bytes or 0 for container in pod.containers)
    return max(together, largest_init)


@dataclass(slots=True)
class Ledger:
    """What is claimed of one node's EPC.

    Attributes:
        capacity_bytes: EPC of the node.
        claimed: name of each bound pod → its effective claim in bytes.
    """

    capacity_bytes: int
    claimed: dict[str, int] = field(default_factory=dict)

    @property
    def free_bytes(self) -> int:
        """EPC nobody claims."""
        return self.capacity_bytes - sum(self.claimed.values())

    def bind(self, pod: Pod) -> bool:
        """Take a pod's claim if it fits; a pod without claim always fits."""
        claim = effective_claim(pod)
        if claim > self.free_bytes:
            return False
        self.claimed[pod.name] = claim
        return True

    def release(self, pod: Pod) -> None:
        """Give a pod's claim back; nothing happens if it has none."""
        self.claimed.pop(pod.name, None)

    @property
    def refusal(self) -> str:
        """The scheduler's words for a pod that does not fit. Source: kube-scheduler, NodeResourcesFit."""
        return f"0/1 nodes are available: 1 Insufficient {EPC_RESOURCE}."
