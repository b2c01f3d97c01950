"""Makes every compiled function of the engine ready: a fault never waits for a compiler.

On a machine that never ran this version the functions are compiled and stored; a process that compiled keeps
the compiler's memory, so the pager then starts anew, once, from the stored code.
"""

from collections.abc import Callable

import numpy as np
from numba.core import event

from epcgroup.engine.epc import Epc
from epcgroup.engine.outcome import Outcome

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


def _fault(epc: Epc, enclave: int, page: int, group: int) -> None:
    for _ in range(8):
        outcome = epc.fault(enclave, page, group)
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
    for page in range(2 * _NR_EPC_PAGES):
        _fault(epc, enclave, page, group)
    _fault(epc, enclave, 0, group)
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
