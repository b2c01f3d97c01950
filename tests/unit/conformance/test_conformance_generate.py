"""Random scripts and the comparison of traces."""

import pytest

from epcgroup.conformance.difference import first_difference
from epcgroup.conformance.generate import random_script
from epcgroup.conformance.replay import trace
from epcgroup.engine import invariants
from epcgroup.errors import UsageError


def test_the_same_seed_gives_the_same_script() -> None:
    assert random_script(7, 50) == random_script(7, 50) != random_script(8, 50)
    assert len(random_script(7, 50).splitlines()) == 50 + 6


def test_a_script_has_an_operation() -> None:
    with pytest.raises(UsageError, match="0 operations"):
        random_script(1, 0)


@pytest.mark.parametrize("series", ["mainline", "v2", "v17", "fair"])
@pytest.mark.parametrize("seed", range(4))
def test_random_scripts_end_and_keep_the_invariants(series: str, seed: int) -> None:
    lines = list(trace(random_script(seed, 150), series, lambda player: invariants.check(player.epc.state)))
    assert lines[-1] in ("END ok", "END livelock")
    assert lines[-1] == "END ok" or series == "v2"
    assert not [line for line in lines if line in ("= err=badop", "= err=args")]


def test_the_first_difference_names_its_operation() -> None:
    expected = "#1 boot 8\n= ret=0\nS free=8 warn=0\n#2 mkdir /a\n= ret=0\nEND ok\n"
    got = expected.replace("#2 mkdir /a\n= ret=0", "#2 mkdir /a\n= ret=-17")
    difference = first_difference(expected, got)
    assert difference is not None
    assert (difference.line, difference.operation) == (5, "#2 mkdir /a")
    assert (difference.expected, difference.got) == ("= ret=0", "= ret=-17")


def test_fields_can_be_ignored_and_an_end_is_a_difference() -> None:
    assert first_difference("S free=8 warn=0\n", "S free=8 warn=1\n", ["warn"]) is None
    cut = first_difference("S free=8\nEND ok\n", "S free=8\n")
    assert cut is not None
    assert cut.got is None
