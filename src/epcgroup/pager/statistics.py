"""What the pager counts. Reading is cheap for who asks and free for who serves: plain attributes and arrays.

Times are nanoseconds of the pager, from the message read to the page in place; the kernel's own part of a
fault and the wake-up of the thread come on top.
"""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

#: Short durations are counted in steps of 64 ns, one list item each: that is all a fault has time for.
FINE_SHIFT: Final = 6
NR_FINE: Final = 2048
#: Buckets of a power of two, for long durations; a value is known to one part in 32.
_SUB_BITS: Final = 5
_NR_COARSE: Final = 64 << _SUB_BITS


class Histogram:
    """Counts of durations in ns: linear to 131 us, then log-linear with a relative error of at most 1/32.

    ``fine`` may be counted in directly; ``IndexError`` means that the duration is a long one, for ``add``.
    """

    __slots__ = ("_coarse", "fine")

    def __init__(self, fine: "memoryview[int] | None" = None) -> None:
        self.fine = [0] * NR_FINE if fine is None else fine
        self._coarse = array("Q", bytes(8 * _NR_COARSE))

    def add(self, value_ns: int) -> None:
        """Count a duration."""
        try:
            self.fine[value_ns >> FINE_SHIFT] += 1
        except IndexError:
            shift = value_ns.bit_length() - _SUB_BITS - 1
            self._coarse[(shift << _SUB_BITS) + (value_ns >> shift)] += 1

    @property
    def total(self) -> int:
        """How many durations were counted."""
        return sum(self.fine) + sum(self._coarse)

    def percentile(self, percent: float) -> int:
        """Return the duration, in ns, that ``percent`` of those counted do not exceed; 0 without any."""
        wanted = self.total * percent / 100
        seen = 0
        for bucket, count in enumerate(self.fine):
            seen += count
            if count and seen >= wanted:
                return ((bucket + 1) << FINE_SHIFT) - 1
        for bucket, count in enumerate(self._coarse):
            seen += count
            if count and seen >= wanted:
                return _highest(bucket)
        return 0

    def summary(self) -> dict[str, int]:
        """Return count, p50 and p99 (ns)."""
        return {
            "count": self.total,
            "p50_ns": self.percentile(50),
            "p99_ns": self.percentile(99),
        }


def _highest(bucket: int) -> int:
    """Largest value that falls into a coarse bucket."""
    shift = (bucket >> _SUB_BITS) - 1
    return (((bucket - (shift << _SUB_BITS)) + 1) << shift) - 1


@dataclass(slots=True)
class Statistics:
    """All counters of one pager."""

    #: Durations by what a fault needed: zeros, an opened seal, a parked page; ``reclaim``: it paid for a
    #: batch.
    zero: Histogram = field(default_factory=Histogram)
    load: Histogram = field(default_factory=Histogram)
    soft: Histogram = field(default_factory=Histogram)
    reclaim: Histogram = field(default_factory=Histogram)
    nr_duplicates: int = 0
    nr_retries: int = 0
    nr_batches: int = 0
    nr_background_batches: int = 0
    nr_evictions: int = 0
    nr_young: int = 0
    nr_parked: int = 0
    nr_store_full: int = 0
    nr_bypass: int = 0
    nr_removed: int = 0
    nr_audits: int = 0
    nr_protocol_errors: int = 0
    nr_enclaves: int = 0
    nr_kills: int = 0
    poisoned: Counter[str] = field(default_factory=Counter)
    #: By group: touches of parked pages, and the time faults of the group waited for room, in ns.
    soft_by_group: Counter[int] = field(default_factory=Counter)
    stall_ns_by_group: Counter[int] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, object]:
        """Return everything but the by-group counters, for the control reply."""
        faults = {name: getattr(self, name).summary() for name in ("zero", "load", "soft", "reclaim")}
        counts = {name: getattr(self, name) for name in self.__slots__ if name.startswith("nr_")}
        return {"faults": faults, **counts, "poisoned": dict(self.poisoned)}
