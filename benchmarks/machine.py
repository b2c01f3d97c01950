"""What machine a figure was measured on, for the head of every result file."""

import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def describe() -> dict[str, Any]:
    """Return CPU, memory, kernel and Python of this machine."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": cpu,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def write_result(name: str, figures: dict[str, Any], *, kept: tuple[str, ...] = ()) -> Path:
    """Write one result file, figures and machine, and return its path.

    ``kept``: figures of the file as it is that stay when this run did not measure them. Each has a machine of
    its own, that of the run it comes from.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text()) if kept and path.exists() else {}
    machine = describe()
    measured = {key: {"machine": machine, **figures[key]} for key in kept if key in figures}
    old = {key: before[key] for key in kept if key in before}
    path.write_text(json.dumps({"machine": machine, **old, **figures, **measured}, indent=2) + "\n")
    return path
