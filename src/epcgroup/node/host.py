"""What this host has: each capability found out by trying it, never by a version.

What must not live here: how it is printed (cli).
"""

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from epcgroup import __version__
from epcgroup.abi import userfaultfd
from epcgroup.errors import EpcError, NotSupportedError
from epcgroup.units import format_size

_PROC: Final = Path("/proc")
_SYS: Final = Path("/sys")


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing a host has or lacks.

    Attributes:
        name: short.
        ok: True: there, False: missing, None: not there but not needed for the software EPC.
        found: what was seen.
        enables: what it is good for.
        how: how to get it; empty if it is there.
        needed: without it pods cannot be run.
    """

    name: str
    ok: bool | None
    found: str
    enables: str
    how: str = ""
    needed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def capabilities() -> list[Capability]:
    """Return everything this host has or lacks, what is needed first."""
    probes: tuple[Callable[[], Capability], ...] = (
        _userfaultfd, _poison, _tmpfs, _fuse, _cpus, _memory, _kernel, _cgroup2, _misc, _sgx, _bpf,
    )  # fmt: skip
    return [probe() for probe in probes]


def _userfaultfd() -> Capability:
    enables = "enclave memory served by the pager"
    try:
        opened = _opened()
    except NotSupportedError as error:
        how = "a kernel with CONFIG_USERFAULTFD; in a container: allow the system call in the seccomp profile"
        return Capability("userfaultfd", False, str(error), enables, how, needed=True)
    if opened.kernel_faults:
        return Capability(
            "userfaultfd", True, "full: system calls may touch enclave memory", enables, needed=True
        )
    how = "for system calls into paged-out memory: run as root, or sysctl vm.unprivileged_userfaultfd=1"
    return Capability("userfaultfd", True, "user mode only", enables, how, needed=True)


def _opened() -> userfaultfd.Opened:
    try:
        device = os.open(userfaultfd.DEVICE_PATH, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        opened = userfaultfd.open_userfaultfd()
    else:
        try:
            opened = userfaultfd.open_userfaultfd(device)
        finally:
            os.close(device)
    os.close(opened.fd)
    return opened


def _poison() -> Capability:
    enables = "a lost page becomes SIGBUS in the program, never silent zeros"
    try:
        offered = bool(userfaultfd.offered_features() & userfaultfd.Feature.POISON)
    except (EpcError, OSError) as error:
        return Capability("UFFDIO_POISON", False, str(error), enables, "Linux 6.6 or newer")
    found = "offered" if offered else "not offered by this kernel"
    return Capability("UFFDIO_POISON", offered, found, enables, "" if offered else "Linux 6.6 or newer")


def _tmpfs() -> Capability:
    from epcgroup.pager.backing import TmpfsBacking

    enables = "plain pages never reach the swap"
    try:
        TmpfsBacking(1 << 20).close()
    except OSError as error:
        how = "run as root on Linux 6.4 or newer; without it memory files are used"
        return Capability("tmpfs noswap", None, error.strerror or str(error), enables, how)
    return Capability("tmpfs noswap", True, "can be mounted", enables)


def _fuse() -> Capability:
    from epcgroup.cgroupfs import libfuse

    enables = "groups as files: cat, watch and scripts on misc.current, misc.max ..."
    try:
        libfuse.check()
    except NotSupportedError as error:
        return Capability("FUSE", None, "missing", enables, str(error))
    return Capability("FUSE", True, "libfuse3 and /dev/fuse", enables)


def _cpus() -> Capability:
    count = len(os.sched_getaffinity(0))
    how = "" if count > 1 else "two CPUs: programs and the pager take turns on one"
    return Capability("CPUs", count > 1 or None, str(count), "pager and programs at the same time", how)


def _memory() -> Capability:
    available = _meminfo().get("MemAvailable", 0)
    found = f"{format_size(available)} available"
    return Capability("memory", available > 1 << 30 or None, found, "pages in the EPC and sealed copies")


def _meminfo() -> dict[str, int]:
    lines = (line.split() for line in _read(_PROC / "meminfo").splitlines())
    return {words[0].rstrip(":"): int(words[1]) << 10 for words in lines if len(words) > 1}


def _kernel() -> Capability:
    return Capability(
        "kernel", True, platform.release(), "every feature is tried, none is told by the version"
    )


def _cgroup2() -> Capability:
    enables = "membership by cgroup for programs outside epcg run"
    mounts = (line.split() for line in _read(_PROC / "self/mounts").splitlines())
    places = [words[1] for words in mounts if len(words) > 2 and words[2] == "cgroup2"]
    if not places:
        return Capability("cgroup2", None, "not mounted", enables, "mount -t cgroup2 none /sys/fs/cgroup")
    controllers = _read(Path(places[0]) / "cgroup.controllers").strip() or "no controllers"
    return Capability("cgroup2", True, f"{places[0]} ({controllers})", enables)


def _misc() -> Capability:
    enables = "limits on EPC enforced by the kernel itself"
    for place in (_SYS / "fs/cgroup", _SYS / "fs/cgroup/unified"):
        text = _read(place / "misc.capacity")
        if text:
            lists = "sgx_epc" in text.split()
            found = " ".join(text.split())
            return Capability("misc.capacity", lists or None, found, enables, "" if lists else _NO_SGX_MISC)
    return Capability("misc.capacity", None, "no misc controller", enables, _NO_SGX_MISC)


_NO_SGX_MISC: Final = "a kernel with the EPC cgroup series; no released kernel has it, so the pager enforces"


def _sgx() -> Capability:
    enables = "real enclaves"
    device = Path("/dev/sgx_enclave").exists()
    flags = next((line for line in _read(_PROC / "cpuinfo").splitlines() if line.startswith("flags")), "")
    cpu = "sgx" in flags.split()
    found = f"CPU: {'yes' if cpu else 'no'}, /dev/sgx_enclave: {'yes' if device else 'no'}"
    how = "" if cpu and device else "not needed: the software EPC stands in for it"
    return Capability("SGX", (cpu and device) or None, found, enables, how)


def _bpf() -> Capability:
    enables = "guard mode on stock kernels (planned)"
    lsms = _read(_SYS / "kernel/security/lsm").strip()
    btf = (_SYS / "kernel/btf/vmlinux").exists()
    ok = btf and "bpf" in lsms.split(",")
    found = f"BTF: {'yes' if btf else 'no'}, LSMs: {lsms or 'unknown'}"
    return Capability("BPF LSM", ok or None, found, enables, "" if ok else "boot with lsm=...,bpf")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def machine() -> dict[str, str]:
    """Return facts about this machine for a report: fact → value."""
    names = (line.partition(":") for line in _read(_PROC / "cpuinfo").splitlines())
    model = next((value.strip() for name, _, value in names if name.strip() == "model name"), "unknown CPU")
    memory = _meminfo().get("MemTotal", 0)
    return {
        "kernel": f"{platform.system()} {platform.release()}",
        "CPU": f"{len(os.sched_getaffinity(0))} × {model}",
        "memory": format_size(memory),
        "Python": sys.version.split()[0],
        "epcgroup": __version__,
    }
