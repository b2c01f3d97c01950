"""Groups of pods: made below ``/kubepods``, with their claims as ``misc.max``, through any tree.

What must not live here: what a claim is (``claims.py``), processes (``podrun.py``).
"""

from collections.abc import Iterable
from typing import Final

from epcgroup.cgroupfs.texts import parse_misc
from epcgroup.cgroupfs.tree import Tree, if_there
from epcgroup.node.claims import effective_claim
from epcgroup.node.objects import Container, Pod
from epcgroup.observe.sample import Kill
from epcgroup.observe.sampler import read_kills
from epcgroup.sim.scenario import DENY

PARENT: Final = "/kubepods"
_RESOURCE: Final = "sgx_epc"


def nr_groups(pods: Iterable[Pod]) -> int:
    """Return how many groups a node with these pods has, the root's among them."""
    return 2 + sum(1 + len(pod.all_containers) for pod in pods)


class Groups:
    """The groups of one node's pods.

    Attributes:
        enforces: True where the tree knows limits on EPC. Found out by looking: if ``misc.capacity`` does
            not list ``sgx_epc``, a limit is refused and the container would not start.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        capacity = if_there(lambda: parse_misc(tree.read("/", "misc.capacity"))) or {}
        self.enforces = _RESOURCE in capacity
        tree.mkdir(PARENT)

    def make(self, pod: Pod) -> None:
        """Make the group of a pod and of each of its containers, with their limits.

        A container without a claim gets 0: who claims nothing gets no EPC.
        """
        self._make(pod.path, effective_claim(pod), pod.oom)
        for container in pod.all_containers:
            self._make(pod.container_path(container), container.claim_bytes or 0, pod.oom)

    def _make(self, path: str, limit_bytes: int, oom: str) -> None:
        self._tree.mkdir(path)
        if self.enforces:
            self._tree.write(path, "misc.max", f"{_RESOURCE} {limit_bytes}\n")
        if oom != DENY:
            # Only ``fair`` has the file; elsewhere what cannot be had is refused.
            if_there(lambda: self._tree.write(path, "epc.oom", f"{oom}\n"))

    def kills(self, pod: Pod, container: Container) -> list[Kill]:
        """Return the enclaves of a container that were killed for want of EPC, oldest first."""
        return read_kills(self._tree, pod.container_path(container))

    def join(self, pod: Pod, container: Container, pid: int) -> None:
        """Make a process a member of its container's group."""
        self._tree.write(pod.container_path(container), "epc.procs", f"{pid}\n")
