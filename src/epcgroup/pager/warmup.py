"""Makes every compiled function of the engine ready: a fault never waits for a compiler.

On a machine that never ran this version the functions are compiled and stored; a process that compiled keeps
the compiler's memory, so the pager then starts anew, once, from the stored code.
"""

from collections.abc import Callable

import numpy as np
from numba.core import event

from epcgroup.face.epc import Epc
from epcgroup.pager import runs
from epcgroup.pager.desk import Desk
from epcgroup.pager.enclave import ROW_GROUP, ROW_NUMBER
from epcgroup.pager.pages import Pages
from epcgroup.pager.seal import RECORD_BYTES, Seal
from epcgroup.state.outcome import Outcome
from epcgroup.units import PAGE_SIZE

_NR_EPC_PAGES = 96
_NR_ENCLAVE_PAGES = 640
_LIMIT_PAGES = 24


class Compilations(event.Listener):
    """Counts what is compiled from source; code loaded from the store does not count."""

    def __init__(self, on_first: Callable[[], None] = lambda: None) -> None:
        self.nr = 0
        self._on_first = on_first
        event.register("numba:compile", self)  # type: ignore[no-untyped-call]

    def on_start(self, event: event.Event) -> None:
        """A compilation begins."""
        if not self.nr:
            self._on_first()
        self.nr += 1

    def on_end(self, event: event.Event) -> None:
        """A compilation has ended."""


def _fault(epc: Epc, desk: Desk, page: int) -> None:
    for _ in range(8):
        outcome = desk.ask(0, page)
        if outcome is Outcome.EVICT:
            epc.finish(np.zeros(len(epc.batch), np.uint8))
        elif outcome is Outcome.BUSY:
            _work(epc, 1)
        else:
            return


def _work(epc: Epc, outcome: int) -> None:
    for _ in range(4):
        nr = epc.isolate()
        if not nr:
            return
        outcomes = np.zeros(nr, np.uint8)
        outcomes[0] = outcome
        epc.finish(outcomes)


def _desk(epc: Epc, enclave: int, group: int) -> Desk:
    """A desk on which the enclave is served as descriptor 0."""
    desk = Desk(epc, 1)
    row = desk.row_of(0)
    row[ROW_NUMBER], row[ROW_GROUP] = enclave, group
    return desk


def _evict(desk: Desk) -> None:
    """The steps of eviction on no page, the sealing of one."""
    pages = Pages()
    runs.plain_batch(desk.engine, desk.states, pages.array)
    runs.refer(-1, -1, pages.array, 0)
    runs.punch(-1, pages.array, 0)
    runs.drain(-1, 0, 0, pages.array)
    Seal(1, 1).seal_into(0, memoryview(bytearray(PAGE_SIZE)), memoryview(bytearray(RECORD_BYTES)))


def warm(series: str) -> None:
    """Run every operation the pager uses on a small engine of the same types as the real one."""
    nr_enclave_pages = 4 * _NR_ENCLAVE_PAGES
    epc = Epc.create(
        _NR_EPC_PAGES, series=series, nr_groups=8, nr_enclaves=4, nr_enclave_pages=nr_enclave_pages
    )
    group = epc.mkdir("/warm")
    epc.mkdir("/warm/up")
    if series != "mainline":
        epc.write("/warm", "misc.max", f"sgx_epc {_LIMIT_PAGES * 4096}")
    _, enclave = epc.enclave_create(group, _NR_ENCLAVE_PAGES)
    epc.enclave_init(enclave)
    desk = _desk(epc, enclave, group)
    _evict(desk)
    for page in range(2 * _NR_EPC_PAGES):
        _fault(epc, desk, page)
    _fault(epc, desk, 0)
    _work(epc, 2)
    epc.oldest(group, 8)
    resident = int(epc.residents(enclave)[0])
    epc.undo_fault(enclave, resident)
    epc.forget(enclave, int(epc.residents(enclave)[0]))
    if epc.isolate():
        epc.put_back_batch()
    epc.attach_process(1, group)
    epc.detach_process(1)
    for page in range(_NR_ENCLAVE_PAGES):
        if epc.page_state(enclave, page).name == "EVICTED":
            epc.drop_evicted(enclave, page)
            break
    epc.enclave_release(enclave)
    epc.rmdir("/warm/up")
