"""Run the scenarios in virtual time, with the costs measured on this machine."""

from typing import Final

from benchmarks.calibration.live import DURATION_S, WINDOW_S, Outcome, Setting, manifest_of
from benchmarks.calibration.paging import paging_of, series_of
from epcgroup.node.simulate import SimOptions, recording_of, scenario_of
from epcgroup.sim.machine import simulate

#: What stands for an ager of the pager: first in first out is a policy, what the other one sees is ours.
POLICIES: Final = {"fifo": "fifo", "refault": "benchmarks.calibration.refault:Refault"}
COSTS: Final = "softepc"


def run(setting: Setting, seed: int, policy: str | None = None) -> Outcome:
    """Simulate a scenario; ``policy``: another one than that which stands for the ager."""
    manifest = manifest_of(setting.scenario)
    options = SimOptions(
        round(DURATION_S * 1e9),
        series=setting.series,
        policy=policy or POLICIES[setting.ager],
        costs=COSTS,
        seed=seed,
    )
    recording = recording_of(manifest, simulate(scenario_of(manifest, options)))
    return Outcome(
        {target.pod: paging_of(recording, target.path, WINDOW_S) for target in recording.targets},
        {target.pod: series_of(recording, target.path) for target in recording.targets},
    )
