"""What counts as agreement between live and simulated, and how it is told."""

from benchmarks.calibration import page
from benchmarks.calibration.agreement import FEW_PAGES, Compared, Order, compared, orders
from benchmarks.calibration.live import Outcome, Setting
from benchmarks.calibration.paging import Paging, paging_of, series_of
from epcgroup.observe.sample import GroupSample, Recording, Sample
from epcgroup.units import PAGE_SIZE

_SETTING = Setting("phases", "fair", "fifo")


def _outcome(evictions: float, loads: float = 1000.0, resident: float = 500.0) -> Outcome:
    return Outcome({"pod": Paging(evictions, loads, resident)}, {})


def _row(live: float, simulated: float) -> Compared:
    return compared(_SETTING, [_outcome(live)], [_outcome(simulated)])[0]


def test_ten_percent_agree_and_eleven_do_not() -> None:
    assert _row(1000, 1100).agrees
    assert _row(1000, 900).agrees
    assert not _row(1000, 1110).agrees
    assert not _row(1000, 890).agrees


def test_hardly_any_pages_agree_but_none_against_many_do_not() -> None:
    assert _row(0, FEW_PAGES - 1).agrees
    assert not _row(0, 10 * FEW_PAGES).agrees


def test_medians_are_compared_and_ranges_kept() -> None:
    live = [_outcome(value) for value in (900, 1000, 5000)]
    row = compared(_SETTING, live, [_outcome(1000)])[0]
    assert (row.live, row.live_low, row.live_high, row.difference) == (1000, 900, 5000, 0)


def _order(live: dict[str, float], simulated: dict[str, float]) -> Order:
    return Order("phases", "pod", live, simulated)


def test_order_of_series_is_the_same_unless_two_stand_the_other_way_round() -> None:
    live = {"mainline": 9000.0, "v17": 4000.0, "fair": 4100.0}
    assert _order(live, {"mainline": 8000.0, "v17": 4200.0, "fair": 4000.0}).agrees
    assert not _order(live, {"mainline": 3000.0, "v17": 4200.0, "fair": 4000.0}).agrees
    assert _order(live, live).text(live) == "mainline > fair = v17"


def test_orders_take_evictions_of_the_scenario_by_series() -> None:
    rows = [
        row
        for series, evictions in (("mainline", 2000.0), ("fair", 500.0))
        for row in compared(
            Setting("phases", series, "fifo"), [_outcome(evictions)], [_outcome(evictions + 10)]
        )
    ]
    (found,) = orders(rows)
    assert (found.live, found.simulated) == (
        {"mainline": 2000, "fair": 500},
        {"mainline": 2010, "fair": 510},
    )


def _recording() -> Recording:
    """A group that holds ten pages and loses one every 300 ms, seen every 300 ms."""
    recording = Recording((), 10**9)
    for step in range(20):
        group = GroupSample(current_bytes=10 * PAGE_SIZE, granted=3 * step, evictions=step)
        recording.samples.append(Sample(10**9 + step * 300_000_000, {"/pod": group}))
    return recording


def test_counts_are_scaled_to_the_window() -> None:
    found = paging_of(_recording(), "/pod", (1.0, 4.0))
    assert found == Paging(evictions=10.0, loads=30.0, resident_pages=10.0)


def test_course_starts_with_the_run() -> None:
    course = series_of(_recording(), "/pod")
    assert (course.seconds[0], course.seconds[1], course.evictions[2]) == (0.0, 0.3, 2.0)


def test_page_marks_what_differs_too_much() -> None:
    assert page.difference(_row(1000, 1300)) == "**+30.0%**"
    assert page.difference(_row(1000, 1010)) == "+1.0%"
    assert page.difference(_row(3, 5)) == "–"
    assert "1 of 2 figures agree within 10 %" in page.agreement_summary([_row(1000, 1300), _row(1000, 1000)])
