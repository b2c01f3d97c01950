"""What a person waits for: the first operation with and without stored code, and ``epcg conformance``.

usage: python -m benchmarks.engine_start [--folder DIR]

Every figure is of a new process: seconds on the wall and of CPU. DIR: traces to replay, one folder a series,
as in ``tests/conformance/traces.tar.xz``; by default that archive is unpacked.
"""

import argparse
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from benchmarks.machine import write_result
from epcgroup.conformance.generate import random_script

NR_OPERATIONS = 2000
_SERIES = ("mainline", "v2", "v17", "fair")
_TRACES = Path(__file__).parents[1] / "tests" / "conformance" / "traces.tar.xz"
_FIRST = """
from epcgroup.face.epc import Epc
epc = Epc.create(1024, nr_enclave_pages=4096)
group = epc.mkdir("/pod")
outcome, enclave = epc.enclave_create(group, 64)
epc.enclave_init(enclave)
epc.fault(enclave, 0, group)
"""
_RUN = """
import numpy as np
from epcgroup.face.epc import Epc
epc = Epc.create(1024, nr_enclave_pages=4096)
outcome, enclave = epc.enclave_create(1, 64)
epc.enclave_init(enclave)
epc.run(np.zeros(16, np.uint32), [(enclave, 1)])
"""
_CONFORMANCE = "import sys; from epcgroup.cli.main import main; sys.exit(main())"


def _timed(arguments: list[str], cache: str, text: str = "") -> dict[str, float]:
    """Run a Python with the given arguments and store of compiled code; its seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        input=text,
        # Byte code is kept, as that of an installed package is, whatever this shell says.
        env={**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
        text=True,
        stdout=subprocess.DEVNULL,
    )
    wall_s = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2)}


def _best(arguments: list[str], cache: str, text: str = "", rounds: int = 5) -> dict[str, float]:
    runs = [_timed(arguments, cache, text) for _ in range(rounds)]
    return min(runs, key=lambda run: run["wall_s"])


def first_operations() -> dict[str, dict[str, float]]:
    """Import, machine, enclave, one fault; the same with a run: from empty stores, then from full ones."""
    figures = {}
    for name, program in (("first_fault", _FIRST), ("first_run", _RUN)):
        with tempfile.TemporaryDirectory() as cache:
            figures[f"{name}_cold"] = _timed(["-c", program], cache)
            figures[f"{name}_warm"] = _best(["-c", program], cache)
    return figures


def conformance(folder: Path, cache: str) -> dict[str, dict[str, float]]:
    """A random script of 2,000 operations for each series, and all recorded traces; code is in store."""
    figures = {}
    for series in _SERIES:
        command = ["-c", _CONFORMANCE, "conformance", "--series", series]
        _timed(command, cache, random_script(1, 300))
        figures[f"script_{series}"] = _best(command, cache, random_script(7, NR_OPERATIONS), rounds=3)
        if (folder / series).is_dir():
            figures[f"traces_{series}"] = _timed([*command, str(folder / series)], cache)
    return figures


def main() -> None:
    """Measure, print, write ``results/engine_start.json``."""
    parser = argparse.ArgumentParser(description="Time to the first operation, and of epcg conformance.")
    parser.add_argument("--folder", type=Path, help="recorded traces, one folder a series")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch, "traces")
            with tarfile.open(_TRACES, "r:xz") as archive:
                archive.extractall(folder, filter="data")
        cache = os.environ.get("NUMBA_CACHE_DIR", str(Path(scratch, "cache")))
        figures = {**first_operations(), **conformance(folder, cache)}
    path = write_result("engine_start", figures)
    for name, row in figures.items():
        print(f"{name:>20}  {row['wall_s']:6.2f} s  {row['cpu_s']:6.2f} s of CPU")
    print(f"written to {path.name}")


if __name__ == "__main__":
    main()
