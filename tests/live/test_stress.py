"""Concurrent writers while their pages are evicted: not one update may be lost.

The short form of ``make soak``; the writers are C threads because Python's would take turns.
"""

import pytest

from benchmarks import soak
from benchmarks.native_build import have_compiler

SECONDS = 5.0

pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.usefixtures("userfaultfd_here"),
    pytest.mark.skipif(
        not have_compiler(), reason="no gcc: writers need threads without an interpreter lock"
    ),
]


@pytest.mark.parametrize("evict", ["splice", "wp"])
@pytest.mark.parametrize("ager", ["fifo", "refault"])
def test_no_update_is_lost(evict: str, ager: str) -> None:
    row = soak.one_round(evict=evict, ager=ager, seconds=SECONDS)
    assert row["evict"] == evict
    assert row["evictions"] > 1000, "nothing was evicted: the test proves nothing"
    assert row["duplicates"] > 0, "no two threads met on a page: the test proves little"
    assert ager == "fifo" or row["young"] > 0, "no page was found young: the ager did nothing"
    assert (row["lost"], row["mismatch"], row["bypass"], row["removed"]) == (0, 0, 0, 0)


def test_the_naive_method_is_seen_to_lose_updates() -> None:
    """Negative control; it is a matter of chance, so a run without loss says nothing."""
    row = soak.control(SECONDS)
    assert row["evictions"] > 1000
    if not row["lost"] + row["mismatch"]:
        pytest.skip("the naive method was lucky this time")
