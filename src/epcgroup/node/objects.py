"""What a manifest says, as values: a node, its pods, their containers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from epcgroup.errors import ManifestError
from epcgroup.node.fields import Field
from epcgroup.node.models import Model
from epcgroup.sim.scenario import DENY

DEFAULT_GRACE_NS: Final = 10 * 10**9
#: Source: Kubernetes API, RestartPolicy.
RESTART_POLICIES: Final = ("Always", "OnFailure", "Never")

_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z0-9]+)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return ``text`` with ``$(NAME)`` replaced; ``$$`` is a dollar, an unknown name stays as it is.

    Source: Kubernetes API, Container.command: "Variable references $(VAR_NAME) are expanded".
    """
    return _REFERENCE.sub(
        lambda found: "$" if found.group(1) == "$" else variables.get(found.group(2), found.group(0)), text
    )


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod.

    Attributes:
        name: unique in its pod.
        command: command and args; empty only with a model.
        env: names and values in the order of the manifest.
        claim_bytes: EPC claimed, a multiple of the page size; None without a claim.
        sidecar: an init container with ``restartPolicy: Always``: it runs beside the others.
        nice: nice value that gives its processes about the share of CPU it requests.
        model: how its program refers to pages, as an annotation of the pod says; None without one.
        source: where it stands in the manifest, for errors.
    """

    name: str
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    claim_bytes: int | None = None
    sidecar: bool = False
    nice: int = 0
    model: Model | None = field(default=None, compare=False, repr=False)
    source: Field | None = field(default=None, compare=False, repr=False)

    def error(self, problem: str) -> ManifestError:
        """Return the error that says where the container stands, and the problem."""
        if self.source is None:
            return ManifestError(f"container {self.name}: {problem}")
        return self.source.error(problem)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of this container on top of ``given``, references expanded."""
        variables = dict(given)
        for name, value in self.env:
            variables[name] = expand(value, variables)
        return variables

    def words(self, variables: Mapping[str, str]) -> list[str]:
        """Return the command line with references expanded."""
        return [expand(word, variables) for word in self.command]


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod.

    Attributes:
        name: unique in the manifest; the name of its group.
        containers: at least one.
        init_containers: run before them, in order, to success; sidecars among them keep running.
        start_ns: when it is created, from the start of the run.
        end_ns: when it is stopped, or None: with the run.
        grace_ns: from SIGTERM to SIGKILL.
        restart_policy: one of ``RESTART_POLICIES``, or None if the manifest is silent. Only the simulator
            restarts containers.
        oom: what its groups do when nothing under a limit is reclaimable: one of ``OOM_NAMES``.
    """

    name: str
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    start_ns: int = 0
    end_ns: int | None = None
    grace_ns: int = DEFAULT_GRACE_NS
    restart_policy: str | None = None
    oom: str = DENY

    @property
    def all_containers(self) -> tuple[Container, ...]:
        """Init containers, then containers."""
        return self.init_containers + self.containers

    @property
    def path(self) -> str:
        """Path of the pod's group."""
        return f"/kubepods/{self.name}"

    def container_path(self, container: Container) -> str:
        """Path of a container's group."""
        return f"{self.path}/{container.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """The node: its name and how much EPC it has to claim."""

    name: str
    capacity_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole manifest: its file, its text (for the report), the node and the pods in the file's order."""

    file: str
    text: str = field(repr=False)
    node: Node
    pods: tuple[Pod, ...]
