"""What a manifest says, as values: a node, its pods, their containers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_GRACE_NS = 10 * 10**9

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
        command: command and args, at least one word.
        env: names and values in the order of the manifest.
        claim_bytes: EPC claimed, a multiple of the page size; None without a claim.
        sidecar: an init container with ``restartPolicy: Always``: it runs beside the others.
        nice: nice value that gives its processes about the share of CPU it requests.
    """

    name: str
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    claim_bytes: int | None = None
    sidecar: bool = False
    nice: int = 0

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
    """

    name: str
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    start_ns: int = 0
    end_ns: int | None = None
    grace_ns: int = DEFAULT_GRACE_NS

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
