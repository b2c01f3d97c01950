"""Second chance by refault keeps hot pages in; it leaves groups alone that are not being reclaimed."""

from typing import Any

import pytest
from conftest import StartPager
from live_pager import LivePager

pytestmark = pytest.mark.live
NR_HOT, NR_COLD, NR_LIMIT = 40, 1200, 300


def after_sweeps(start_pager: StartPager, ager: str, series: str) -> dict[str, Any]:
    pager = start_pager("--ager", ager, "--series", series, epc="1280Ki" if series == "mainline" else "4Mi")
    pager.make_group("/pod", None if series == "mainline" else NR_LIMIT)
    puppet = pager.puppet(NR_HOT + NR_COLD, group="/pod")
    puppet.ask("fill", 0, NR_HOT + NR_COLD, 1)
    puppet.ask("hot", NR_HOT, NR_COLD, 4)
    assert puppet.ask("check", 0, NR_HOT + NR_COLD, 1) == 0
    return pager.statistics()


@pytest.mark.parametrize("series", ["fair", "v17", "mainline"])
def test_hot_pages_stay(start_pager: StartPager, series: str) -> None:
    fifo = after_sweeps(start_pager, "fifo", series)
    refault = after_sweeps(start_pager, "refault", series)
    # Every cold page is loaded once a sweep (and once by the check) whatever the ager does.
    nr_cold_loads = 5 * NR_COLD
    assert fifo["nr_young"] == fifo["nr_parked"] == 0
    assert refault["nr_young"] > 0
    hot_loads_fifo = fifo["groups"]["/pod"]["loaded"] - nr_cold_loads
    hot_loads_refault = refault["groups"]["/pod"]["loaded"] - nr_cold_loads
    assert hot_loads_fifo > 200
    assert hot_loads_refault < hot_loads_fifo / 2


def test_uncrowded_machine_parks_nothing(live_pager: LivePager) -> None:
    live_pager.make_group("/pod", 500)
    puppet = live_pager.puppet(400, group="/pod")
    puppet.ask("fill", 0, 400, 1)
    for _ in range(3):
        assert puppet.ask("check", 0, 400, 1) == 0
    statistics = live_pager.statistics()
    assert statistics["nr_parked"] == statistics["nr_batches"] == 0
