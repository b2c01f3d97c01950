"""Concurrent writers under constant eviction: no update may be lost; a naive method must lose some.

usage: python -m benchmarks.soak [--evictions N] [--control-seconds S]

Writers are C threads (no interpreter lock); a single writer would sleep while its page is taken and prove
nothing. Needs gcc.
"""

import argparse
import os
import sys
from typing import Any

from benchmarks.machine import write_result
from benchmarks.native_build import have_compiler
from benchmarks.rig import run_ours

THREADS, NR_PAGES, LIMIT_PAGES, HOT_PAGES = 8, 1024, 256, 64
ROUND_SECONDS = 10.0


def one_round(
    *,
    evict: str = "splice",
    ager: str = "fifo",
    module: str = "epcgroup.pager",
    seconds: float = ROUND_SECONDS,
) -> dict[str, Any]:
    """Run the writers once; return operations, lost updates, final mismatches and the pager's evictions."""
    cpus = sorted(os.sched_getaffinity(0))
    pager = ["--ager", ager] + (["--evict", evict] if module == "epcgroup.pager" else [])
    answer, statistics = run_ours(
        [
            *("--pages", str(NR_PAGES), "--stress-threads", str(THREADS)),
            *("--hot-pages", str(HOT_PAGES), "--seconds", str(seconds)),
        ],
        limit_pages=LIMIT_PAGES,
        cpus=(cpus, cpus),
        pager=pager,
        module=module,
    )
    return {
        **answer,
        "evictions": statistics["nr_evictions"],
        "duplicates": statistics["nr_duplicates"],
        "bypass": statistics["nr_bypass"],
        "removed": statistics["nr_removed"],
        "young": statistics["nr_young"],
        "evict": statistics["evict"],
        "ager": ager,
    }


def _show(title: str, row: dict[str, Any]) -> None:
    print(
        f"{title:<24} {row['operations']:>10} operations {row['evictions']:>8} evictions"
        f" {row['lost']:>5} lost {row['mismatch']:>5} mismatches",
        flush=True,
    )


def until(evictions: int) -> list[dict[str, Any]]:
    """Run rounds, each method with each ager at least once, until so many evictions were made.

    Stops at a lost update.
    """
    rows: list[dict[str, Any]] = []
    variants = [("splice", "fifo"), ("splice", "refault"), ("wp", "fifo"), ("wp", "refault")]
    while len(rows) < len(variants) or sum(row["evictions"] for row in rows) < evictions:
        evict, ager = variants[len(rows) % len(variants)]
        rows.append(one_round(evict=evict, ager=ager))
        _show(f"{evict}, ager {ager}", rows[-1])
        if rows[-1]["lost"] or rows[-1]["mismatch"]:
            break
    return rows


def control(seconds: float) -> dict[str, Any]:
    """Run the naive method until it loses an update or the time is up; it is a matter of chance."""
    spent = 0.0
    while True:
        row = one_round(module="benchmarks.naive_pager", seconds=min(ROUND_SECONDS, seconds))
        _show("naive (control)", row)
        spent += ROUND_SECONDS
        if row["lost"] or row["mismatch"] or spent >= seconds:
            return row


def main() -> int:
    """Soak, write ``results/soak.json``; exit 1 when an update was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evictions", type=int, default=500_000)
    parser.add_argument("--control-seconds", type=float, default=60.0)
    args = parser.parse_args()
    if not have_compiler():
        print("the soak needs gcc for writers without an interpreter lock (Debian: apt install gcc)")
        return 2
    naive = control(args.control_seconds)
    rows = until(args.evictions)
    lost = sum(row["lost"] + row["mismatch"] for row in rows)
    evictions = sum(row["evictions"] for row in rows)
    figures = {
        "evictions": evictions,
        "lost_updates": lost,
        "control_evictions": naive["evictions"],
        "control_lost_updates": naive["lost"] + naive["mismatch"],
        "rounds": rows,
    }
    print(f"{evictions} evictions, {lost} lost updates; written to {write_result('soak', figures).name}")
    if not figures["control_lost_updates"]:
        print("note: the naive control lost nothing this time; it is a matter of chance, run it again")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
