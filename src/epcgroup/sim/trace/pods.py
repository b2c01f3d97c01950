"""Pods over time: arrival, lifetime and EPC of each; from Alibaba's lists, as a table or a manifest.

The table is a CSV file of the columns ``name,arrival_ns,lifetime_ns,epc_bytes``, in order of arrival.

Source: alibaba/clusterdata, cluster-trace-gpu-v2023, ``openb_pod_list_*.csv``.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import yaml

from epcgroup.errors import TraceFormatError, UsageError
from epcgroup.sim.trace.atomic import replacing
from epcgroup.sim.trace.source import Block, Progress, open_lines
from epcgroup.units import PAGE_SIZE, format_size

#: Most pods one list may hold.
MAX_PODS: Final = 1_000_000
SUFFIXES: Final = (".yaml", ".yml", ".csv")
_NS: Final = 10**9
#: Largest number of a list (seconds, MiB) and of a table (nanoseconds, bytes): what follows fits 64 bits.
_MAX_LISTED: Final = 2**33
_MAX_TABLED: Final = 2**62
#: Source: Kubernetes, "Object Names and IDs", DNS label names.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_OPENB: Final = ("name", "memory_mib", "qos", "creation_time", "deletion_time", "scheduled_time")
#: Creation and lifetime in s, name, EPC in bytes.
_Life = tuple[int, int, str, int]
_RESOURCE: Final = "sgx.intel.com/epc"


@dataclass(frozen=True, slots=True)
class PodRecord:
    """One pod.

    Attributes:
        name: a DNS label, unique in its list.
        arrival_ns: when it is created, from the start of the list.
        lifetime_ns: how long it runs, from when it is placed on a node.
        epc_bytes: what it claims, a multiple of the page size, at least one page.
    """

    name: str
    arrival_ns: int
    lifetime_ns: int
    epc_bytes: int


@dataclass(frozen=True, slots=True)
class OpenbForm:
    """How a list of GPU pods becomes one of SGX pods: what the list does not know is our assumption.

    Attributes:
        epc_per_memory: EPC claimed for each byte of memory; 1/256: a pod of 16 GiB claims 64 MiB.
        speed: so many times faster than it was: times are divided by it.
        qos: only pods of these classes (``LS``, ``BE``, ``Burstable``, ``Guaranteed``); empty: all.
    """

    epc_per_memory: float = 1 / 256
    speed: float = 1.0
    qos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PodList:
    """Pods in order of arrival, and how many of the source never ran and are left out."""

    pods: tuple[PodRecord, ...]
    nr_never_ran: int = 0


def read_openb(path: Path, form: OpenbForm, *, progress: Progress | None = None) -> PodList:
    """Return the pods of an Alibaba list; the first arrival is time 0.

    Pods that were never scheduled have no lifetime: they are counted and left out.

    Raises:
        TraceFormatError: a line is of another form; the text says which, what it holds, what is allowed.
        UsageError: the form cannot be.
        OSError: the file cannot be read.
    """
    if not 0 < form.epc_per_memory <= 1 or not 0 < form.speed < float("inf"):
        raise UsageError(
            f"EPC per memory {form.epc_per_memory}, speed {form.speed}: both above 0, the first at most 1"
        )
    found: list[_Life] = []
    nr_never_ran = 0
    for where, row in _rows(path, _OPENB, progress):
        if not form.qos or row["qos"] in form.qos:
            life = _life(where, row, form)
            nr_never_ran += life is None
            found += [] if life is None else [life]
    if not found:
        raise TraceFormatError(f"{path}: no pod of the list ran" + (f" (qos {form.qos})" if form.qos else ""))
    found.sort()
    start = found[0][0]
    scale = _NS / form.speed
    pods = tuple(
        PodRecord(name, round((created - start) * scale), max(1, round(lifetime * scale)), size)
        for created, lifetime, name, size in found
    )
    _check_names(str(path), pods)
    return PodList(pods, nr_never_ran)


def _life(where: str, row: Mapping[str, str], form: OpenbForm) -> _Life | None:
    """Return what a line of the list says of a pod; None: it was never scheduled."""
    created, deleted = (_listed(where, row, name) for name in ("creation_time", "deletion_time"))
    if not row["scheduled_time"]:
        return None
    lifetime = deleted - _listed(where, row, "scheduled_time")
    if lifetime < 0:
        raise TraceFormatError(f"{where}: deleted {-lifetime} s before it was scheduled")
    size = int(_listed(where, row, "memory_mib") * 2**20 * form.epc_per_memory)
    return created, lifetime, _name(where, row), max(1, size // PAGE_SIZE) * PAGE_SIZE


def read_pods(path: Path) -> tuple[PodRecord, ...]:
    """Return the pods of a table (``.csv``) that ``write_pods`` has written.

    Raises:
        TraceFormatError: a line is of another form.
        OSError: the file cannot be read.
    """
    names = tuple(field.name for field in fields(PodRecord))
    pods = tuple(
        PodRecord(_name(where, row), *(_number(where, row, name, _MAX_TABLED) for name in names[1:]))
        for where, row in _rows(path, names, None)
    )
    if not pods:
        raise TraceFormatError(f"{path}: no pod in the table")
    for pod in pods:
        if pod.epc_bytes < PAGE_SIZE or pod.epc_bytes % PAGE_SIZE:
            raise TraceFormatError(
                f"{path}: pod {pod.name}: {pod.epc_bytes} bytes of EPC are no whole pages of {PAGE_SIZE}"
            )
    _check_names(str(path), pods)
    return tuple(sorted(pods, key=lambda pod: (pod.arrival_ns, pod.name)))


def write_pods(path: Path, pods: Sequence[PodRecord], *, capacity_bytes: int | None = None) -> None:
    """Write pods as a table (``.csv``) or as a manifest of Kubernetes objects (``.yaml``).

    Args:
        path: the file; its ending tells the form.
        pods: in order of arrival.
        capacity_bytes: EPC of the node of the manifest; None: twice the largest claim.

    Raises:
        UsageError: another ending, or a pod claims more than the node has.
        OSError: the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: pods are written to a name that ends in {', '.join(SUFFIXES)}")
    text = _table(pods) if path.suffix == ".csv" else _manifest(pods, capacity_bytes)
    with replacing(path) as temporary:
        temporary.write_text(text)


