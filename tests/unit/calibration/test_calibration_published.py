"""Published experiments: what goes into them, and that their part of the page can be written alone."""

import numpy as np
import pytest

from benchmarks.calibration import page
from benchmarks.calibration.published import damon_shared, damon_tail
from benchmarks.calibration.published.case import PARTLY, Case
from epcgroup.sim import costs
from epcgroup.sim.trace.format import PAGE_MASK, REQUEST_MARK

_PAGE = """# Is it true?

| Does a manifest do it? | 7 of 7 |
| Do published experiments come out as published? | of 6: no idea |
| Do policies that others have too? | 12 of 12 |

## Measured on this machine

kept

## Published experiments

old

## libCacheSim as an oracle

kept too
"""


def test_the_published_part_is_written_alone() -> None:
    facts = {"work": "10,000", "apart": "3 %"}
    written = page.with_published(_PAGE, [Case("vault", ("program",), [["`kv`"]], PARTLY, facts)])
    assert "| Do published experiments come out as published? | of 1: 1 partly reproduced |\n" in written
    assert "a miss every 10,000 cycles of work" in written
    assert "old" not in written.split()
    head, tail = _PAGE.split("| Do published")[0], _PAGE[_PAGE.index("## libCacheSim") :]
    assert written.startswith(head)
    assert written.endswith(tail)
    assert (
        "\n| Do policies that others have too? | 12 of 12 |\n\n## Measured on this machine\n\nkept\n"
        in written
    )


def test_trees_grow_by_inserts() -> None:
    references = damon_shared.inserts(1)
    pages, marks = references & PAGE_MASK, references & REQUEST_MARK > 0
    assert marks.reshape(-1, 3).tolist() == [[True, False, False]] * (len(references) // 3)
    reached = np.maximum.accumulate(pages)
    assert reached[len(reached) // 2] == pytest.approx(4_100, rel=0.01)
    assert 8_150 < reached[-1] < 8_192
    assert not np.array_equal(references, damon_shared.inserts(2))


def test_a_spread_follows_from_the_nearest_others() -> None:
    spread = dict(costs.find("sgx2").spread)
    assert damon_tail.from_others(1) == {}
    assert damon_tail.from_others(4)["spread4"] == pytest.approx((spread[2] + spread[8]) / 2)
    assert damon_tail.from_others(8)["spread8"] == pytest.approx((spread[4] + spread[16]) / 2)
    assert damon_tail.from_others(16)["spread16"] == pytest.approx(2 * spread[8] - spread[4])
