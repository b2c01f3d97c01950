"""Read a manifest: a multi-document YAML of real Kubernetes objects, one Node and any number of Pods.

A field that Kubernetes knows and this program does not need is ignored; a field, annotation or resource that
is a misspelling is an error. Every error names file, line, document, field, value and what is allowed.

What must not live here: what claims mean for a node (``claims.py``), running anything (``runner.py``).
"""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from epcgroup.abi.protocol import LEAST_EPC_BYTES
from epcgroup.errors import ManifestError
from epcgroup.node import annotations, schema
from epcgroup.node.fields import Field, did_you_mean, read_documents
from epcgroup.node.objects import DEFAULT_GRACE_NS, RESTART_POLICIES, Container, Manifest, Node, Pod
from epcgroup.node.quantity import EPC_RESOURCE, claims_in, cpu_millis, nice_for
from epcgroup.units import PAGE_SIZE, format_size

_KINDS: Final = ("Node", "Pod")
_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DNS_LABEL: Final = re.compile(_LABEL)
#: ``POD.CONTAINER.jsonl`` is a file. Source: include/uapi/linux/limits.h, NAME_MAX.
_LONGEST_NAMES: Final = 255 - len("..jsonl")
_ENV_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def load_manifest(path: Path) -> Manifest:
    """Return the manifest in a file.

    Raises:
        ManifestError: it cannot be run.
        OSError: it cannot be read.
    """
    return parse_manifest(str(path), decode(str(path), path.read_bytes()))