def _table(pods: Iterable[PodRecord]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(PodRecord)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(pod) for pod in pods)
    return text.getvalue()


def _manifest(pods: Sequence[PodRecord], capacity_bytes: int | None) -> str:
    largest = max(pod.epc_bytes for pod in pods)
    capacity = 2 * largest if capacity_bytes is None else capacity_bytes
    if largest > capacity:
        raise UsageError(
            f"a pod claims {format_size(largest)}, the node has {format_size(capacity)}: it never fits"
        )
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "sgx-node"},
        "status": {"capacity": {_RESOURCE: capacity}},
    }
    return yaml.safe_dump_all([node, *map(_object, pods)], sort_keys=False)


def _object(pod: PodRecord) -> dict[str, object]:
    """Return a pod as a Kubernetes object: it sweeps over what it claims, a thousand pages a second."""
    claim = {_RESOURCE: pod.epc_bytes}
    container = {
        "name": "scan",
        "command": ["python", "-m", "epcgroup.workloads.scan"],
        "args": ["--size", str(pod.epc_bytes), "--rate", "1000"],
        "resources": {"requests": claim, "limits": dict(claim)},
    }
    annotations = {
        "epcgroup.io/start": _duration(pod.arrival_ns),
        "epcgroup.io/end": _duration(pod.arrival_ns + pod.lifetime_ns),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name, "annotations": annotations},
        "spec": {"containers": [container]},
    }


def _duration(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, _NS)
    return f"{seconds}s" + (f"{rest_ns}ns" if rest_ns else "")


def _rows(
    path: Path, names: tuple[str, ...], progress: Progress | None
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield place and fields of every line of a CSV file with a header that has at least some names."""
    with open_lines(path, progress) as source:
        reader = csv.DictReader(_texts(source.name, source.blocks()), restval="", strict=True)
        try:
            seen = reader.fieldnames or ()
            missing = [name for name in names if name not in seen]
            if missing:
                raise TraceFormatError(
                    f"{source.name}, line 1: no column {', '.join(missing)} in {list(seen)[:20]}"
                )
            for number, row in enumerate(reader):
                if number >= MAX_PODS:
                    raise TraceFormatError(f"{source.name}: more than {MAX_PODS} pods")
                yield f"{source.name}, line {reader.line_num}", row
        except csv.Error as error:
            raise TraceFormatError(f"{source.name}, line {reader.line_num}: {error}") from error


def _texts(name: str, blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        try:
            text = block.data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = block.first_line + block.data.count(b"\n", 0, error.start)
            raise TraceFormatError(f"{name}, line {line}: not UTF-8 text") from error
        yield from io.StringIO(text)


def _listed(where: str, row: Mapping[str, str], column: str) -> int:
    return _number(where, row, column, _MAX_LISTED)


def _number(where: str, row: Mapping[str, str], column: str, most: int) -> int:
    text = row[column].strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= most):
        raise TraceFormatError(
            f"{where}: {column} is {text[:60]!r}: a whole number from 0 to {most} is allowed"
        )
    return int(text)


def _name(where: str, row: Mapping[str, str]) -> str:
    name = row["name"]
    if not _NAME.fullmatch(name):
        raise TraceFormatError(
            f"{where}: the name {name[:70]!r}: at most 63 lower-case letters, digits and '-' are allowed"
        )
    return name


def _check_names(where: str, pods: Iterable[PodRecord]) -> None:
    seen = set()
    for pod in pods:
        if pod.name in seen:
            raise TraceFormatError(f"{where}: two pods are called {pod.name}")
        seen.add(pod.name)
