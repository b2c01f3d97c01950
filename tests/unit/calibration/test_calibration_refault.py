"""The pager's ager as a policy of the simulator: what it keeps, and the laws."""

import numpy as np
import pytest

from benchmarks.calibration.simulated import POLICIES
from epcgroup.sim.policy.check import check
from epcgroup.sim.policy.replay import replay

_REFAULT = POLICIES["refault"]


@pytest.mark.parametrize("series", ["mainline", "v17", "fair"])
def test_laws_hold(series: str) -> None:
    assert check(_REFAULT, series=series, seed=1).written > 100


def test_a_page_touched_when_it_is_old_stays_and_one_touched_when_young_leaves() -> None:
    # Ten pages fit. Page 5 is touched when five are older; page 0 when it is the oldest.
    young = np.array([*range(10), 5, *range(10, 16), 5], np.uint32)
    old = np.array([*range(10), 0, 10, 0], np.uint32)
    assert [replay(pages, 10, _REFAULT) for pages in (young, old)] == [17, 11]
    assert [replay(pages, 10, "fifo") for pages in (young, old)] == [17, 12]
