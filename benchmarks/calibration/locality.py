"""Are the models as local as the programs? Faults a request in few pages, live and simulated.

The group holds a part of the pages only, first in first out, so the faults of a request tell how its
references are spread; costs and neighbours play no part.
"""

from dataclasses import dataclass
from typing import Final

from benchmarks.calibration.bench import running
from benchmarks.calibration.workload_costs import watched
from epcgroup.node.workload_models import model_of
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import POD_COLUMNS
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Scenario
from epcgroup.units import PAGE_SIZE, parse_size

_LIMIT_PAGES: Final = 1024
_EPC: Final = "128Mi"
_SECONDS: Final = 3.0
_VIRTUAL_NS: Final = 20 * 10**9
#: Workload and arguments: the store with values of a quarter of a page, a page and 15 pages; the tree.
PROGRAMS: Final = (
    ("kv", "--size", "16Mi", "--value-size", "1000", "--rate", "1500"),
    ("kv", "--size", "16Mi", "--value-size", "4000", "--rate", "1000"),
    ("kv", "--size", "16Mi", "--items", "200", "--value-size", "60000", "--rate", "400"),
    ("btree", "--size", "12Mi", "--keys", "500000", "--insert-ratio", "0", "--rate", "1500"),
)


@dataclass(frozen=True, slots=True)
class Locality:
    """Faults a request of one program."""

    words: tuple[str, ...]
    live: float
    simulated: float


def live(words: tuple[str, ...]) -> float:
    """Return faults a request on the pager."""
    with running(words, limit_pages=_LIMIT_PAGES, epc=_EPC) as program:
        return watched(program, _SECONDS)[1]


def simulated(words: tuple[str, ...]) -> float:
    """Return faults a request in virtual time, in the second half of a run."""
    program, limit = model_of(words[0], words[1:]).program, _LIMIT_PAGES * PAGE_SIZE
    pod = PodSpec(words[0], (ContainerSpec("program", program, limit),), limit_bytes=limit)
    result = simulate(Scenario(parse_size(_EPC), (pod,), _VIRTUAL_NS, costs="softepc", policy="fifo"))
    faults, requests = (result.pods[:, 0, POD_COLUMNS.index(name)] for name in ("faults", "requests"))
    middle = len(faults) // 2
    return float((faults[-1] - faults[middle]) / (requests[-1] - requests[middle]))


def localities() -> list[Locality]:
    """Return all programs."""
    print("locality of the models ...", flush=True)
    return [Locality(words, live(words), simulated(words)) for words in PROGRAMS]
