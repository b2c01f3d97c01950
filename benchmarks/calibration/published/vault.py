"""VAULT, ASPLOS 2018: SGX1 paging slows programs down five times on average."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.calibration.published.case import MISSED, PARTLY, Case, pod, rate
from epcgroup.node.workload_models import model_of
from epcgroup.sim import costs
from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import CLOSED, Program, Requests, Scenario
from epcgroup.units import PAGE_SIZE

_PUBLISHED: Final = 5.0
_SWAP_CYCLES: Final = 40_000
_COSTS: Final = "sgx1"
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


@dataclass(frozen=True, slots=True)
class Found:
    """What paging does to one program.

    Attributes:
        slow_down: time of a request with paging over that without.
        shared: the same where ksgxd runs on the program's processor.
        work: cycles between two misses, without paging.
    """

    slow_down: float
    shared: float
    work: float


def found(name: str) -> Found:
    """Run a program without paging, and with."""
    program = _at_full_speed(model_of(name, _PROGRAMS[name].split()).program)
    (roomy, _), (paged, loaded), (shared, _) = (
        _rates(program, *way) for way in ((_ROOMY, 0), (1, 0), (1, 1))
    )
    return Found(roomy / paged, roomy / shared, paged / loaded / roomy * 1e9 * costs.find(_COSTS).ghz)


def _rates(program: Program, factor: int, nr_cpus: int) -> tuple[float, float]:
    """Return requests and pages loaded a second."""
    scenario = Scenario(
        _EPC_PAGES * factor * PAGE_SIZE,
        (pod("program", program),),
        round(_DURATION_S * 1e9),
        series="mainline",
        costs=_COSTS,
        nr_cpus=nr_cpus,
    )
    result = simulate(scenario)
    return rate(result, "program", "requests", _WARM_UP_S), rate(result, "program", "loaded", _WARM_UP_S)


def _means(values: Iterable[float]) -> str:
    every = list(values)
    means = {"arithmetic": statistics.mean(every), "geometric": statistics.geometric_mean(every)}
    return ", ".join(f"{name} {mean:.1f} × ({mean / _PUBLISHED - 1:+.0%})" for name, mean in means.items())


def case() -> Case:
    """Run it."""
    programs = {name: found(name) for name in _PROGRAMS}
    rows = [
        [
            f"`{name}`",
            f"{one.work:,.0f}",
            "",
            f"{one.slow_down:.1f} ×",
            f"{one.shared:.1f} ×",
            f"{1 + _SWAP_CYCLES / one.work:.1f} ×",
        ]
        for name, one in programs.items()
    ]
    columns = (
        [one.slow_down for one in programs.values()],
        [one.shared for one in programs.values()],
        [1 + _SWAP_CYCLES / one.work for one in programs.values()],
    )
    rows += [["mean of all", "", f"{_PUBLISHED:.0f} ×", *map(_means, columns)]]
    apart = (abs(shared / by_hand - 1) for _, shared, by_hand in zip(*columns, strict=True))
    geometric = statistics.geometric_mean(columns[0])
    close = _PUBLISHED / _FACTOR <= geometric <= _PUBLISHED * _FACTOR
    return Case(
        name="vault",
        header=(
            "program",
            "cycles of work a miss",
            "published",
            "here",
            "here, ksgxd on the same CPU",
            "1 + 40,000 / work",
        ),
        rows=rows,
        verdict=PARTLY if close else MISSED,
        facts={
            "work": f"{_SWAP_CYCLES / (_PUBLISHED - 1):,.0f}",
            "apart": f"{100 * max(apart):.0f} %",
        },
    )
