"""A result over virtual time, for JSON: one list a figure, one value a sample.

Counters count from the start; latency percentiles are those of the requests answered since the sample before.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from epcgroup.observe.figures import MACHINE
from epcgroup.plan.measure import percentiles
from epcgroup.sim.result import NODE_COLUMNS, PHASES, POD_COLUMNS, Result


def samples_json(result: Result) -> dict[str, Any]:
    """Return times, figures of the node and figures of each pod."""
    names = [pod.name for pod in result.scenario.pods]
    return {
        "t_ns": result.times_ns.tolist(),
        "node": {name: result.node[:, index].tolist() for index, name in enumerate(NODE_COLUMNS)},
        "pods": {name: _pod(result, row, [*names, MACHINE]) for row, name in enumerate(names)},
    }


def _pod(result: Result, row: int, culprits: list[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        name: result.pods[:, row, index].tolist() for index, name in enumerate(POD_COLUMNS)
    }
    figures["phase"] = [PHASES[phase] for phase in figures["phase"]]
    evicted = result.reclaimed_by[:, row]
    figures["evicted_by"] = {
        name: evicted[:, column].tolist() for column, name in enumerate(culprits) if evicted[-1, column]
    }
    return figures | _latency(result.latency[:, row])


def _latency(counts: NDArray[np.int64]) -> dict[str, list[float | None]]:
    """Percentiles of each sample's own requests; None where none was answered."""
    each = [percentiles(own) for own in np.diff(counts, axis=0, prepend=0)]
    return {name: [one[name] for one in each] for name in each[0]}
