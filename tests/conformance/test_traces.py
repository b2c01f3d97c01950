"""Every recorded trace of the three kernels, compared byte for byte; laws checked after each step."""

import io
import tarfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from epcgroup.conformance.player import Player
from epcgroup.conformance.replay import replay, trace
from epcgroup.engine import invariants
from epcgroup.state.series import SERIES

_ARCHIVE = Path(__file__).with_name("traces.tar.xz")
_EXPECTED = {"mainline": 80, "v2": 86, "v17": 88}


@cache
def _files() -> dict[str, str]:
    with tarfile.open(_ARCHIVE, "r:xz") as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {member.name: _text(archive, member) for member in members}


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member)
    assert stream is not None
    return io.TextIOWrapper(stream, "utf-8", newline="").read()


def _scenarios(series: str) -> list[str]:
    return sorted(
        name[:-7] for name in _files() if name.startswith(f"{series}/") and name.endswith(".script")
    )


def _first_difference(expected: str, actual: str) -> str:
    operation = ""
    for number, (want, have) in enumerate(
        zip(expected.split("\n"), actual.split("\n"), strict=False), start=1
    ):
        operation = want if want.startswith("#") else operation
        if want != have:
            return f"line {number}, after {operation!r}\n  expected {want}\n  actual   {have}"
    return f"lengths differ: {len(expected)} and {len(actual)} characters"


@pytest.mark.parametrize("series", sorted(_EXPECTED))
def test_every_trace_is_equal_byte_for_byte(series: str) -> None:
    scenarios = _scenarios(series)
    assert len(scenarios) == _EXPECTED[series]
    for name in scenarios:
        expected = _files()[f"{name}.out"]
        actual = replay(_files()[f"{name}.script"], series)
        assert actual == expected, f"{name}: {_first_difference(expected, actual)}"


@pytest.mark.parametrize("series", sorted(_EXPECTED))
def test_laws_hold_after_every_operation_of_every_trace(series: str) -> None:
    checked = 0

    def check(player: Player) -> None:
        nonlocal checked
        checked += 1
        invariants.check(player.state)

    for name in _scenarios(series):
        for _ in trace(_files()[f"{name}.script"], series, check):
            pass
    assert checked > 5000


@pytest.mark.parametrize("name", _scenarios("v17"))
def test_series_fair_survives_every_script(name: str) -> None:
    """``fair`` answers differently, but its laws hold and no operation hangs."""
    lines = list(trace(_files()[f"{name}.script"], "fair", lambda player: invariants.check(player.state)))
    assert lines[-1] == "END ok"


#: Named v17 scenarios that change when one constant of the series is changed; counted on the kernel's own
#: code.
_MUTATIONS = [
    ({"nr_to_scan": 15}, 44),
    ({"nr_low": 31, "nr_margin": 31, "nr_margin_from": 124}, 4),
    ({"nr_high": 63}, 3),
    ({"nr_margin": 31, "nr_margin_from": 124}, 3),
    ({"nr_margin_from": 127}, 1),
]


@pytest.mark.parametrize(("change", "expected"), _MUTATIONS)
def test_a_changed_rule_is_noticed_by_as_many_scenarios_as_in_the_kernel(
    change: dict[str, int], expected: int
) -> None:
    mutant = replace(SERIES["v17"], **change)
    named = [name for name in _scenarios("v17") if "rnd_" not in name]
    assert len(named) == 58
    changed = [
        name for name in named if replay(_files()[f"{name}.script"], mutant) != _files()[f"{name}.out"]
    ]
    assert len(changed) == expected
