"""Carries out the batches the engine isolates: take the pages, seal them, store them, report back.

What must not live here: which pages a batch holds and when one is due (engine), what "young" means (ager).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from epcgroup.face.epc import Epc
from epcgroup.pager import runs
from epcgroup.pager.ager import Ager
from epcgroup.pager.attribution import Attribution
from epcgroup.pager.desk import Desk
from epcgroup.pager.enclave import Enclave, State
from epcgroup.pager.evict import PagesLostError
from epcgroup.pager.poison import Poisoner, Reason
from epcgroup.pager.statistics import Statistics
from epcgroup.pager.store import Budget
from epcgroup.pager.take import Taker, by_enclave
from epcgroup.state.layout import BATCH_ROWS
from epcgroup.state.outcome import Written
from epcgroup.units import PAGE_SIZE

_WRITTEN = int(Written.WRITTEN)
_YOUNG = int(Written.YOUNG)
_FAILED = int(Written.FAILED)
_PARKED = int(State.PARKED)
_EVICTED = int(State.EVICTED)
_POISONED = int(State.POISONED)

#: Pages by group.
Counts = Mapping[int, int]


class Reclaimer:
    """The machine's side of reclaim.

    After a batch ``nr_written`` and ``nr_young`` tell what it brought; ``is_store_full`` why it brought
    nothing.
    """

    def __init__(
        self,
        epc: Epc,
        enclaves: dict[int, Enclave],
        taker: Taker,
        budget: Budget,
        ager: Ager,
        poisoner: Poisoner,
        statistics: Statistics,
        attribution: Attribution,
        desk: Desk,
        log: Callable[[str], None],
    ) -> None:
        self._epc = epc
        self._enclaves = enclaves
        self._taker = taker
        self._budget = budget
        self._ager = ager
        self._poisoner = poisoner
        self._statistics = statistics
        self._attribution = attribution
        self._log = log
        self._outcomes = bytearray(BATCH_ROWS)
        self._outcomes_array = np.frombuffer(self._outcomes, np.uint8)
        self._all_written = np.full(BATCH_ROWS, _WRITTEN, np.uint8)
        self._all_failed = np.full(BATCH_ROWS, _FAILED, np.uint8)
        self._plain_batch = partial(runs.plain_batch, desk.engine, desk.states)
        self._most_plain = taker.max_pages if ager.marks_young else 0
        self._lost: list[tuple[Enclave, int]] = []
        self.nr_written = 0
        self.nr_young = 0
        self.is_store_full = False

    def background_pass(self) -> bool:
        """Carry out one batch of background work; False if there was none."""
        if not self._epc.isolate():
            return False
        self._statistics.nr_background_batches += 1
        self.carry_out()
        return True

    def carry_out(self) -> None:
        """Carry out the batch the engine has isolated and finish it."""
        cause = self._epc.batch_cause
        self._statistics.nr_batches += 1
        self.is_store_full = False
        groups, victims = self._carry_out_plain() or self._carry_out_mixed()
        self._statistics.nr_evictions += self.nr_written
        self._statistics.nr_young += self.nr_young
        self._attribution.note_written(victims, cause)
        self._ager.note_batch(groups)
        if self._lost:
            self._forget_lost()

    def _carry_out_plain(self) -> tuple[Counts, Counts] | None:
        """By far the most frequent batch: mapped pages of one enclave and one group. None: it is another one.

        Returns:
            Pages of each group in the batch, and those written out.
        """
        chosen = self._taker.chosen
        nr = int(self._plain_batch(chosen.array))
        if not nr or nr > self._most_plain or nr > self._budget.nr_free:
            return None
        chosen.nr = nr
        is_written = self._write_chosen(self._enclaves[chosen.enclave])
        self._epc.finish((self._all_written if is_written else self._all_failed)[:nr])
        self.nr_young = 0
        self.nr_written = nr if is_written else 0
        groups = {chosen.group: nr}
        return groups, groups if is_written else {}

    def _carry_out_mixed(self) -> tuple[Counts, Counts]:
        """Any batch, row by row; see ``_carry_out_plain``."""
        rows = self._epc.batch.tolist()
        outcomes, nr_rows = self._outcomes, len(rows)
        self._write(self._sort(rows), rows)
        self._epc.finish(self._outcomes_array[:nr_rows])
        self.nr_young = outcomes.count(_YOUNG, 0, nr_rows)
        victims = Counter(row[2] for index, row in enumerate(rows) if outcomes[index] == _WRITTEN)
        self.nr_written = victims.total()
        return Counter(row[2] for row in rows), victims

    def _sort(self, rows: list[list[int]]) -> list[tuple[int, int]]:
        """Set the outcome of rows that need no taking; return (enclave, page) of the others, sorted."""
        outcomes, enclaves = self._outcomes, self._enclaves
        outcomes[: len(rows)] = bytes(len(rows))  # written, unless something speaks against it
        young = self._ager.young(rows)
        room = self._budget.nr_free
        takes = []
        for index, (number, page, _) in enumerate(rows):
            if index in young:
                outcomes[index] = _YOUNG
            elif index >= room:
                outcomes[index] = _FAILED
                self._note_store_full()
            elif enclaves[number].state[page] == _PARKED:
                self._seal_parked(enclaves[number], page)
            else:
                takes.append((number, page))
        takes.sort()
        return takes

    def _note_store_full(self) -> None:
        if not self.is_store_full:
            self.is_store_full = True
            self._statistics.nr_store_full += 1
            if self._statistics.nr_store_full == 1:
                size = self._budget.nr_slots
                self._log(
                    f"the store of sealed pages is full ({size} pages): pages stay; raise --store-bytes"
                )

    def _seal_parked(self, enclave: Enclave, page: int) -> None:
        """The plain copy becomes the sealed one, in the same slot."""
        record = enclave.slab.record(page)
        plain = self._taker.pages[0]
        plain[:] = record[:PAGE_SIZE]
        enclave.seal.seal_into(page, plain, record)
        enclave.state[page] = _EVICTED
        self._budget.nr_free -= 1

    def _write(self, takes: list[tuple[int, int]], rows: list[list[int]]) -> None:
        """Write out (enclave, page), sorted; one enclave after the other."""
        for number, pages in by_enclave(takes, self._taker.max_pages):
            self._taker.chosen.fill(pages)
            if not self._write_chosen(self._enclaves[number]):
                for index, row in enumerate(rows):
                    if row[0] == number and row[1] in pages:
                        self._outcomes[index] = _FAILED

    def _write_chosen(self, enclave: Enclave) -> bool:
        taker, chosen = self._taker, self._taker.chosen
        pages = chosen.tolist()
        try:
            taker.take_chosen(enclave)
        except PagesLostError as error:
            self._lose(enclave, pages, str(error))
            return False
        except OSError as error:
            self._log(f"{enclave}: {len(pages)} pages stay: {taker.evictor.name} failed: {error.strerror}")
            return False
        self._budget.nr_free -= len(pages)
        enclave.seal.seal_all(chosen, taker.pages, enclave.slab.take(pages))
        state = enclave.state
        for page in pages:
            state[page] = _EVICTED
        taker.settle(enclave)
        return True

    def _lose(self, enclave: Enclave, pages: list[int], why: str) -> None:
        for page in pages:
            enclave.state[page] = _POISONED
            self._lost.append((enclave, page))
            self._poisoner.poison(enclave, page, Reason.LOST, why)

    def _forget_lost(self) -> None:
        for enclave, page in self._lost:
            self._epc.forget(enclave.number, page)
        self._lost.clear()
