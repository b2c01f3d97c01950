"""The case of the mailing list: 100 MB of EPC, group 1 with 50 MB, group 2 with 100 or 50 MB."""

from typing import Final

from benchmarks.calibration.published.case import MET, MISSED, Case, pod, rate, sweep, uniform
from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import Scenario
from epcgroup.units import PAGE_SIZE

_MB_PAGES: Final = 10**6 / PAGE_SIZE
_EPC: Final = round(100 * _MB_PAGES)
_HALF: Final = round(50 * _MB_PAGES)
#: What group 1 uses of its 50 MB, so that its own limit does not press it.
_CRITICAL_PAGES: Final = round(46 * _MB_PAGES)
_OTHER_PAGES: Final = round(200 * _MB_PAGES)
#: Computation of the critical group for each page it refers to, and of the other one.
_COMPUTE_NS: Final = 5_000
_DURATION_S: Final = 6.0
_WARM_UP_S: Final = 2.5
#: Share of the solo throughput that counts as unharmed.
_UNHARMED: Final = 0.97


def _run(series: str, limit_pages: int | None) -> tuple[float, float]:
    """Return (requests a second, pages loaded a second) of group 1; ``limit_pages`` None: it is alone."""
    pods = [pod("critical", uniform(_CRITICAL_PAGES, _COMPUTE_NS), _HALF)]
    if limit_pages is not None:
        pods.append(pod("other", sweep(_OTHER_PAGES), limit_pages))
    scenario = Scenario(_EPC * PAGE_SIZE, tuple(pods), round(_DURATION_S * 1e9), series=series, costs="sgx2")
    result = simulate(scenario)
    return rate(result, "critical", "requests", _WARM_UP_S), rate(result, "critical", "loaded", _WARM_UP_S)


def case() -> Case:
    """Run it."""
    solo, _ = _run("v17", None)
    rows, holds = [], True
    for series in ("v17", "fair"):
        for limit, megabytes in ((_EPC, 100), (_HALF, 50)):
            requests, loads = _run(series, limit)
            unharmed = requests >= _UNHARMED * solo
            expected = "suffers" if megabytes == 100 else "does not suffer"
            rows.append(
                [
                    f"`{series}`",
                    f"{megabytes} MB",
                    expected if series == "v17" else "(no statement)",
                    f"{100 * requests / solo:.0f} % of solo, {loads:,.0f} loads/s",
                ]
            )
            if series == "v17":
                holds = holds and unharmed == (megabytes == 50)
    return Case(
        name="mail",
        header=("series", "limit of group 2", "published for group 1", "here: group 1"),
        rows=rows,
        verdict=MET if holds else MISSED,
    )
