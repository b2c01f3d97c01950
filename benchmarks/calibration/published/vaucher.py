"""Vaucher et al., ICDCS 2018, and the prototype's table: honest and malicious pods on 23,936 pages."""

from collections.abc import Sequence
from typing import Final

from benchmarks.calibration.published.case import MET, MISSED, PARTLY, Case, pod, rate, sweep, uniform
from epcgroup.sim import costs
from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import PodSpec, Scenario
from epcgroup.units import PAGE_SIZE

_EPC_PAGES: Final = 23_936
_VICTIM_PAGES: Final = 12_000
_ATTACKER_PAGES: Final = 48_000
_NR_ATTACKERS: Final = 3
_CAP_PAGES: Final = 3_900
#: Cycles of the victim's computation for each reference → its throughput, per cent of solo, without limits.
_PROTOTYPE: Final = {500: 100, 5_000: 11, 20_000: 33, 50_000: 56, 200_000: 83}
_COSTS: Final = "sgx2"
#: A fault is 40,000 cycles, all in all, and a hit nothing but the computation: the prototype's inputs.
_OVERRIDES: Final = {
    "hit": 1,
    "fault": 28_000,
    "create": 0,
    "load": 12_000,
    "evict": 0,
    "scan": 0,
    "batch": 0,
    "background": 0,
    "add": 0,
    "ecreate": 0,
    **costs.steady(_COSTS),
}
#: References of the victim that are counted, and share of a run that is warm-up.
_REFERENCES: Final = 60_000
_WARM_UP: Final = 0.4
_NEAR: Final = 10


#: Each way of running it: series, whether the attackers run before the victim comes.
_WAYS: Final = {
    "v17, attackers first": ("v17", True),
    "v17, all at once": ("v17", False),
    "mainline, all at once": ("mainline", False),
}
_HEAD_START_S: Final = 0.5


def _run(pods: Sequence[PodSpec], series: str, duration_s: float) -> float:
    """Return the victim's references a second, after the warm-up."""
    scenario = Scenario(
        _EPC_PAGES * PAGE_SIZE,
        tuple(pods),
        round(duration_s * 1e9),
        series=series,
        costs=_COSTS,
        overrides=_OVERRIDES,
    )
    return rate(simulate(scenario), "victim", "requests", duration_s * _WARM_UP)


def throughput(cycles: int, series: str, cap_pages: int | None, attackers_first: bool = False) -> float:
    """Return the victim's throughput, per cent of solo."""
    compute_ns = cycles / costs.find(_COSTS).ghz
    # Long enough for the victim at full speed, and for the attackers to go round several times.
    duration_s = max(_REFERENCES * compute_ns / 1e9, 2.0)
    program = uniform(_VICTIM_PAGES, compute_ns, populate=False)
    victim = pod("victim", program, start_s=_HEAD_START_S if attackers_first else 0.0)
    attackers = [pod(f"attacker-{n}", sweep(_ATTACKER_PAGES), cap_pages) for n in range(_NR_ATTACKERS)]
    return 100 * _run([victim, *attackers], series, duration_s) / _run([victim], series, duration_s)


def case() -> Case:
    """Run it."""
    found = {
        cycles: [throughput(cycles, series, None, first) for series, first in _WAYS.values()]
        for cycles in _PROTOTYPE
    }
    capped = {cycles: throughput(cycles, "v17", _CAP_PAGES) for cycles in _PROTOTYPE}
    rows = [
        [
            f"{cycles:,}",
            f"{theirs} %",
            *(f"{ours:.0f} %" for ours in found[cycles]),
            f"{found[cycles][0] - theirs:+.0f}",
            "100 %",
            f"{capped[cycles]:.0f} %",
        ]
        for cycles, theirs in _PROTOTYPE.items()
    ]
    near = [abs(found[cycles][0] - theirs) <= _NEAR for cycles, theirs in _PROTOTYPE.items()]
    protected = all(value > 100 - _NEAR for value in capped.values())
    return Case(
        name="vaucher",
        header=(
            "victim computes, cycles a reference",
            "prototype",
            *_WAYS,
            "first − prototype, points",
            "prototype, capped",
            "here, capped",
        ),
        rows=rows,
        verdict=MET if all(near) and protected else PARTLY if protected else MISSED,
    )
