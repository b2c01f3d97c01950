"""A grid of simulations for people: its table and its page."""

import re
import sys
from math import inf

import pytest

from epcgroup.errors import NotSupportedError
from epcgroup.observe.gridpage import grid_page
from epcgroup.observe.gridstory import Cell, GridRow, GridStory
from epcgroup.observe.gridtable import FIGURES, grid_table, shown_figures
from epcgroup.observe.intervals import Interval

EVIL = "<script>alert(1)</script>&"
OF_PODS = ("progress", "requests_per_s", "p50_ns", "p99_ns", "p999_ns", "loads_per_s", "stall_some")


def row(series: str, limit: float, *, nr_pending: int = 0, pod: str = "kv") -> GridRow:
    figures: dict[str, Interval | None] = {name: Interval(0.5, 0.1) for name in FIGURES}
    figures["over_optimum"] = None
    pods: dict[str, dict[str, Interval | None]] = {
        pod: {name: Interval(0.5, 0.1) for name in OF_PODS},
        "empty": dict.fromkeys(OF_PODS),
    }
    return GridRow(Cell(series, "lru", 64 << 20, limit), 3, 0, nr_pending, figures, pods, ("a", "b", "c"))


def story(pod: str = "kv") -> GridStory:
    rows = (row("mainline", inf, pod=pod), row("fair", 0.5, nr_pending=2, pod=pod))
    return GridStory(EVIL, f"manifest: {EVIL}", rows, {"costs": EVIL}, "today")


def test_a_figure_without_any_value_has_no_column() -> None:
    rows = story().rows
    assert list(shown_figures(rows)) == [name for name in FIGURES if name != "over_optimum"]
    assert len(grid_table(rows).columns) == 5 + len(FIGURES) - 1
    assert grid_table(rows).row_count == 2


def test_words_for_limits_and_pods() -> None:
    first, second = story().rows
    assert (first.cell.limit_text, second.cell.limit_text) == ("none", "0.5 x claim")
    assert (first.ran_text, second.ran_text) == ("2", "4 of 6")
    assert first.cell.to_json()["limit"] is None
    assert second.to_json()["pods"]["empty"]["progress"] is None


def test_the_page_holds_everything_loads_nothing_and_escapes() -> None:
    html = grid_page(story(EVIL))
    for words in (
        "Side by side",
        "2 combinations, 6 simulations",
        "fair, lru, 64Mi, limits 0.5 x claim",
        "JAIN",
    ):
        assert words in html
    assert html.count("<svg ") == 1
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 4
    assert not re.search(r"(src|href)=\"(?!#)|url\((?!#)|@import", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert grid_page(story(EVIL)) == html, "the same story makes the same page"


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NotSupportedError, match=r"pip install 'epcgroup\[report\]'"):
        grid_page(story())
