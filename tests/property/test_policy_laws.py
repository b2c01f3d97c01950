"""The laws of the engine hold under every policy there is, yours too.

``EPCG_POLICIES="my_module:MyPolicy ..."`` in the environment adds policies to those of the project.
"""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.sim.policy import SECOND_CHANCE, names
from epcgroup.sim.policy.check import WORLDS, check

_MINE = os.environ.get("EPCG_POLICIES", "").split()


@pytest.mark.parametrize("policy", [*names(), *_MINE])
@settings(max_examples=25, deadline=None)
@given(series=st.sampled_from(sorted(WORLDS)), seed=st.integers(0, 2**32))
def test_laws_hold_after_every_step(policy: str, series: str, seed: int) -> None:
    report = check(policy, series=series, seed=seed, nr_steps=60)
    assert report.written >= report.declined
    if policy in names():
        assert report.declined == 0


@pytest.mark.parametrize("policy", [*names(), *_MINE])
@pytest.mark.parametrize("series", sorted(WORLDS))
def test_pages_do_leave_in_every_series(policy: str, series: str) -> None:
    reports = [check(policy, series=series, seed=seed) for seed in (1, 2)]
    assert all(report.written > 100 for report in reports)
    assert reports == [check(policy, series=series, seed=seed) for seed in (1, 2)], (
        "the same seed, the same run"
    )


def test_the_default_is_no_policy() -> None:
    assert names()[0] == SECOND_CHANCE
