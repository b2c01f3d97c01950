"""The one registry of what can be shown: title, unit and format of every field.

The table, the JSON and the report take a field's name, title and format from here and nowhere else.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from epcgroup.units import format_size


@dataclass(frozen=True, slots=True)
class Field:
    """One figure of a pod.

    Attributes:
        name: attribute of ``figures.PodFigures`` and key in JSON.
        title: for a heading.
        unit: ``bytes``, ``ns``, ``rate`` (per second), ``count``, ``share`` (of 1), ``text`` or
            ``shares``.
        meaning: one sentence for the report.
    """

    name: str
    title: str
    unit: str
    meaning: str

    def text(self, value: object) -> str:
        """Return a value as people read it; ``–`` for none."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return "–"
        if isinstance(value, Mapping):
            return format_shares(value)
        if not isinstance(value, int | float):
            return str(value)
        return {
            "bytes": lambda: format_size(int(value)),
            "ns": lambda: format_ns(value),
            "rate": lambda: format_count(value),
            "count": lambda: format_count(value),
            "share": lambda: format_share(value),
        }.get(self.unit, lambda: str(value))()


def format_ns(value_ns: float) -> str:
    """Return a duration with three digits: ``840 ns``, ``12.3 µs``, ``1.52 ms``, ``2.1 s``."""
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value_ns >= scale:
            return f"{_three_digits(value_ns / scale)} {unit}"
    return f"{value_ns:.0f} ns"


def format_share(value: float) -> str:
    """Return a share of one as per cent: ``0 %``, ``0.3 %``, ``62 %``."""
    digits = 1 if 0.0005 <= value < 0.0995 else 0
    return f"{value * 100:.{digits}f} %"


def format_count(value: float) -> str:
    """Return a number with three digits: ``0``, ``0.4``, ``973``, ``12.3k``, ``1.2M``."""
    for suffix, scale in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= scale:
            return _three_digits(value / (1e3 if suffix == "k" else scale)) + suffix
    return f"{value:.0f}" if value == round(value) or abs(value) >= 10 else f"{value:.1f}"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def format_shares(shares: Mapping[str, float]) -> str:
    """Return who did how much of it: ``greedy-a 62 %, ksgxd 38 %``; the largest two."""
    total = sum(shares.values())
    if total < 0.5:
        return "–"
    largest = sorted(shares.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{name} {value / total:.0%}".replace("%", " %") for name, value in largest if value > 0)


_ALL: Final = (
    Field("pod", "POD", "text", "Name of the pod."),
    Field("phase", "PHASE", "text", "Pending, Running, Succeeded or Failed."),
    Field("claim_bytes", "CLAIM", "bytes", "EPC the pod claims, as the scheduler counts it."),
    Field("limit_bytes", "LIMIT", "bytes", "misc.max of its group: what is enforced."),
    Field("current_bytes", "CURRENT", "bytes", "EPC charged to the pod at the end of the window."),
    Field("current_max_bytes", "HELD", "bytes", "Most EPC charged to the pod at a time in the window."),
    Field("peak_bytes", "PEAK", "bytes", "Highest charge since the pod was made, from its group's file."),
    Field("over_limit_pages", "OVER", "count", "Pages by which the peak exceeds the limit."),
    Field("faults_per_s", "FAULTS/s", "rate", "Page faults served."),
    Field("evictions_per_s", "EVICT/s", "rate", "Pages of this pod written out of the EPC."),
    Field("evicted_by", "EVICTED BY", "shares", "On whose behalf they were written out."),
    Field("operations", "OPS", "count", "Operations done in the window."),
    Field("operations_per_s", "OPS/s", "rate", "Operations done a second."),
    Field("p50_ns", "P50", "ns", "Median latency of an operation."),
    Field("p99_ns", "P99", "ns", "99th percentile of the latency, from merged histograms."),
    Field("p999_ns", "P99.9", "ns", "99.9th percentile of the latency."),
    Field("verified_bytes", "VERIFIED", "bytes", "Bytes of enclave memory read back and compared."),
    Field("checksum_errors", "CHECKSUM ERRORS", "count", "Comparisons that failed."),
    Field("errors", "ERRORS", "count", "Operations that failed."),
    Field("evicted_bytes", "OUT", "bytes", "Written out and not back at the end of the window."),
    Field("loads_per_s", "LOADS/s", "rate", "Pages brought back into the EPC."),
    Field("stall_some", "STALL", "share", "Share of the time in which a program of the pod waited for EPC."),
    Field("stall_full", "FULL", "share", "Share of the time in which all of its programs that had work did."),
    Field("oom_kills", "KILLS", "count", "Enclaves killed for want of EPC since the pod was made (epc.oom)."),
    Field("reason", "REASON", "text", "Why the pod failed, in one word."),
)

#: Name → field.
FIELDS: Final[Mapping[str, Field]] = {field.name: field for field in _ALL}
#: Columns of the live table.
TABLE: Final = (
    "pod", "phase", "claim_bytes", "limit_bytes", "current_bytes", "peak_bytes", "faults_per_s",
    "evictions_per_s", "evicted_by", "operations_per_s", "p99_ns",
)  # fmt: skip
#: Columns of the table after a simulation.
SIMULATED: Final = (
    "pod", "phase", "claim_bytes", "limit_bytes", "current_bytes", "evicted_bytes", "faults_per_s",
    "loads_per_s", "evicted_by", "stall_some", "stall_full", "operations_per_s", "p50_ns", "p99_ns",
    "p999_ns",
)  # fmt: skip
#: Further columns, shown where a pod has something there.
IF_ANY: Final = ("oom_kills", "reason")
#: The same where the terminal is narrow.
NARROW_TABLE: Final = ("pod", "claim_bytes", "current_bytes", "evictions_per_s", "operations_per_s", "p99_ns")
#: Narrower than this is narrow, in characters.
WIDE: Final = 112
#: The same for the table after a simulation.
SIMULATED_WIDE: Final = 168


def with_troubles(columns: Sequence[str], rows: Iterable[object]) -> tuple[str, ...]:
    """Return columns, and those of ``IF_ANY`` in which a row (``figures.PodFigures``) has something."""
    seen = list(rows)
    return (*columns, *(name for name in IF_ANY if any(getattr(row, name) for row in seen)))


def text(name: str, value: object) -> str:
    """Return the value of the field ``name`` as people read it."""
    return FIELDS[name].text(value)
