"""A batch that is finished at once leaves every byte as one that is finished page by page."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.engine import background, invariants, reclaim
from epcgroup.face import entry
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from epcgroup.state.layout import State
from epcgroup.state.outcome import Written
from epcgroup.state.series import SERIES
from tests.unit.engine.driving import enclave_in, machine

#: V2 without its fault B1: pages made on demand would never be scanned.
_SERIES = SERIES | {"v2": replace(SERIES["v2"], sgx2=1, unmarked_blocks=0)}
_PATHS = ("/a", "/a/b", "/a/b/c", "/d")
_NR_PAGES = 32


def _batch(series: str, owners: list[int], removed: list[str]) -> Epc:
    """Pages of two enclaves of the root, charged to groups of which some are removed; an isolated batch."""
    driver = machine(400, *_PATHS, series=_SERIES[series], nr_enclave_pages=256)
    epc = driver.epc
    enclaves = [enclave_in(driver, "/", 0, _NR_PAGES) for _ in range(2)]
    for page, owner in enumerate(owners):
        driver.fault(enclaves[owner % 2], page, epc.lookup(_PATHS[owner // 2]))
    for path in removed:
        epc.rmdir(path)
    if series == "v2":
        assert reclaim.isolate_shared(epc.state, at.CONTEXT_KSGXD, at.ROOT, _NR_PAGES, 0)
    else:
        reclaim.begin(epc.state, at.CONTEXT_KSGXD, at.ROOT, 16)
        assert reclaim.step(epc.state, at.CONTEXT_KSGXD, 0)
    return epc


def _page_by_page(s: State, outcomes: list[int]) -> None:
    for row in range(int(s.machine[at.BATCH_NR])):
        if outcomes[row] != Written.WRITTEN:
            reclaim.put_back(s, row)
            continue
        if reclaim.write_row(s, row):
            reclaim.write_secs(s, int(s.machine[at.BATCH + at.BATCH_COLUMNS * row]))
        reclaim.free_row(s, row)
    reclaim.close_batch(s)


@pytest.mark.parametrize("series", sorted(SERIES))
@settings(max_examples=40, deadline=None)
@given(
    owners=st.lists(st.integers(0, 2 * len(_PATHS) - 1), min_size=1, max_size=_NR_PAGES),
    outcomes=st.lists(st.sampled_from((0, 0, 0, 1, 2)), min_size=_NR_PAGES, max_size=_NR_PAGES),
    removed=st.sampled_from([[], ["/d"], ["/a/b/c"], ["/a/b/c", "/a/b"], ["/a/b/c", "/a/b", "/a", "/d"]]),
)
def test_a_batch_is_finished_as_its_pages_are(
    series: str, owners: list[int], outcomes: list[int], removed: list[str]
) -> None:
    epc = _batch(series, owners, removed)
    copy, _ = at.attach(bytearray(entry.buffer_of(epc.state)))
    background.finish(epc.state, np.array(outcomes[: len(epc.batch)], np.uint8))
    invariants.check(epc.state)
    _page_by_page(copy, outcomes)
    for name, left in epc.state._asdict().items():
        np.testing.assert_array_equal(left, getattr(copy, name), name)
