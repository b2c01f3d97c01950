"""Figures over a window: rates from totals, percentiles from histograms, warm-up left out."""

import pytest
from observe_samples import MIB, NS, group, recording, report, target

from epcgroup.observe.figures import Window, evicted_by, figures, operations_at
from epcgroup.observe.sample import Recording, Sample
from epcgroup.observe.series import held_bytes, program_lines


def test_rates_are_differences_of_totals() -> None:
    made = recording("kv")
    seen = figures(made, made.targets[0], Window(2 * NS, 10 * NS))
    assert seen.faults_per_s == pytest.approx(100)
    assert seen.operations_per_s == pytest.approx(50)
    assert (seen.operations, seen.phase, seen.current_bytes) == (400, "Running", 4 * MIB)
    assert seen.verified_bytes == 4096


def test_the_window_may_lie_between_reports() -> None:
    made = recording("kv")
    seen = figures(made, made.targets[0], Window(round(2.3 * NS), round(7.9 * NS)))
    assert seen.operations_per_s == pytest.approx(50)


def test_loading_is_not_work() -> None:
    made = recording("kv")
    seen = figures(made, made.targets[0], Window(0, 10 * NS))
    assert seen.operations == 450
    assert seen.operations_per_s == pytest.approx(50)
    made.reports["/kubepods/kv/main"] = [report(t, 25, phase="load") for t in range(10)]
    assert figures(made, made.targets[0], Window(0, 10 * NS)).operations_per_s is None


def test_percentiles_leave_warm_up_out() -> None:
    made = recording("kv")
    slow = [report(0, 0), report(1, 100, 10**9)]
    for second in range(2, 11):
        fast = report(second, 100 * (second - 1), 1000)
        fast.latency.merge(slow[-1].latency)
        slow.append(fast)
    made.reports["/kubepods/kv/main"] = slow
    assert figures(made, made.targets[0], Window(0, 10 * NS)).p99_ns == pytest.approx(10**9, rel=0.02)
    assert figures(made, made.targets[0], Window(NS, 10 * NS)).p99_ns == pytest.approx(1000, rel=0.02)


def test_a_stalled_program_slows_its_rate_but_a_late_report_does_not() -> None:
    made = recording("kv")
    lines = made.reports["/kubepods/kv/main"]
    stalled = [line for line in lines if line.t_ns <= 6 * NS]
    made.reports["/kubepods/kv/main"] = stalled
    seen = figures(made, made.targets[0], Window(2 * NS, 10 * NS))
    assert seen.operations_per_s == pytest.approx(25)
    seen = figures(made, made.targets[0], Window(2 * NS, round(6.4 * NS)))
    assert seen.operations_per_s == pytest.approx(50)


def test_a_program_that_is_done_counts_until_then() -> None:
    made = recording("kv")
    lines = [line for line in made.reports["/kubepods/kv/main"] if line.t_ns < 6 * NS]
    made.reports["/kubepods/kv/main"] = [*lines, report(6, 300, phase="done")]
    assert figures(made, made.targets[0], Window(2 * NS, 10 * NS)).operations_per_s == pytest.approx(50)


def test_interpolation_at_the_edges() -> None:
    lines = [report(1, 100), report(2, 200)]
    assert [operations_at(lines, round(t * NS)) for t in (0.5, 1, 1.25, 2, 9)] == [0, 100, 125, 200, 200]


def test_who_evicted_whom_is_the_difference_and_names_pods() -> None:
    made = Recording((target("a"), target("b")), 0)
    for second, pages in ((0, 10), (5, 70)):
        groups = {
            "/kubepods/a/main": group(second, b=pages, machine=pages, gone=pages, a=10),
            "/kubepods/b/main": group(second),
        }
        made.samples.append(Sample(second * NS, groups))
    matrix = evicted_by(made, made.samples)
    assert matrix == {"a": {"b": 60, "ksgxd": 60, "/kubepods/gone": 60}, "b": {}}
    assert evicted_by(made, []) == {"a": {}, "b": {}}


def test_pages_over_the_limit_count_for_pod_and_container() -> None:
    made = recording("kv")
    made.samples[-1] = Sample(
        10 * NS, {"/kubepods/kv": group(10), "/kubepods/kv/main": group(10, held=8 * MIB + 4096 * 3 - 1)}
    )
    assert figures(made, made.targets[0], Window(0, 10 * NS)).over_limit_pages == 3


def test_nothing_seen_gives_figures_all_the_same() -> None:
    made = Recording((target("kv"),), 0)
    seen = figures(made, made.targets[0], Window(0, NS))
    assert (seen.current_bytes, seen.faults_per_s, seen.operations_per_s, seen.p99_ns) == (0, 0, None, None)
    assert seen.to_json()["limit_bytes"] is None


def test_an_endless_run_keeps_only_the_recent_past() -> None:
    made = recording("kv", seconds=100)
    made.forget_before(90 * NS)
    assert made.samples[0].t_ns == 90 * NS
    assert made.reports["/kubepods/kv/main"][0].t_ns == 90 * NS
    assert figures(made, made.targets[0], Window(90 * NS, 100 * NS)).operations_per_s == pytest.approx(50)


def test_lines_for_plots() -> None:
    made = recording("kv")
    held = held_bytes(made, made.targets[0])
    assert (held.seconds[3], held.values[3]) == (3.0, 4 << 20)
    lines = program_lines(made, made.targets[0], 10 * NS)
    assert lines is not None
    operations, latency = lines
    assert operations.seconds == [float(t) for t in range(2, 11)]
    assert operations.values == pytest.approx([50.0] * 9)
    assert latency.values == pytest.approx([1000] * 9, rel=0.02)
    made.reports.clear()
    assert program_lines(made, made.targets[0], 10 * NS) is None
