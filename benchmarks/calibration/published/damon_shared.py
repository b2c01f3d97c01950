"""El-Hindi et al., DaMoN 2022, Fig. 8: three enclaves share two nodes' EPC and recover as the others end."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.published.case import MISSED, PARTLY, Case, pod
from epcgroup.sim import costs
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import PHASES, POD_COLUMNS, Result
from epcgroup.sim.scenario import CLOSED, Program, Requests, Scenario
from epcgroup.sim.trace.format import REQUEST_MARK
from epcgroup.sim.trace.writer import open_writer
from epcgroup.units import PAGE_SIZE

#: EPC of one of the two nodes, scaled down from 64 GB; a tree grows to that size, then its program ends.
_NODE_PAGES: Final = 8_192
_COMPUTE_NS: Final = 2_000
_PAGES_PER_INSERT: Final = 3
#: A tree begins with so many pages; a leaf takes 256 entries of 16 bytes and is ln 2 full on average.
_FIRST_PAGES: Final = 16
_INSERTS_PER_PAGE: Final = 177
_COSTS: Final = "sgx2"
#: Latency of trusted memory of the other node over that of the own one. Source: DaMoN 2022, Table 2.
_REMOTE: Final = 832.2 / 486.1
_NAMES: Final = ("first", "second", "third")
_SEEDS: Final = (1, 2, 3)
#: Longer than any run, and time between two samples.
_DURATION_S: Final = 8.0
_SAMPLE_S: Final = 0.02
#: Samples until a tree is more than a few pages.
_WARM_UP: Final = 5
#: Shares of solo: as good as it; clearly recovered; collapsed.
_ALIKE: Final = 0.05
_RECOVERED: Final = 0.8
_COLLAPSED: Final = 0.5
_EXPECTED: Final = {
    "the sum fits": "alike, somewhat below solo",
    "overcommitted": "all far below, unpredictable",
    "after the first has ended": "the others recover",
    "after the second has ended": "solo level",
}
_SUCCEEDED: Final = PHASES.index("Succeeded")


def inserts(seed: int) -> NDArray[np.uint32]:
    """Return the references of all inserts of one tree; an insert begins at each mark."""
    sizes = np.repeat(np.arange(_FIRST_PAGES, _NODE_PAGES) + 1, _INSERTS_PER_PAGE * _PAGES_PER_INSERT)
    pages = np.random.default_rng(seed).integers(0, sizes, dtype=np.uint32)
    pages[::_PAGES_PER_INSERT] |= np.uint32(REQUEST_MARK)
    return pages


@dataclass(frozen=True, slots=True)
class _Run:
    """Courses of one run: times (s) and, by tree, inserts answered, pages it has, whether it has ended."""

    times_s: NDArray[np.float64]
    inserts: NDArray[np.int64]
    nr_pages: NDArray[np.int64]
    ended: NDArray[np.bool_]

    @property
    def ends(self) -> list[int]:
        """The last sample in which each tree grew; all of them end."""
        return [int(np.argmax(ended)) - 1 for ended in self.ended.T]

    def windows(self) -> list[tuple[int, int]]:
        """Return first and last sample of each phase: until the sum is the EPC, then from end to end."""
        full = int(np.argmax(self.nr_pages.sum(axis=1) > 2 * _NODE_PAGES))
        first, second, third = sorted(self.ends)
        return [(_WARM_UP, full), (full, first), (first + 1, second), (second + 1, third)]

    def rates(self, window: tuple[int, int]) -> list[float]:
        """Return inserts a second of the trees that run from a sample to another; none if no time passes."""
        first, last = window
        if last <= first:
            return []
        grown = (self.inserts[last] - self.inserts[first]) / (self.times_s[last] - self.times_s[first])
        return [float(rate) for rate, end in zip(grown, self.ends, strict=True) if end >= last]

    def course(self, tree: int, nr: int) -> list[float]:
        """Return a tree's inserts a second between the first so many samples."""
        return [float(rate) for rate in np.diff(self.inserts[: nr + 1, tree]) / _SAMPLE_S]


def _run(folder: Path, nr_trees: int, seed: int) -> _Run:
    pods = []
    for tree, name in enumerate(_NAMES[:nr_trees]):
        path = folder / f"{name}.npy"
        with open_writer(path, {"made": "inserts of a growing tree", "seed": seed}) as writer:
            writer.append(inserts(len(_NAMES) * seed + tree))
        requests = Requests(CLOSED, compute_ns=_COMPUTE_NS)
        pods.append(pod(name, Program(_NODE_PAGES, requests=requests, trace=str(path))))
    scenario = Scenario(
        2 * _NODE_PAGES * PAGE_SIZE,
        tuple(pods),
        round(_DURATION_S * 1e9),
        series="mainline",
        costs=_COSTS,
        sample_ns=round(_SAMPLE_S * 1e9),
        seed=seed,
    )
    return _courses(simulate(scenario))


def _courses(result: Result) -> _Run:
    columns = {name: result.pods[:, :, column] for column, name in enumerate(POD_COLUMNS)}
    nr_pages = columns["resident_pages"] + columns["evicted_pages"]
    return _Run(result.times_ns / 1e9, columns["requests"], nr_pages, columns["phase"] == _SUCCEEDED)


def case() -> Case:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        solo = _run(Path(folder), 1, _SEEDS[0])
        runs = [_run(Path(folder), len(_NAMES), seed) for seed in _SEEDS]
    (alone,) = solo.rates((_WARM_UP, solo.ends[0]))
    shares = {
        phase: [[rate / alone for rate in run.rates(run.windows()[number])] for run in runs]
        for number, phase in enumerate(_EXPECTED)
    }
    rows = [
        [
            phase,
            _EXPECTED[phase],
            *(", ".join(f"{100 * share:.0f} %" for share in run) or "–" for run in found),
        ]
        for phase, found in shares.items()
    ]
    fits, over, two, last = ([share for run in found for share in run] for found in shares.values())
    collapsed = max(over) < _RECOVERED and min(over) < _COLLAPSED
    holds = collapsed and min(two) > _RECOVERED and min(last) > 1 - _ALIKE
    nr = max(runs[0].ends)
    return Case(
        name="damon-shared",
        header=("phase", "published", *(f"here, share of solo, seed {seed}" for seed in _SEEDS)),
        rows=rows,
        verdict=PARTLY if holds and max(fits) - min(fits) < _ALIKE else MISSED,
        facts={
            "nr_pages": f"{_NODE_PAGES:,}",
            "per_page": f"{_INSERTS_PER_PAGE}",
            "low": f"{100 * min(over):.0f}",
            "high": f"{100 * max(over):.0f}",
            "remote": f"{100 * (1 - _remote_share(alone)):.0f}",
        },
        plot={
            "x": [float(time) for time in solo.times_s[1 : nr + 1]],
            "xlabel": "seconds",
            "ylabel": "inserts a second",
            "log": False,
            "curves": {
                "alone": solo.course(0, nr),
                **{name: runs[0].course(tree, nr) for tree, name in enumerate(_NAMES)},
            },
        },
    )


def _remote_share(alone: float) -> float:
    """Return the rate of an insert all of whose references are to the other node, as a share of ``alone``."""
    hit_ns = costs.find(_COSTS).ps("hit") / 1000
    return 1 / (1 + alone * 1e-9 * _PAGES_PER_INSERT * hit_ns * (_REMOTE - 1))
