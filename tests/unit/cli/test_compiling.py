"""The line that says why a command makes a person wait."""

from typing import Any

import pytest

from epcgroup.cli.compiling import LINE, Waiting

_SECOND_NS = 1_000_000_000
_EVENT: Any = None


def _told(capsys: pytest.CaptureFixture[str], *steps: tuple[str, float]) -> str:
    """What is said when compilations start ("+") and end ("-") at these times, in seconds."""
    now_ns = 0
    waiting = Waiting(lambda: now_ns)
    for what, time_s in steps:
        now_ns = int(time_s * _SECOND_NS)
        (waiting.on_start if what == "+" else waiting.on_end)(_EVENT)
    return capsys.readouterr().err


def test_a_second_of_compiling_is_not_worth_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _told(capsys, ("+", 0), ("+", 0.5), ("-", 0.9), ("-", 1.0)) == ""


def test_more_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert _told(capsys, ("+", 0), ("+", 1.1), ("-", 1.2), ("+", 2.5), ("-", 3), ("-", 4)) == LINE + "\n"


def test_time_between_compilations_does_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert _told(capsys, ("+", 0), ("-", 0.5), ("+", 60), ("-", 60.4), ("+", 90)) == ""


def test_short_compilations_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert _told(capsys, ("+", 0), ("-", 0.8), ("+", 60), ("-", 60.8), ("+", 90)) == LINE + "\n"
