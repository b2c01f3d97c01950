"""Carries out the engine's kills: an enclave loses all its memory, from then on every touch of it is SIGBUS.

Its process is left alone: the signal ends it, when it touches the enclave again. What must not live here: who
is killed, and when (engine).
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from epcgroup.abi import memory
from epcgroup.face.epc import Epc
from epcgroup.pager.enclave import Enclave, State
from epcgroup.pager.statistics import Statistics
from epcgroup.pager.store import Budget
from epcgroup.units import PAGE_SHIFT

_POISONED: Final = int(State.POISONED)


class OomKiller:
    """The machine's side of ``Outcome.KILL``."""

    def __init__(
        self,
        epc: Epc,
        enclaves: dict[int, Enclave],
        budget: Budget,
        statistics: Statistics,
        log: Callable[[str], None],
    ) -> None:
        self._epc = epc
        self._enclaves = enclaves
        self._budget = budget
        self._statistics = statistics
        self._log = log

    def carry_out(self, asker: object) -> None:
        """Kill the enclave the engine has chosen; afterwards the engine can be asked again.

        Args:
            asker: who asks for a page, for people.
        """
        enclave = self._enclaves[self._epc.victim]
        self._take_memory(enclave)
        self._epc.finish_kill()
        self._statistics.nr_kills += 1
        *_, record = self._epc.read("/", "epc.kills").splitlines()
        self._log(f"{enclave} is killed, {asker} asked for a page: kill {record}")

    def _take_memory(self, enclave: Enclave) -> None:
        """Take resident pages out of every mapping, drop plain and sealed copies.

        A thread that sleeps on a page, or comes to one, finds it poisoned.
        """
        memory.punch_hole(enclave.file, 0, enclave.nr_pages << PAGE_SHIFT)
        self._budget.nr_free += enclave.nr_sealed
        enclave.slab.drop_all()
        np.frombuffer(enclave.state, np.uint8)[:] = _POISONED
