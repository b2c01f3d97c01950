"""The names under which clouds claim EPC, and how each spells an amount; durations.

``sgx.intel.com/epc`` counts bytes (a Kubernetes quantity), the names of Azure and Alibaba count MiB.
"""

import difflib
import math
import re
from typing import Final

from epcgroup.errors import InvalidDurationError, InvalidSizeError
from epcgroup.node.fields import Field
from epcgroup.units import PAGE_SIZE, parse_size

EPC_RESOURCE: Final = "sgx.intel.com/epc"
#: Every resource name that claims EPC, and the bytes of one unit.
#: Source: intel-device-plugins README (bytes); AKS preview add-on and Alibaba sgx-device-plugin README (MiB).
EPC_RESOURCES: Final = {
    EPC_RESOURCE: 1,
    "kubernetes.azure.com/sgx_epc_mem_in_MiB": 1 << 20,
    "alibabacloud.com/sgx_epc_MiB": 1 << 20,
}
#: SGX resources that are no EPC; they count devices and are not ours to judge.
_OTHER_SGX: Final = {f"sgx.intel.com/{name}" for name in ("enclave", "provision", "qe", "registration")}
#: How near a name must come to one of ours before it counts as a misspelling of it.
_NEAR: Final = 0.82

_MIB: Final = re.compile(r"[0-9]{1,12}")
_CPU: Final = re.compile(r"([0-9]{1,9})(m)|[0-9]{1,9}(?:\.[0-9]{1,9})?")
_UNITS_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m|h)")


def parse_duration_ns(text: str) -> int:
    """Return the nanoseconds that a duration such as ``1m30s`` or ``500ms`` means.

    Raises:
        InvalidDurationError: the text is no duration.

    Source: Go's ``time.ParseDuration``, as Kubernetes uses it (without signs).
    """
    total, end = 0.0, 0
    for match in _DURATION.finditer(text.strip()):
        if match.start() != end:
            break
        total += float(match.group(1)) * _UNITS_NS[match.group(2)]
        end = match.end()
    if not end or end != len(text.strip()):
        raise InvalidDurationError(text)
    return round(total)


def check_resource_name(name: str, field: Field) -> None:
    """Refuse a resource name that is a misspelling of one of ours; any other name passes.

    Raises:
        ManifestError: with the name that was probably meant.
    """
    if name in EPC_RESOURCES or name in _OTHER_SGX:
        return
    lowered = {known.lower(): known for known in EPC_RESOURCES}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=_NEAR)
    if near or name.lower().startswith("sgx.intel.com/"):
        meant = lowered[near[0]] if near else EPC_RESOURCE
        raise field.error(f"no resource of that name is known; did you mean {meant!r}?", show_value=False)


def _size_hint(text: str) -> str:
    fixed = re.sub(
        r"(?i)^([0-9.]+)\s*([kmgt])i?b?$", lambda m: f"{m.group(1)}{m.group(2).upper()}i", text.strip()
    )
    return f"; did you mean {fixed}?" if fixed != text.strip() else ""


def epc_bytes(name: str, field: Field) -> int:
    """Return the bytes of EPC that a quantity under one of our resource names means.

    Raises:
        ManifestError: no quantity, or more than zero but less than one page.
    """
    text = field.number_or_text()
    if EPC_RESOURCES[name] > 1:
        if not _MIB.fullmatch(text):
            raise field.error(f"{name} counts whole MiB: expected a number such as 64")
        return int(text) * EPC_RESOURCES[name]
    try:
        amount = parse_size(text)
    except InvalidSizeError as error:
        problem = str(error).partition(" is ")[2]
        raise field.error(f"is {problem}{_size_hint(text)}") from error
    if 0 < amount < PAGE_SIZE:
        raise field.error(f"is {amount} bytes, less than one page of {PAGE_SIZE}; did you mean {amount}Mi?")
    return amount


def claims_in(resources: Field) -> dict[str, tuple[int, Field]]:
    """Return the EPC entries of a resource list: name → (bytes, field); other resources are left out."""
    found: dict[str, tuple[int, Field]] = {}
    for name, field in resources.mapping().items():
        check_resource_name(name, field)
        if name in EPC_RESOURCES:
            found[name] = (epc_bytes(name, field), field)
    return found


def cpu_millis(field: Field) -> int:
    """Return the thousandths of a CPU that a quantity such as ``500m``, ``2`` or ``0.5`` means.

    Raises:
        ManifestError: it is no such quantity.
    """
    found = _CPU.fullmatch(field.number_or_text())
    if found is None:
        raise field.error("expected CPUs, for example 500m, 2 or 0.5")
    return int(found.group(1)) if found.group(2) else round(float(found.group(0)) * 1000)


def nice_for(millis: int) -> int:
    """Return the nice value whose weight is to that of one CPU (nice 0) as the request is to one CPU.

    Kubernetes makes a request a cgroup's ``cpu.weight``; a nice level is a factor of 1.25. Weights far
    apart are drawn in to -10..15.

    Source: kernel/sched/core.c, ``sched_prio_to_weight``.
    """
    levels = -round(math.log(max(millis, 1) / 1000) / math.log(1.25))
    return min(max(levels, -10), 15)
