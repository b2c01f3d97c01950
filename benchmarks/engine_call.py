"""What one call of the engine from Python costs, against an empty compiled call in the same run.

usage: python -m benchmarks.engine_call [--rounds N]

The budget is 2 µs for one call per fault, hit or not.
"""

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np

from benchmarks.machine import write_result
from epcgroup.face.epc import Epc
from epcgroup.state.outcome import Outcome

BUDGET_US = 2.0
_CALLS = 4000
_LIMIT_PAGES = 8192
_PAGE = 4096
_WRITTEN = np.zeros(64, np.uint8)


@numba.njit(cache=True)
def _empty(number: int) -> int:
    return number


class Rig:
    """One machine with a group four levels deep, as a container of a pod has it."""

    def __init__(self) -> None:
        self.epc = Epc.create(64_000, nr_enclave_pages=1 << 19)
        for path in ("/kubepods", "/kubepods/pod", "/kubepods/pod/container"):
            self.group = self.epc.mkdir(path)
        outcome, self.enclave = self.epc.enclave_create(self.group, 1 << 18)
        if outcome is not Outcome.CREATED:
            raise SystemExit("the engine refused an enclave on an empty machine")
        self.epc.enclave_init(self.enclave)
        self.next_page = 0
        self.evicted = 0

    def create(self) -> Outcome:
        """Touch a page for the first time."""
        page = self.next_page
        self.next_page += 1
        return self.epc.fault(self.enclave, page, self.group)

    def hit(self) -> Outcome:
        """Fault on a resident page (the duplicate of a message)."""
        return self.epc.fault(self.enclave, self.next_page - 1, self.group)

    def load(self) -> Outcome:
        """Bring an evicted page back."""
        page = self.evicted
        self.evicted += 1
        return self.epc.fault(self.enclave, page, self.group)

    def act(self) -> None:
        """Write the isolated batch out."""
        self.epc.finish(_WRITTEN[: len(self.epc.batch)])

    def cycle(self) -> None:
        """Create a page at the limit, with all the reclaim that this causes."""
        while self.create() is Outcome.EVICT:
            self.next_page -= 1
            self.act()
        while self.epc.has_work() and self.epc.isolate():
            self.act()


def per_call_us(call: Callable[[], object], calls: int) -> float:
    """Time of one call, in microseconds, the loop around it included."""
    begin = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - begin) / calls / 1000


def one_round() -> dict[str, float]:
    """Measure every kind of call once, on a fresh machine."""
    rig = Rig()
    times = {"empty": per_call_us(lambda: _empty(7), _CALLS)}
    times["create"] = per_call_us(rig.create, _CALLS)
    times["hit"] = per_call_us(rig.hit, _CALLS)
    rig.epc.write("/kubepods/pod/container", "epc.reclaim", str(_CALLS // 2 * _PAGE))
    batches = 0
    begin = time.perf_counter_ns()
    while rig.epc.isolate():
        rig.act()
        batches += 1
    times["evict_batch"] = (time.perf_counter_ns() - begin) / batches / 1000
    times["load"] = per_call_us(rig.load, _CALLS // 2)
    rig.epc.write("/kubepods/pod/container", "misc.max", f"sgx_epc {_LIMIT_PAGES * _PAGE}")
    while rig.next_page < _LIMIT_PAGES:
        rig.cycle()
    times["fault_with_reclaim"] = per_call_us(rig.cycle, _CALLS)
    return times


def main() -> None:
    """Measure, print the table of ratios, write ``results/engine_call.json``."""
    parser = argparse.ArgumentParser(description="Cost of one engine call from Python.")
    parser.add_argument("--rounds", type=int, default=9, help="rounds; the best of each call counts")
    rounds = [one_round() for _ in range(parser.parse_args().rounds + 1)][1:]  # the first one compiles
    best = {name: min(times[name] for times in rounds) for name in rounds[0]}
    figures = {
        name: {"us": round(time_us, 3), "over_empty_call": round(time_us / best["empty"], 2)}
        for name, time_us in best.items()
    }
    path = write_result("engine_call", {"budget_us": BUDGET_US, "rounds": len(rounds), "calls": figures})
    print(f"{'call':>20}  {'us':>8}  {'x empty call':>12}")
    for name, row in figures.items():
        print(f"{name:>20}  {row['us']:8.3f}  {row['over_empty_call']:12.2f}")
    faults = {name: best[name] for name in ("create", "hit", "load")}
    verdict = "within" if max(faults.values()) <= BUDGET_US else "OVER"
    print(f"one fault: {verdict} the budget of {BUDGET_US} us; written to {path.name}")


if __name__ == "__main__":
    main()