def decode(file: str, content: bytes) -> str:
    """Return the text of a file.

    Raises:
        ManifestError: it is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{file}: not UTF-8 text at byte {error.start}") from error


def parse_manifest(file: str, text: str) -> Manifest:
    """Return the manifest in a text.

    Args:
        file: name of its source, for errors.
        text: multi-document YAML.

    Raises:
        ManifestError: it cannot be run.
    """
    nodes: list[Node] = []
    pods: dict[str, Pod] = {}
    for document in _objects(read_documents(file, text)):
        kind = _kind(document)
        document = _titled(document, kind)
        if kind.text() == "Node":
            if nodes:
                raise document.error(
                    f"a second Node: {nodes[0].name!r} is there already; one run is one node"
                )
            nodes.append(_node(document))
        else:
            pod = _pod(document, pods)
            pods[pod.name] = pod
    if not nodes:
        raise ManifestError(
            f'{file}: no Node: one document of kind Node with status.capacity["{EPC_RESOURCE}"] is needed'
        )
    if not pods:
        raise ManifestError(f"{file}: no Pod: at least one document of kind Pod is needed")
    return Manifest(file, text, nodes[0], tuple(pods.values()))


def _objects(documents: Iterable[Field]) -> Iterable[Field]:
    """The objects of all documents; a ``kind: List`` (kubectl get -o yaml) stands for its items."""
    for document in documents:
        kind = document.get("kind")
        if kind is not None and kind.node.value == "List":
            yield from document.only(schema.LIST, "a List")["items"].items() if document.get("items") else []
        else:
            yield document


def _kind(document: Field) -> Field:
    kind = document.need("kind", "Node or Pod")
    if kind.text() not in _KINDS:
        hint = did_you_mean(kind.text(), _KINDS)
        raise kind.error(f"cannot be run here: allowed kinds are Node and Pod{hint}")
    version = document.need("apiVersion", "v1")
    if version.text() != "v1":
        raise version.error(f"a {kind.text()} is of apiVersion v1")
    document.only(schema.DOCUMENT, f"a {kind.text()}")
    return kind


def _titled(document: Field, kind: Field) -> Field:
    metadata = document.get("metadata")
    name = metadata.get("name") if metadata is not None else None
    shown = f" {name.node.value}" if name is not None else ""
    return document.titled(f"{document.document} ({kind.text()}{shown})")


def _name(owner: Field, pattern: re.Pattern[str], longest: int) -> str:
    field = owner.need("name", "a name")
    name = field.text()
    if not pattern.fullmatch(name) or len(name) > longest:
        raise field.error(
            f"a name is at most {longest} lower-case letters, digits and '-',"
            " and starts and ends with a letter or digit"
        )
    return name


def _metadata(document: Field) -> tuple[str, dict[str, Field]]:
    metadata = document.need("metadata", "a mapping with name")
    members = metadata.only(schema.METADATA, "metadata")
    given = members["annotations"].mapping() if "annotations" in members else {}
    for key, field in given.items():
        annotations.check_name(key, field)
    return _name(metadata, _SUBDOMAIN, 253), given


def _node(document: Field) -> Node:
    name, _ = _metadata(document)
    what = f"a mapping with capacity: {{{EPC_RESOURCE}: SIZE}}"
    capacity = document.need("status", what).need("capacity", what)
    claims = claims_in(capacity)
    if not claims:
        raise capacity.error(f'has no "{EPC_RESOURCE}": expected the EPC of the node, for example 96Mi')
    size, field = _agree(claims)
    if size < PAGE_SIZE:
        raise field.error("a node without EPC cannot run anything")
    if size < LEAST_EPC_BYTES:
        raise field.error(f"a node has at least {format_size(LEAST_EPC_BYTES)} of EPC")
    return Node(name, size // PAGE_SIZE * PAGE_SIZE)


def _agree(claims: dict[str, tuple[int, Field]]) -> tuple[int, Field]:
    """The one amount that several resource names must agree on."""
    (first, (size, field)), *others = claims.items()
    for name, (other, other_field) in others:
        if other != size:
            raise other_field.error(f"{name} is {other} bytes and {first} is {size}: they must agree")
    return size, field


def _pod(document: Field, taken: Collection[str]) -> Pod:
    name, given = _metadata(document)
    if name in taken:
        raise document.error(f"a second pod of the name {name!r}: names must be unique in a file")
    spec = document.need("spec", "a mapping with containers")
    members = spec.only(schema.POD_SPEC, "a pod's spec")
    spec.need("containers", "a list of containers")
    containers = _containers(members["containers"], init=False)
    if not containers:
        raise members["containers"].error("is empty: a pod has at least one container")
    init = _containers(members["initContainers"], init=True) if "initContainers" in members else []
    _check_lengths(document, name, [*containers, *init])
    _unique_names(members, [container.name for container in [*init, *containers]])
    modelled = _modelled(given, containers, init)
    start_ns, end_ns = annotations.times(given)
    grace = members.get("terminationGracePeriodSeconds")
    grace_ns = DEFAULT_GRACE_NS if grace is None else grace.integer() * 10**9
    policy = _restart_policy(members["restartPolicy"]) if "restartPolicy" in members else None
    return Pod(name, *modelled, start_ns, end_ns, grace_ns, policy, annotations.oom_policy(given))


def _modelled(
    given: dict[str, Field], containers: list[Container], init: list[Container]
) -> tuple[tuple[Container, ...], tuple[Container, ...]]:
    """Containers and init containers with their models; each has a command or a model."""
    # Without a name a model is that of the only container; sidecars have names of their own.
    sidecars = [container for container in init if container.sidecar]
    made = {c.name: c for c in annotations.with_models(given, [*containers, *sidecars])}
    for container in (*containers, *init):
        made.setdefault(container.name, container)
        if not made[container.name].command and made[container.name].model is None:
            raise made[container.name].error(
                "has neither command nor args: no image is pulled, so the command must be here"
            )
    return tuple(made[c.name] for c in containers), tuple(made[c.name] for c in init)


def _restart_policy(field: Field) -> str:
    policy = field.text()
    if policy not in RESTART_POLICIES:
        hint = did_you_mean(policy, RESTART_POLICIES)
        raise field.error(f"allowed are {', '.join(RESTART_POLICIES)}{hint}")
    return policy


def check_commands(manifest: Manifest) -> None:
    """Refuse pods that can be simulated only: their containers have a model, but no command to run.

    Raises:
        ManifestError: naming the first.
    """
    for pod in manifest.pods:
        for container in pod.all_containers:
            if not container.command:
                raise container.error("has a model but no command: it can be simulated (epcg sim), not run")


def _check_lengths(document: Field, name: str, containers: list[Container]) -> None:
    """A pod and its container name a file together; file names are shorter than names of pods may be."""
    longest = max(len(container.name) for container in containers)
    if len(name) + longest > _LONGEST_NAMES:
        raise document.error(
            f"with its containers' names it is too long: together at most {_LONGEST_NAMES} characters"
        )


def _unique_names(members: dict[str, Field], names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise members["containers"].error(f"two containers of this pod are called {name!r}")


def _containers(field: Field, *, init: bool) -> list[Container]:
    return [_container(item, init=init) for item in field.items()]


def _container(field: Field, *, init: bool) -> Container:
    members = field.only(schema.CONTAINER, "a container")
    name = _name(field, _DNS_LABEL, 63)
    command = [
        word.text() for part in ("command", "args") if part in members for word in members[part].items()
    ]
    env = tuple(_variable(item) for item in members["env"].items()) if "env" in members else ()
    resources = members.get("resources")
    claim = None if resources is None else _claim(resources)
    nice = 0 if resources is None else _nice(resources)
    return Container(name, tuple(command), env, claim, init and _is_sidecar(members), nice, source=field)


def _is_sidecar(members: dict[str, Field]) -> bool:
    policy = members.get("restartPolicy")
    if policy is not None and policy.text() != "Always":
        raise policy.error("an init container may only have restartPolicy Always (a sidecar)")
    return policy is not None


def _variable(field: Field) -> tuple[str, str]:
    members = field.only(schema.ENV, "an env entry")
    name = field.need("name", "the name of the variable")
    if not _ENV_NAME.fullmatch(name.text()):
        raise name.error("is not a name of a variable")
    if "valueFrom" in members:
        raise members["valueFrom"].error("there is no cluster to take a value from: give value instead")
    return name.text(), members["value"].text() if "value" in members else ""


def _nice(resources: Field) -> int:
    """The nice value that stands for the container's request (or else limit) of CPU; 0 without one."""
    for part in ("requests", "limits"):
        field = resources.get(part)
        cpu = None if field is None else field.get("cpu")
        if cpu is not None:
            return nice_for(cpu_millis(cpu))
    return 0


def _claim(resources: Field) -> int | None:
    """The claim of a container in bytes, rounded down to pages; requests must equal limits."""
    members = resources.only(schema.RESOURCES, "resources")
    limits = claims_in(members["limits"]) if "limits" in members else {}
    requests = claims_in(members["requests"]) if "requests" in members else {}
    for name, (size, field) in requests.items():
        if name not in limits:
            raise field.error(f"limit must be set for {name}: it cannot be overcommitted")
        if limits[name][0] != size:
            raise field.error(f"must be equal to {name} limit of {limits[name][1].node.value}")
    if not limits:
        return None
    return _agree(limits)[0] // PAGE_SIZE * PAGE_SIZE
