"""The pager against a C twin of the same loop: fault, full cycle, background reclaim.

usage: python -m benchmarks.pager [--rounds N]

Both sides serve the same client (touches timed in C) on the same CPUs, alternately; every ratio is a median
over the rounds of one run. Without gcc or libcrypto's headers only our side is measured.
"""

import argparse
import os
import statistics
import subprocess
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import write_result
from benchmarks.native_build import compiled, have_compiler
from benchmarks.rig import run_ours, run_twin

# What the engine charges beside the pages touched: SECS, VA pages, and the room the worker keeps free.
OVERHEAD_PAGES = 16
NR_PAGES = 4096


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement: what the client does, the limit, and on which CPUs."""

    name: str
    limit_pages: int
    touches: int
    order: str = "permutation"
    think_ns: int = 0
    same_cpu: bool = True
    background: bool = False

    def client(self) -> list[str]:
        """Return the client's arguments."""
        return [
            *("--pages", str(NR_PAGES), "--touches", str(self.touches)),
            *("--order", self.order, "--think-ns", str(self.think_ns)),
        ]

    def cpus(self) -> tuple[list[int], list[int]]:
        """Return the CPUs of pager and client."""
        available = sorted(os.sched_getaffinity(0))
        return [available[0]], [available[0] if self.same_cpu else available[-1]]


CASES = (
    Case("first touch, same CPU", limit_pages=2 * NR_PAGES, touches=NR_PAGES),
    Case("full cycle, sequential, same CPU", limit_pages=1024, touches=10 * NR_PAGES, order="sequential"),
    Case("full cycle, random, same CPU", limit_pages=1024, touches=10 * NR_PAGES),
    Case(
        "full cycle, random, client thinks 100 us, other CPU, background reclaim",
        limit_pages=1024,
        touches=4 * NR_PAGES,
        think_ns=100_000,
        same_cpu=False,
        background=True,
    ),
)


def _median(rows: list[dict[str, Any]], key: str) -> float:
    return statistics.median(float(row[key]) for row in rows)


def _summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {key: _median(rows, key) for key in ("p50_ns", "p90_ns", "p99_ns", "per_second")}


def _measure(case: Case, rounds: int, with_twin: bool) -> dict[str, Any]:
    ours, refault, twin = [], [], []
    for _ in range(rounds):
        for ager, rows in (("fifo", ours), ("refault", refault)):
            answer, _ = run_ours(
                case.client(),
                limit_pages=case.limit_pages + OVERHEAD_PAGES,
                cpus=case.cpus(),
                pager=["--ager", ager],
            )
            rows.append(answer)
        if with_twin:
            twin.append(
                run_twin(
                    case.client(), limit_pages=case.limit_pages, cpus=case.cpus(), background=case.background
                )
            )
    result: dict[str, Any] = {"ours": _summary(ours), "ours_refault_ager": _summary(refault)}
    if twin:
        c, python = _summary(twin), result["ours"]
        result["twin"] = c
        result["ratios"] = {
            "p50_python_over_c": round(python["p50_ns"] / c["p50_ns"], 2),
            "throughput_python_over_c": round(python["per_second"] / c["per_second"], 2),
            "p99_over_p50_python": round(python["p99_ns"] / python["p50_ns"], 2),
            "p99_over_p50_c": round(c["p99_ns"] / c["p50_ns"], 2),
            "throughput_refault_over_fifo": round(
                result["ours_refault_ager"]["per_second"] / python["per_second"], 2
            ),
        }
    return result


def _have_twin() -> bool:
    if not have_compiler():
        print("no gcc: the C twin is left out, there are no ratios")
        return False
    try:
        compiled("twin.c", libraries=("crypto",))
    except subprocess.CalledProcessError:
        print("libcrypto's headers are missing (Debian: libssl-dev): the C twin is left out, no ratios")
        return False
    return True


def main() -> None:
    """Measure all cases, print ratios first, write ``results/pager.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with_twin = _have_twin()
    figures: dict[str, Any] = {"rounds": rounds, "cases": {}}
    for case in CASES:
        print(f"{case.name} ...", flush=True)
        result = _measure(case, rounds, with_twin)
        figures["cases"][case.name] = result
        for name, value in {**result.get("ratios", {}), **result["ours"]}.items():
            print(f"    {name:<32} {value:g}", flush=True)
    _, statistics_of_pager = run_ours(CASES[0].client(), limit_pages=2 * NR_PAGES, cpus=CASES[0].cpus())
    figures["pager_statistics"] = statistics_of_pager
    print(f"written to {write_result('pager', figures).name}")


if __name__ == "__main__":
    main()
