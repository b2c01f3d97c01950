"""Times become differences, piece by piece."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.arrivals import Arrivals


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=5), max_size=6), st.integers(0, 2**40))
def test_differences_add_up(pieces: list[list[int]], start: int) -> None:
    arrivals = Arrivals("x")
    time, found = start, []
    for piece in pieces:
        times = time + np.cumsum(np.array(piece, np.uint64))
        found += arrivals.since_last(times.astype(np.uint64), np.arange(len(piece))).tolist()
        time = int(times[-1]) if piece else time
    flat = [step for piece in pieces for step in piece]
    assert found == ([0, *flat[1:]] if flat else [])


def test_back_in_time_and_too_far() -> None:
    arrivals = Arrivals("x")
    arrivals.since_last(np.array([5], np.uint64), np.array([1]))
    with pytest.raises(TraceFormatError, match="x, line 9: time 4 comes -1 units after the one before"):
        arrivals.since_last(np.array([5, 4], np.uint64), np.array([8, 9]))
    with pytest.raises(TraceFormatError, match="x, line 8: time 4294967301 comes 4294967296 units after"):
        arrivals.since_last(np.array([5 + 2**32], np.uint64), np.array([8]))
