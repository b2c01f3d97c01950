"""The case reported from Azure: pods over their claim page themselves, the others do not notice."""

from pathlib import Path
from typing import Final

from benchmarks.calibration.published.case import MET, MISSED, Case, rate
from epcgroup.node.manifest import load_manifest
from epcgroup.node.simulate import SimOptions, scenario_of
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import Result

_MANIFEST: Final = Path(__file__).parents[3] / "examples" / "noisy-neighbour.yaml"
_DURATION_S: Final = 30.0
_WARM_UP_S: Final = 12.0
_ROOMY: Final = 16
#: Loads a second of the honest pod that count as none.
_FEW: Final = 1.0


def _run(series: str, factor: int = 1) -> Result:
    manifest = load_manifest(_MANIFEST)
    capacity = manifest.node.capacity_bytes * factor
    options = SimOptions(round(_DURATION_S * 1e9), series=series, costs="sgx2", capacity_bytes=capacity)
    return simulate(scenario_of(manifest, options))


def case() -> Case:
    """Run it."""
    roomy, open_, enforced = _run("mainline", _ROOMY), _run("mainline"), _run("fair")
    loads = {
        name: [rate(run, name, "loaded", _WARM_UP_S) for run in (roomy, open_, enforced)]
        for name in ("kv", "greedy-a", "greedy-b")
    }
    rows = [[name, *(f"{value:,.0f}" for value in values)] for name, values in loads.items()]
    kv = loads["kv"]
    holds = (
        kv[2] <= kv[0] + _FEW and kv[1] > kv[0] + _FEW and min(loads["greedy-a"][2], loads["greedy-b"][2]) > 0
    )
    return Case(
        name="azure",
        header=("pod", "roomy node", "not enforced (`mainline`)", "enforced (`fair`)"),
        rows=rows,
        verdict=MET if holds else MISSED,
    )
