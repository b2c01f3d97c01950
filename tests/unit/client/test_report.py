import json
from pathlib import Path

import pytest

from epcgroup.client import Histogram
from epcgroup.client.report import INTERVAL_NS, Report, Reporter, read_reports
from epcgroup.errors import FileFormatError


def test_a_report_survives_its_line() -> None:
    latency = Histogram()
    latency.add(1234)
    report = Report(5, 4, 3, 2, 1, latency, "run")
    assert Report.from_json(report.to_json()) == report
    assert json.loads(report.to_json())["latency"] == {"198": 1}


@pytest.mark.parametrize(
    "line", ["", "{}", "[1]", "null", '{"t_ns": "x"}', Report(1).to_json().replace("load", "sleep")]
)
def test_another_line_is_refused_and_quoted(line: str) -> None:
    with pytest.raises(FileFormatError, match="not a report"):
        Report.from_json(line)


def test_a_line_is_written_only_after_the_interval(tmp_path: Path) -> None:
    path = tmp_path / "stats"
    reporter = Reporter(str(path))
    reporter.tick(1)
    reporter.operations = 7
    reporter.tick(INTERVAL_NS)
    assert [r.operations for r in read_reports(path.read_bytes())] == [0]
    reporter.tick(INTERVAL_NS + 1)
    assert [(r.t_ns, r.operations) for r in read_reports(path.read_bytes())] == [(1, 0), (INTERVAL_NS + 1, 7)]
    reporter.close()


def test_the_last_line_is_done_and_closing_again_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "stats"
    reporter = Reporter(str(path))
    reporter.enter("run")
    reporter.close()
    reporter.close()
    assert [r.phase for r in read_reports(path.read_bytes())] == ["run", "done"]


def test_a_report_is_a_value_of_its_moment() -> None:
    reporter = Reporter()
    early = reporter.snapshot(1)
    reporter.latency.add(10)
    assert not early.latency


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPCG_STATS", str(tmp_path / "stats"))
    Reporter().close()
    assert [r.phase for r in read_reports((tmp_path / "stats").read_bytes())] == ["done"]


def test_without_a_file_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EPCG_STATS", raising=False)
    reporter = Reporter()
    reporter.tick()
    reporter.close()
    assert reporter.phase == "done"


def test_an_unfinished_last_line_is_left_out() -> None:
    line = Report(1).to_json().encode()
    assert len(list(read_reports(line + b"\n" + line[:20]))) == 1
