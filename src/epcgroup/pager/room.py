"""Makes room for a fault: acts on the batches between it and its page, or says why it cannot be had."""

from time import perf_counter_ns
from typing import Final

from epcgroup.face.epc import Epc
from epcgroup.pager.desk import Desk
from epcgroup.pager.enclave import Enclave, State
from epcgroup.pager.oom import OomKiller
from epcgroup.pager.placing import Placer
from epcgroup.pager.poison import Poisoner, Reason
from epcgroup.pager.reclaim import Reclaimer
from epcgroup.pager.statistics import Statistics
from epcgroup.state.outcome import Outcome

#: Batches (or background passes) one fault pays for before its thread is sent to ask again.
_MAX_ROUNDS: Final = 64
#: Batches in a row that brought nothing because the store is full.
_MAX_FRUITLESS: Final = 4
_POISONED: Final = int(State.POISONED)


class Room:
    """What a fault does that the engine does not grant at once."""

    def __init__(
        self,
        epc: Epc,
        desk: Desk,
        reclaimer: Reclaimer,
        oom_killer: OomKiller,
        placer: Placer,
        poisoner: Poisoner,
        statistics: Statistics,
    ) -> None:
        self._epc = epc
        self._desk = desk
        self._reclaimer = reclaimer
        self._oom_killer = oom_killer
        self._placer = placer
        self._poisoner = poisoner
        self._statistics = statistics

    def make(self, enclave: Enclave, page: int, outcome: Outcome) -> bool:
        """Carry out what stands between a fault and its page; False: it cannot be had, all is done."""
        start = perf_counter_ns()
        reclaimer = self._reclaimer
        nr_fruitless = 0
        for _ in range(_MAX_ROUNDS):
            if not self._act(enclave, outcome):
                break
            is_fruitless = outcome is not Outcome.KILL and not (reclaimer.nr_written or reclaimer.nr_young)
            nr_fruitless = nr_fruitless + 1 if is_fruitless else 0
            if nr_fruitless >= _MAX_FRUITLESS and reclaimer.is_store_full:
                break
            outcome = self._desk.ask(enclave.uffd, page)
            if outcome <= Outcome.LOADED:
                break
        else:
            self._epc.put_back_batch()
        self._count_stall(enclave.group, perf_counter_ns() - start)
        if outcome > Outcome.LOADED:
            self._deny(enclave, page, outcome)
            return False
        return True

    def _act(self, asker: Enclave, outcome: Outcome) -> bool:
        """Do what the engine asks for; False: it asks for nothing, or nothing can be done."""
        if outcome is Outcome.EVICT:
            self._reclaimer.carry_out()
        elif outcome is Outcome.KILL:
            self._oom_killer.carry_out(asker)
        elif outcome is Outcome.BUSY:
            return self._reclaimer.background_pass()
        else:
            return False
        return True

    def _count_stall(self, group: int, duration_ns: int) -> None:
        self._statistics.stall_ns_by_group[group] += duration_ns
        self._statistics.reclaim.add(duration_ns)
        self._epc.account_stall(group, duration_ns // 1000)

    def _deny(self, enclave: Enclave, page: int, outcome: Outcome) -> None:
        path = self._epc.path_of(enclave.group)
        if enclave.state[page] == _POISONED:
            self._poisoner.repeat(enclave, page)  # it was this enclave that was killed
        elif outcome is Outcome.REFUSED:
            detail = f"group {path} is at its limit and nothing is reclaimable under it"
            self._poisoner.poison(enclave, page, Reason.REFUSED, detail)
        elif outcome in (Outcome.EVICT, Outcome.BUSY) and self._reclaimer.is_store_full:
            detail = "the store of sealed pages is full (raise --store-bytes)"
            self._poisoner.poison(enclave, page, Reason.STORE_FULL, detail)
        elif outcome in (Outcome.EVICT, Outcome.BUSY, Outcome.KILL):
            # As the kernel's NOPAGE: the thread returns, touches again and so asks again.
            self._statistics.nr_retries += 1
            self._placer.wake(enclave, page)
        else:
            self._poisoner.poison(enclave, page, Reason.NO_PAGE, f"engine: {outcome.name}")
