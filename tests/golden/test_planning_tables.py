"""The tables of sweeps and fleets as people see them."""

from typing import Any

from rich.console import Console

from epcgroup.plan.summary import fleet_table, summary_table


def shown(table: object) -> list[str]:
    console = Console(width=120, record=True)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


def row(series: str, seed: int, p99_ns: int | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    counted = {"requests_per_s": 1000.0, "stall_some": 0.0123, "loaded": 45_678, "evictions": 0, "refused": 0}
    return {
        "epc_bytes": 96 << 20,
        "series": series,
        "seed": seed,
        "pod": "kv",
        "p99_ns": p99_ns,
        **counted,
        **more,
    }


def test_repetitions_of_a_point_are_one_row() -> None:
    rows = [
        row("mainline", 1, 2_000_000),
        row("mainline", 2, 1_000_000),
        row("fair", 1, None),
        row("fair", 2, None),
    ]
    assert shown(summary_table(rows, ["epc", "series"])) == [
        " EPC    SERIES     POD   REQ/S            P99   STALL   LOADED   EVICTED   REFUSED",
        " ─────────────────────────────────────────────────────────────────────────────────",
        " 96Mi   fair       kv     1000              –    1.2%    45.7k         0         0",
        " 96Mi   mainline   kv     1000   1.50 ms ±33%    1.2%    45.7k         0         0",
    ]


def test_a_long_table_ends_with_what_is_left_out() -> None:
    rows = [row("fair", 1, 1000, epc_bytes=(i + 1) << 20) for i in range(60)]
    lines = shown(summary_table(rows, ["epc", "series"]))
    assert len(lines) == 2 + 48 + 1
    assert lines[2].startswith(" 1Mi ")
    assert lines[-1] == "… 12 more rows are in the file"


def test_a_fleet_is_a_row_a_series() -> None:
    figures: dict[str, Any] = {
        "requests": 33_000_000, "evictions": 845_000, "loaded": 772_000, "stall_some_mean": 0.000004,
        "stall_some_max": 0.000013, "p99_ns": 20_185_087, "p999_ns": None,
        "wait_per_request_beyond_ns": 767.0, "wait_per_request_within_ns": 79.0, "pods_hurt": 182,
        "pods_within": 468,
    }  # fmt: skip
    head, names, _, cells = shown(fleet_table({"mainline": figures}))
    assert head.split() == ["WAIT/REQ", "WAIT/REQ", "HURT"]
    assert names.split() == [
        "SERIES", "REQUESTS", "EVICTED", "LOADED", "STALL", "WORST", "NODE", "P99", "P99.9", "BEYOND",
        "WITHIN", "WITHIN",
    ]  # fmt: skip
    assert cells.split() == [
        "mainline", "33.0M", "845k", "772k", "0.0004%", "0.0013%", "20.2", "ms", "–", "767", "ns", "79", "ns",
        "182", "of", "468",
    ]  # fmt: skip
