"""Series: each behaviour of the EPC manager as data, constants and named switches.

The compiled code never asks "which version": it reads one word of ``state.machine`` for each field below.
Sources are the sections of the behaviours' description: V2 = posting of December 2022 (18 patches), V17 =
posting of August 2024 (16 patches), ML = mainline without EPC cgroups. ``fair`` is ours; docs/series.md
lists its deviations.
"""

from dataclasses import astuple, dataclass, fields
from typing import Final

from epcgroup.errors import UsageError
from epcgroup.state.layout import NR_TUNABLES, TUNABLES

#: Values of ``Series.walk``: one list | one group a step, round robin | shared walk over several groups.
WALK_ONE_LIST, WALK_ROUND_ROBIN, WALK_SHARED = range(3)


@dataclass(frozen=True, slots=True)
class Series:
    """Constants and switches of one behaviour; every field is stored as one int64 word."""

    #: Pages scanned by one pass (SGX_NR_TO_SCAN). Larger: fewer passes and ETRACKs, longer waits for a batch,
    #: a coarser second chance.
    nr_to_scan: int = 16
    #: ksgxd is woken, and direct reclaim runs, below so many free pages (SGX_NR_LOW_PAGES). Larger: faults on
    #: a full machine wait for a batch less often, so many pages are never used.
    nr_low: int = 32
    #: ksgxd sleeps again at so many free pages (SGX_NR_HIGH_PAGES). Larger: it works longer and more rarely,
    #: and pages leave that a full machine would still have held.
    nr_high: int = 64
    #: Pages written by one pass at most (V2: SGX_MAX_NR_TO_RECLAIM 32); the rest rotates without an age test.
    #: Smaller than a scan: old pages get a second chance they did not earn (B9).
    nr_max_written: int = 64
    #: V2: bounds of a pass's scan (SGX_EPC_RECLAIM_MIN_PAGES, ..._MAX_PAGES). Larger minimum: more room
    #: is made at each refusal; larger maximum: fewer, longer passes to a limit far below the usage.
    nr_min_scan: int = 16
    nr_max_scan: int = 16
    #: V17: the worker stops so many pages below a limit above ``nr_margin_from`` (SGX_CG_MIN_FREE_PAGE).
    #: Larger: fewer faults meet the limit, so much of the limit is never used.
    nr_margin: int = 32
    #: V17: the margin applies to limits above so many pages (SGX_CG_LOW_LIMIT). Smaller: small groups lose a
    #: larger part of what they may hold.
    nr_margin_from: int = 128
    #: V2: empty passes before giving up, failed passes before ages are ignored (both thresholds are 5).
    #: Larger: an allocation tries longer before ENOMEM, a limit write longer before it kills.
    nr_empty_passes: int = 0
    nr_failed_passes: int = 1 << 30
    #: How a pass walks; see WALK_*.
    walk: int = WALK_ROUND_ROBIN
    #: Charges are refused at limits and at the capacity. Off in mainline, which only counts for our eyes.
    enforced: int = 1
    #: A refused charge of a task in the root is ignored (V2 B3).
    root_never_refused: int = 0
    #: Limit and capacity are compared as signed numbers, a negative sum is refused (misc.c before July 2023).
    signed_counters: int = 0
    #: misc.events of the root rises too and there is no local counter (misc.c before July 2024).
    events_to_root: int = 0
    #: misc.peak and misc.events.local exist, and misc.current in the root.
    has_peak: int = 1
    #: The misc controller knows the resource sgx_epc at all.
    has_resource: int = 1
    #: An allocation with an empty list below it fails at once (V17, ML); off: retries (V2) or busy (V2
    #: faults).
    empty_is_refused: int = 1
    #: A pending signal is looked at before "may not reclaim" (V2, V17 S3).
    signal_first: int = 1
    #: Allocations of a fault may reclaim themselves.
    fault_reclaims: int = 0
    #: The group that refused is reclaimed with all below it, a full machine from the root (repairs S2, S8).
    reclaims_refuser: int = 0
    #: A charge that leaves little room below a limit queues the item of that level (repairs S1).
    queues_near_limit: int = 0
    #: Writing misc.max: nothing (V17) | reclaim and kill in the writer's context (V2) | queue the item.
    write_reclaims: int = 0
    write_queues: int = 0
    #: SGX2 calls reclaim in advance in the group near its limit (V17).
    group_direct: int = 0
    #: V2: pages that cannot be reclaimed stand on a second list; the oldest owner is the victim of a kill.
    keeps_unreclaimable: int = 0
    #: A poisoned page in use leaves its list (fix of 2025 in mainline).
    poison_unlists: int = 0
    #: Pages made on demand lack the mark the scan asks for and block it (V2 B1).
    unmarked_blocks: int = 0
    #: SGX2 by default in a trace (a property of the recording, kept here beside the rest).
    sgx2: int = 1
    #: A pass looks first at groups near a limit, and spares groups below epc.low.
    prefers_over: int = 0
    #: The extra controls of ours exist: epc.high, epc.low, epc.reclaim, epc.oom, epc.kills.
    has_soft_limits: int = 0
    #: A removed group vanishes from listings at once, whatever is charged to it.
    removed_vanish: int = 0
    #: A VA page is due only when the slots run out; off: at every multiple of 512 pages, spare ones or not.
    va_when_needed: int = 0
    #: Scanning everything so many times without writing a page out ends an allocation, an item, a round of
    #: ksgxd (backing store full, all pages in constant use). 0 = never, as in the kernel. 1 would refuse when
    #: every page was touched once since the last look; larger: more work before the same answer.
    nr_patience_rounds: int = 0
    #: An enclave whose SECS, VA pages and one page more can never fit below a limit is refused when created.
    admits_by_floor: int = 0


