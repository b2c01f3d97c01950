"""VAULT, ASPLOS 2018: SGX1 paging slows programs down five times on average."""

import statistics
from dataclasses import replace
from typing import Final

from benchmarks.calibration.published.case import MISSED, PARTLY, Case, pod, rate
from epcgroup.node.workload_models import model_of
from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import CLOSED, Program, Requests, Scenario
from epcgroup.units import PAGE_SIZE

_PUBLISHED: Final = 5.0
_EPC_PAGES: Final = 23_936
_ROOMY: Final = 8
#: Our four programs with data of about twice the EPC, as fast as they can.
_PROGRAMS: Final = {
    "kv": "--size 200Mi --items 3000 --value-size 60000 --rate 1000",
    "btree": "--size 200Mi --keys 11800000 --insert-ratio 0",
    "scan": "--size 187Mi",
    "matmul": "--size 187Mi",
}
_DURATION_S: Final = 12.0
_WARM_UP_S: Final = 6.0
#: The mean must be within this factor to count as of the same size.
_FACTOR: Final = 2.0


def _at_full_speed(program: Program) -> Program:
    requests: Requests = replace(program.requests, arrivals=CLOSED, rate_per_s=0.0)
    return replace(program, requests=requests, populate=False)


def slow_down(name: str) -> float:
    """Return the time of a request with paging over that without."""
    program = _at_full_speed(model_of(name, _PROGRAMS[name].split()).program)
    rates = []
    for factor in (_ROOMY, 1):
        scenario = Scenario(
            _EPC_PAGES * factor * PAGE_SIZE,
            (pod("program", program),),
            round(_DURATION_S * 1e9),
            series="mainline",
            costs="sgx1",
        )
        rates.append(rate(simulate(scenario), "program", "requests", _WARM_UP_S))
    return rates[0] / rates[1]


def case() -> Case:
    """Run it."""
    found = {name: slow_down(name) for name in _PROGRAMS}
    mean, geometric = statistics.mean(found.values()), statistics.geometric_mean(found.values())
    rows = [[f"`{name}`", "", f"{value:.1f} ×"] for name, value in found.items()]
    rows += [["mean of all", f"{_PUBLISHED:.0f} ×", f"{mean:.1f} × (geometric {geometric:.1f} ×)"]]
    close = _PUBLISHED / _FACTOR <= geometric <= _PUBLISHED * _FACTOR
    return Case(
        name="vault",
        header=("program", "published", "here"),
        rows=rows,
        verdict=PARTLY if close else MISSED,
    )
