"""How fast programs get on that never wait for anything but the EPC: live and simulated.

In the scenarios work arrives at a given rate, so they test what is evicted, hardly what it costs. Here a
program does the next operation when the last is done; its rate is the sum of all costs.
"""

import time
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.calibration.bench import running
from epcgroup.node.workload_models import model_of
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import POD_COLUMNS
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Scenario
from epcgroup.units import PAGE_SIZE, parse_size

_LIMIT_PAGES: Final = 1024
_EPC: Final = "64Mi"
_SECONDS: Final = 3.0
#: Programs with about twice to four times their limit in use.
PROGRAMS: Final = {
    "scan": ("--size", "16Mi"),
    "btree": ("--size", "10Mi", "--keys", "450000", "--insert-ratio", "0"),
    "matmul": ("--size", "8Mi"),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """Operations a second of one program."""

    program: str
    arguments: str
    live: float
    simulated: float


def live(name: str) -> float:
    """Return operations a second on the pager."""
    with running([name, *PROGRAMS[name]], limit_pages=_LIMIT_PAGES, epc=_EPC) as program:
        program.wait_until_working()
        time.sleep(_SECONDS / 3)
        before = program.look()
        time.sleep(_SECONDS)
        after = program.look()
        return program.operations_between(before, after) * 1e9 / (after.t_ns - before.t_ns)


def simulated(name: str) -> float:
    """Return operations a second in virtual time."""
    program = replace(model_of(name, PROGRAMS[name]).program, populate_ns=0)
    limit = _LIMIT_PAGES * PAGE_SIZE
    pod = PodSpec(name, (ContainerSpec("program", program, limit),), limit_bytes=limit)
    scenario = Scenario(parse_size(_EPC), (pod,), 4 * 10**9, costs="softepc", policy="fifo")
    result = simulate(scenario)
    done = result.pods[:, 0, POD_COLUMNS.index("requests")]
    middle = len(done) // 2
    return float((done[-1] - done[middle]) * 1e9 / (result.times_ns[-1] - result.times_ns[middle]))


def rates() -> list[Rate]:
    """Return all programs."""
    return [Rate(name, " ".join(words), live(name), simulated(name)) for name, words in PROGRAMS.items()]
