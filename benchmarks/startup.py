"""How long ``epcg --help`` takes, against an empty Python in the same run.

usage: python -m benchmarks.startup
"""

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.machine import write_result

RUNS = 15


def _seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Measure both commands alternately and write ``results/startup.json``."""
    epcg = shutil.which("epcg", path=str(Path(sys.executable).parent))
    if epcg is None:
        sys.exit("epcg is not installed beside this Python: run `make setup` first")
    commands = {"python": [sys.executable, "-c", "pass"], "help": [epcg, "--help"]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            times[name].append(_seconds(command))
    median = {name: statistics.median(values) for name, values in times.items()}
    figures = {
        "help_over_python": round(median["help"] / median["python"], 2),
        "help_s_median": round(median["help"], 3),
        "help_s_max": round(max(times["help"]), 3),
        "python_s_median": round(median["python"], 3),
        "runs": RUNS,
    }
    path = write_result("startup", figures)
    for name, value in figures.items():
        print(f"{name:>18}  {value}")
    print(f"written to {path.name}")


if __name__ == "__main__":
    main()
