"""The report: complete, self-contained, and safe against what names may hold."""

import re
import sys
from dataclasses import replace

import pytest
from observe_samples import NS, recording

from epcgroup.errors import NotSupportedError
from epcgroup.observe.compared import compared_table
from epcgroup.observe.figures import Window, evicted_by, figures
from epcgroup.observe.page import page
from epcgroup.observe.sample import Kill
from epcgroup.observe.story import RunStory, Story
from epcgroup.observe.verdict import Runs, judge

EVIL = "<script>alert(1)</script>&"


def run_story(name: str, title: str) -> RunStory:
    made = recording("kv", "scan")
    window = Window(3 * NS, 10 * NS)
    return RunStory(
        name=name,
        title=title,
        series="fair",
        epc_bytes=64 << 20,
        recording=made,
        window=window,
        figures={target.pod: figures(made, target, window) for target in made.targets},
        evicted_by=evicted_by(made, made.samples) | {"kv": {"scan": 700.0, "ksgxd": 7.0, EVIL: 1.0}},
        pods=(),
        pager={},
    )


def story() -> Story:
    runs = (
        run_story("roomy", "roomy"),
        run_story("not-enforced", "not enforced"),
        run_story("enforced", "enforced"),
    )
    roomy, unenforced, enforced = (run.figures for run in runs)
    verdict = judge(Runs(roomy, unenforced, enforced))
    return Story(EVIL, f"manifest: {EVIL}", 64 << 20, runs, verdict, {"CPU": EVIL}, f"epcg {EVIL}", "today")


def test_the_page_holds_everything_and_loads_nothing() -> None:
    html = page(story())
    for words in (
        "no-interference",
        "Who evicted whom",
        "Checks",
        "What was run",
        "kv stays inside its claim",
    ):
        assert words in html
    assert html.count("<svg ") == 2
    assert html.count('<td class="cell"') == 3 * 2 * 4
    assert not re.search(r"(src|href)=\"(?!#)|url\((?!#)|@import", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert page(story()) == html, "the same story makes the same page"


def test_who_evicted_whom_is_a_rate_of_the_time_between_samples() -> None:
    whole = story()
    # Samples are a second apart: from 3 to 10 s in this window too.
    runs = [replace(run, window=Window(2 * NS + NS // 2, 10 * NS + NS // 2)) for run in whole.runs]
    html = page(replace(whole, runs=tuple(runs)))
    assert re.findall(r'class="cell"[^>]*>([^<]*)</td>', html)[:2] == ["·", "100"]


def test_foreign_text_is_escaped_everywhere() -> None:
    html = page(story())
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5


def test_a_pod_that_did_not_run_everywhere_is_left_out_there() -> None:
    full = story()
    without = replace(full.runs[2], figures={"kv": full.runs[2].figures["kv"]})
    html = page(replace(full, runs=(*full.runs[:2], without)))
    assert html.count("<svg ") == 2


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NotSupportedError, match=r"pip install 'epcgroup\[report\]'"):
        page(story())


def test_the_table_has_a_row_for_each_pod_and_run() -> None:
    assert compared_table(story().runs).row_count == 6


def test_kills_are_told_where_there_are_some() -> None:
    told = story()
    assert "Who was killed" not in page(told)
    told.runs[2].recording.kills.append(
        Kill(f"/kubepods/{EVIL}", "/kubepods/p", 12, 0, "/kubepods/p/b", 5 * NS)
    )
    html = page(told)
    assert (
        "an enclave of 12 EPC pages was killed for a page of /kubepods/p/b: nothing below /kubepods/p" in html
    )
    assert EVIL not in html
