"""What a pod of a manifest claims, as the scheduler counts it.

What must not live here: what fits a node (``sim/ledger.py``), limits of groups as text (``groups.py``).
"""

from typing import Final

from epcgroup.node.objects import Pod
from epcgroup.node.quantity import EPC_RESOURCE

#: The scheduler's words for a pod that does not fit. Source: kube-scheduler, NodeResourcesFit.
REFUSAL: Final = f"0/1 nodes are available: 1 Insufficient {EPC_RESOURCE}."


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
