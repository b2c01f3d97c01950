"""The scheduler's count of one node's EPC: claims, not use, decide what fits.

The one place of that rule: the live runner, the simulated node and the fleet's scheduler all ask here.

What must not live here: what a pod of a manifest claims (``node/claims.py``), choosing a node (``plan/``).
"""

from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import NDArray


@overload
def fits(claim_bytes: int, free_bytes: int) -> bool: ...
@overload
def fits(claim_bytes: int, free_bytes: NDArray[np.int64]) -> NDArray[np.bool_]: ...
@overload
def fits(claim_bytes: NDArray[np.int64], free_bytes: int) -> NDArray[np.bool_]: ...
def fits(
    claim_bytes: int | NDArray[np.int64], free_bytes: int | NDArray[np.int64]
) -> bool | NDArray[np.bool_]:
    """Return whether a claim fits what nobody claims; of arrays, element by element.

    A claim of nothing always fits. Source: kube-scheduler, NodeResourcesFit, ``fitsRequest``.
    """
    return claim_bytes <= free_bytes


@dataclass(slots=True)
class Ledger:
    """What is claimed of one node's EPC.

    Attributes:
        capacity_bytes: EPC of the node.
        claimed: name of each bound pod → its claim in bytes.
    """

    capacity_bytes: int
    claimed: dict[str, int] = field(default_factory=dict)

    @property
    def free_bytes(self) -> int:
        """EPC nobody claims."""
        return self.capacity_bytes - sum(self.claimed.values())

    def bind(self, name: str, claim_bytes: int) -> bool:
        """Take the claim of a pod if it fits."""
        if not fits(claim_bytes, self.free_bytes):
            return False
        self.claimed[name] = claim_bytes
        return True

    def release(self, name: str) -> None:
        """Give a pod's claim back; nothing happens if it has none."""
        self.claimed.pop(name, None)
