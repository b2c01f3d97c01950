"""Run the scenarios on the live pager."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from benchmarks.calibration.paging import Paging, Series, paging_of, series_of
from epcgroup.node.manifest import parse_manifest
from epcgroup.node.objects import Manifest
from epcgroup.node.pagerprocess import PagerOptions
from epcgroup.node.runner import NodeRun, RunOptions

SCENARIOS: Final = ("noisy-neighbour", "phases", "equal-pods")
SERIES: Final = ("mainline", "v17", "fair")
#: Seconds of a run, and what is counted of it: after the load phases, whole phases of the second scenario.
DURATION_S: Final = 13.5
WINDOW_S: Final = (5.0, 13.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """One way of running one scenario: its name, the series, the pager's ager."""

    scenario: str
    series: str
    ager: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: pod → figures of the window, and pod → course over time."""

    paging: Mapping[str, Paging]
    series: Mapping[str, Series]


def manifest_of(scenario: str, seed: int = 1) -> Manifest:
    """Return the manifest of a scenario; programs that draw at random get seeds that follow from ``seed``."""
    path = Path(__file__).parent / "scenarios" / f"{scenario}.yaml"
    seeds = {"seed_a": str(seed), "seed_b": str(1000 + seed)}
    return parse_manifest(str(path), Template(path.read_text()).substitute(seeds))


def settings() -> Iterator[Setting]:
    """Yield every run wanted: all series first in first out, two of them by second chance."""
    for scenario in SCENARIOS:
        for series in SERIES:
            yield Setting(scenario, series, "fifo")
        for series in (SERIES[0], SERIES[-1]):
            yield Setting(scenario, series, "refault")


def run(setting: Setting, seed: int) -> Outcome:
    """Run a scenario on the pager of this machine; ends the benchmark if a pod fails."""
    manifest = manifest_of(setting.scenario, seed)
    pager = PagerOptions(manifest.node.capacity_bytes, setting.series, setting.ager)
    with tempfile.TemporaryDirectory(prefix="epcg-") as folder:
        result = NodeRun(manifest, RunOptions(pager, Path(folder), round(DURATION_S * 1e9))).run()
    if result.failed:
        raise SystemExit(f"{setting}: {[(pod.pod.name, pod.message) for pod in result.failed]}")
    recording = result.recording
    return Outcome(
        {target.pod: paging_of(recording, target.path, WINDOW_S) for target in recording.targets},
        {target.pod: series_of(recording, target.path) for target in recording.targets},
    )