#: Names of the words, in the order of ``machine[TUNABLES:]``.
FIELDS: Final = tuple(field.name for field in fields(Series))

(
    NR_TO_SCAN,
    NR_LOW,
    NR_HIGH,
    NR_MAX_WRITTEN,
    NR_MIN_SCAN,
    NR_MAX_SCAN,
    NR_MARGIN,
    NR_MARGIN_FROM,
    NR_EMPTY_PASSES,
    NR_FAILED_PASSES,
    WALK,
    ENFORCED,
    ROOT_NEVER_REFUSED,
    SIGNED_COUNTERS,
    EVENTS_TO_ROOT,
    HAS_PEAK,
    HAS_RESOURCE,
    EMPTY_IS_REFUSED,
    SIGNAL_FIRST,
    FAULT_RECLAIMS,
    RECLAIMS_REFUSER,
    QUEUES_NEAR_LIMIT,
    WRITE_RECLAIMS,
    WRITE_QUEUES,
    GROUP_DIRECT,
    KEEPS_UNRECLAIMABLE,
    POISON_UNLISTS,
    UNMARKED_BLOCKS,
    SGX2_DEFAULT,
    PREFERS_OVER,
    HAS_SOFT_LIMITS,
    REMOVED_VANISH,
    VA_WHEN_NEEDED,
    NR_PATIENCE_ROUNDS,
    ADMITS_BY_FLOOR,
) = range(TUNABLES, TUNABLES + len(FIELDS))

SERIES: Final = {
    "mainline": Series(
        walk=WALK_ONE_LIST,
        enforced=0,
        has_resource=0,
        signal_first=0,
        poison_unlists=1,
        removed_vanish=1,
    ),
    "v2": Series(
        nr_max_written=32,
        nr_max_scan=64,
        nr_empty_passes=5,
        nr_failed_passes=5,
        walk=WALK_SHARED,
        root_never_refused=1,
        signed_counters=1,
        events_to_root=1,
        has_peak=0,
        empty_is_refused=0,
        write_reclaims=1,
        keeps_unreclaimable=1,
        unmarked_blocks=1,
        sgx2=0,
    ),
    "v17": Series(group_direct=1),
    "fair": Series(
        signal_first=0,
        fault_reclaims=1,
        reclaims_refuser=1,
        queues_near_limit=1,
        write_queues=1,
        group_direct=1,
        prefers_over=1,
        has_soft_limits=1,
        va_when_needed=1,
        nr_patience_rounds=2,
        admits_by_floor=1,
    ),
}


def find(name: str) -> Series:
    """Return the series of that name.

    Raises:
        UsageError: no such series.
    """
    if name not in SERIES:
        raise UsageError(f"no series {name!r}: one of {', '.join(SERIES)}")
    return SERIES[name]


def words(series: Series) -> list[int]:
    """Return the words of a series in the order of ``machine[TUNABLES:]``."""
    values = list(astuple(series))
    return values + [0] * (NR_TUNABLES - len(values))
