"""Where measured figures are kept: the data files of the simulator, which this command writes."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.calibration.epc_costs import Costs
from benchmarks.calibration.figure import Figure, toml_of
from benchmarks.machine import describe

ROOT: Final = Path(__file__).resolve().parents[2]
DATA: Final = ROOT / "src" / "epcgroup" / "sim" / "data"
WORKLOADS_FILE: Final = DATA / "workloads.toml"
SOFTEPC_FILE: Final = DATA / "costs" / "softepc.toml"
COMMAND: Final = "python -m benchmarks.calibration --measure"

_WORKLOADS_COMMENT: Final = """What the programs of epcgroup.workloads cost, for their models.
Measured from the programs as they run in a roomy EPC (pages: in one of few pages); medians.
Times are processor time of the program (start_ns, and fill_* of kv: elapsed time)."""


def head() -> dict[str, Any]:
    """Return command, date and machine, for the head of a file."""
    machine = describe()
    return {
        "command": COMMAND,
        "date": datetime.date.today().isoformat(),
        **{key: machine[key] for key in ("cpu", "cpus", "memory_gib", "kernel", "python")},
    }


def write_workloads(tables: Mapping[str, Mapping[str, Figure]]) -> None:
    """Write what was measured of the programs."""
    WORKLOADS_FILE.parent.mkdir(parents=True, exist_ok=True)
    WORKLOADS_FILE.write_text(toml_of({}, head(), tables, _WORKLOADS_COMMENT))


_SOFTEPC_COMMENT: Final = """Measured on the live pager: what a program waits by its own clock, what the pager
works by the scheduler's account. Pager and programs on any processor of the machine, as in a run."""
_SOFTEPC_TOP: Final = {
    "title": "Software EPC: the pager of this project, one thread, pages sealed with AES-256-GCM",
    "ghz": 1.0,
    "serial": True,
    "on_demand": True,
}


def softepc_figures(costs: Costs) -> dict[str, Figure]:
    """Return the cost model of the software EPC, in the keys of ``sim/costs.py``."""
    return {
        "hit": _ns(costs.hit, "a touch of a page that is there, in C, two readings of the clock included"),
        "fault": _ns(costs.service, "the pager's processor time for a new page: message, engine, zeros"),
        "wake": _ns(
            costs.first_touch - costs.service, "what the program waits beyond that, by its own clock"
        ),
        "create": _ns(0, "part of the fault: the two cannot be told apart"),
        "load": _ns(
            max(costs.load_more, 0), "the pager's time for an evicted page beyond that for a new one: p50"
        ),
        "evict": _ns(
            costs.evict,
            "the pager's time for a page written out, from batches of 16 and small ones: p50",
        ),
        "scan": _ns(0, "part of the batch: all pages looked at are written out in the measurement"),
        "batch": _ns(costs.batch, "the pager's time for a batch, whatever its size"),
        "background": _ns(costs.batch, "as batch: the same thread takes the same steps"),
        "ecreate": _ns(costs.open_enclave, "an enclave of two pages opened, by the program's clock"),
        "add": _ns(costs.first_touch, "as a first touch: nothing is added before the start"),
    }


def _ns(value: float, what: str) -> Figure:
    return Figure(value, "ns", what)


def write_softepc(costs: Costs) -> None:
    """Write the cost model of the software EPC."""
    SOFTEPC_FILE.write_text(
        toml_of(_SOFTEPC_TOP, head(), {"costs": softepc_figures(costs)}, _SOFTEPC_COMMENT)
    )
