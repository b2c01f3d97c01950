"""The verdict: every rule can be met and can be missed."""

from dataclasses import replace
from typing import Any

import pytest
from observe_samples import MIB

from epcgroup.observe.figures import PodFigures
from epcgroup.observe.verdict import Runs, Verdict, judge

FIGURES = PodFigures(
    pod="kv", phase="Running", claim_bytes=8 * MIB, limit_bytes=8 * MIB, current_bytes=4 * MIB,
    current_max_bytes=4 * MIB, peak_bytes=4 * MIB, over_limit_pages=0, faults_per_s=0.0, evictions_per_s=0.0,
    evicted_by={}, operations=1000, operations_per_s=100.0, p50_ns=1e5, p99_ns=1e6, p999_ns=1e6,
    verified_bytes=1 << 30, checksum_errors=0, errors=0,
)  # fmt: skip
GREEDY = replace(FIGURES, pod="scan", peak_bytes=24 * MIB)


def verdict(
    *, roomy: dict[str, Any] | None = None, unenforced: dict[str, Any] | None = None,
    enforced: dict[str, Any] | None = None, greedy: dict[str, Any] | None = None, nr_failed: int = 0,
) -> Verdict:  # fmt: skip
    """The verdict over a victim that is protected and hurt, and a greedy pod, with some figures replaced."""
    hurt = {"operations_per_s": 30.0, "p99_ns": 9e7} | (unenforced or {})
    return judge(
        Runs(
            {"kv": replace(FIGURES, **(roomy or {})), "scan": GREEDY},
            {"kv": replace(FIGURES, **hurt), "scan": GREEDY},
            {"kv": replace(FIGURES, **(enforced or {})), "scan": replace(GREEDY, **(greedy or {}))},
            nr_failed,
        )
    )


def test_protected_and_hurt_is_isolated() -> None:
    result = verdict(greedy={"peak_bytes": 8 * MIB, "over_limit_pages": 32})
    assert result.verdict == "isolated"
    assert all(check.ok for check in result.checks)
    kv, scan = result.pods
    assert (kv.role, kv.states) == ("victim", ("protected", "hurt without limits"))
    assert (scan.role, scan.states) == ("greedy", ("held to its limit",))
    assert "3.0 times its claim of 8Mi" in scan.sentence


@pytest.mark.parametrize(
    ("changes", "expected", "missed"),
    [
        ({"enforced": {"operations_per_s": 89.0}}, "not-isolated", "kv: operations/s enforced / roomy"),
        ({"enforced": {"p99_ns": 1.6e6}}, "not-isolated", "kv: p99 enforced / roomy"),
        ({"enforced": {"p99_ns": None}}, "not-isolated", "kv: p99 enforced / roomy"),
        ({"greedy": {"over_limit_pages": 33}}, "not-isolated", "scan: pages over its limit"),
        ({"unenforced": {"operations_per_s": 95.0, "p99_ns": 2e6}}, "no-interference",
         "kv: p99 not enforced / roomy"),
        ({"nr_failed": 1}, "failed", "pods failed"),
        ({"enforced": {"checksum_errors": 1}}, "failed", "checksum errors"),
        ({"enforced": {"verified_bytes": 0}}, "failed", "programs that verified nothing"),
        ({"roomy": {"evictions_per_s": 0.5}}, "failed", "roomy: evictions/s"),
    ],
)  # fmt: skip
def test_every_bound_can_be_missed(changes: dict[str, Any], expected: str, missed: str) -> None:
    result = verdict(**changes)
    assert result.verdict == expected
    assert [check.name for check in result.checks if not check.ok] == [missed]
    assert result.meaning


@pytest.mark.parametrize(
    "unenforced",
    [{"operations_per_s": 50.0, "p99_ns": 1e6}, {"operations_per_s": 99.0, "p99_ns": 5e6},
     {"operations_per_s": 0.0, "p99_ns": None}],
)  # fmt: skip
def test_a_victim_is_hurt_by_either(unenforced: dict[str, Any]) -> None:
    assert verdict(unenforced=unenforced).verdict == "isolated"


def test_a_pod_without_operations_is_not_judged() -> None:
    silent = {"operations_per_s": None, "operations": 0, "p99_ns": None}
    result = verdict(roomy=silent, unenforced=silent, enforced=silent)
    assert result.verdict == "nothing-to-judge"
    assert result.pods[0].role == "silent"


def test_a_greedy_pod_without_a_claim() -> None:
    none = replace(GREEDY, claim_bytes=0, limit_bytes=0)
    result = judge(Runs({"scan": none}, {"scan": none}, {"scan": none}))
    assert result.pods[0].role == "greedy"
    assert result.verdict == "nothing-to-judge"


def test_checks_for_json() -> None:
    checks = [check.to_json() for check in verdict().checks]
    assert {
        "name": "kv: operations/s enforced / roomy",
        "value": 1.0,
        "bound": ">= 0.9",
        "ok": True,
    } in checks
