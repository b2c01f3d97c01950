"""The reply to the control request ``statistics``: what the pager knows of itself, as one JSON object."""

from typing import TYPE_CHECKING, Any

from epcgroup.pager import footprint
from epcgroup.pager.store import SLOT_BYTES
from epcgroup.state import files

if TYPE_CHECKING:
    from epcgroup.pager.pager import Pager


def report(pager: "Pager") -> dict[str, Any]:
    """Return the statistics; sizes in bytes, times in ns unless named otherwise."""
    return {
        **pager.describe(),
        **pager.statistics.to_dict(),
        "spin_us": pager.loop.spin_ns // 1000,
        "nr_compilations": pager.compilations.nr if pager.compilations else 0,
        "nr_free_pages": pager.epc.nr_free,
        "nr_live_enclaves": len(pager.enclaves),
        "nr_dropped_log_lines": pager.log.nr_dropped,
        "resident_bytes": footprint.resident_bytes(),
        "store": _store(pager),
        "groups": {path: _group(pager, path) for path in pager.epc.paths()},
    }


def _store(pager: "Pager") -> dict[str, int]:
    return {
        "limit_bytes": pager.budget.nr_slots * SLOT_BYTES,
        "stored_bytes": pager.budget.stored_bytes,
        "parked_pages": sum(enclave.nr_parked for enclave in pager.enclaves.values()),
        "mapped_pages": sum(enclave.nr_mapped for enclave in pager.enclaves.values()),
    }


def _group(pager: "Pager", path: str) -> dict[str, Any]:
    """Figures of one group: epc.stat is that of the group with all below it, the rest its own."""
    number = pager.epc.lookup(path)
    figures = files.statistics(pager.epc.state, number)
    return {
        **{
            key: figures[key]
            for key in ("faults", "loaded", "created", "reclaimed", "refaults", "stall_usec")
        },
        "soft": pager.statistics.soft_by_group[number],
        "stall_ns": pager.statistics.stall_ns_by_group[number],
        "reclaimed_by": pager.attribution.of_victim(number, pager.epc.path_of),
    }
