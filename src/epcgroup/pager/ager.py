"""Who is old: the pager has no Accessed bit to read, so an ager finds out in its own way.

Every method is a hint: a wrong one costs a fault, never data. ``choose`` asks ``probe`` of the one that is
wanted.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from epcgroup.errors import NotSupportedError
from epcgroup.face.epc import Epc
from epcgroup.pager.enclave import Enclave, State
from epcgroup.pager.evict import PagesLostError
from epcgroup.pager.loop import Urgency
from epcgroup.pager.poison import Poisoner, Reason
from epcgroup.pager.statistics import Statistics
from epcgroup.pager.take import Taker, by_enclave
from epcgroup.state import layout as at
from epcgroup.state.series import WALK, WALK_ONE_LIST
from epcgroup.units import PAGE_SIZE

_MAPPED: Final = int(State.MAPPED)
_YOUNG: Final = int(State.YOUNG)
_PARKED: Final = int(State.PARKED)
_POISONED: Final = int(State.POISONED)
#: Pages parked in one step: a fault that comes meanwhile waits for no more than these.
STEP_PAGES: Final = 16
#: Sixteenths of a list that are tried at one time. Fewer: less time to be touched; more: more soft faults.
_TRIED_PARTS: Final = 4
#: Sixteenths of a list that must have been reclaimed before the list is read again (reading costs time).
_READ_PARTS: Final = 1
#: Pages parked for every page of a batch, until the tried part is full.
_CREDITS_PER_PAGE: Final = 2
#: Credits a group can save up; what was earned by more than this many pages is forgotten.
_MAX_CREDITS: Final = 1 << 14


#: The rows of a batch: enclave, page, group charged.
Rows = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether an ager works on this host, and why not."""

    ok: bool
    reason: str = ""


class Ager(Protocol):
    """Tells young pages from old ones."""

    name: str
    #: What it sees: "rw" all accesses, "w" writes only, "none".
    sees: str
    #: Whether every young page is in ``State.YOUNG``, so that of mapped ones ``young`` need not be asked.
    marks_young: bool
    #: Whether ``step`` has something to do, and whether it may wait; looked at in every round of the loop.
    urgency: Urgency

    def probe(self) -> ProbeResult:
        """Try whether it works here; never raises."""

    def young(self, rows: Rows) -> Collection[int]:
        """Return the indexes of isolated pages that were used since the last look; looking clears it."""

    def note_batch(self, groups: Mapping[int, int]) -> None:
        """A batch was carried out, so many pages charged to each group."""

    def step(self) -> bool:
        """Do a bounded piece of work; False if there is none."""

    def forget_group(self, group: int) -> None:
        """A group is gone."""


class Fifo:
    """No ageing: every page is old, the one that came first leaves first."""

    name = "fifo"
    sees = "none"
    marks_young = True

    def probe(self) -> ProbeResult:
        """Works everywhere."""
        return ProbeResult(True)

    def young(self, rows: Rows) -> Collection[int]:
        """No page is young."""
        return ()

    def note_batch(self, groups: Mapping[int, int]) -> None:
        """Not needed."""

    urgency = Urgency.NONE

    def step(self) -> bool:
        """Nothing to do."""
        return False

    def forget_group(self, group: int) -> None:
        """Nothing known."""


class Refault:
    """Second chance by refault: the oldest quarter of a list under reclaim is unmapped but kept, in plain.

    A touch of such a parked page is a soft fault: the page is mapped again and counts as young once. A page
    that is isolated while parked is old. One that is isolated mapped and was never parked (parking did not
    keep up) is old too, so that a pass never has to sweep a whole list. Parking is paid by credits that only
    batches earn: a group that is not being reclaimed is left alone.
    """

    name = "refault"
    sees = "rw"
    marks_young = True

    def __init__(
        self, epc: Epc, enclaves: dict[int, Enclave], taker: Taker, poisoner: Poisoner, statistics: Statistics
    ) -> None:
        self._epc = epc
        self._enclaves = enclaves
        self._taker = taker
        self._poisoner = poisoner
        self._statistics = statistics
        self.urgency = Urgency.NONE
        #: Pages that may still be parked, by list; the order is that of the turns.
        self._credits: Counter[int] = Counter()
        self._turns: deque[int] = deque()
        self._candidates: dict[int, deque[tuple[int, int]]] = {}
        #: Pages in batches since the list was read.
        self._since_read: Counter[int] = Counter()
        # Mainline has one list for all, found at the root.
        self._has_one_list = bool(epc.state.machine[WALK] == WALK_ONE_LIST)

    def probe(self) -> ProbeResult:
        """Needs nothing beyond what eviction needs."""
        return ProbeResult(True)

    def young(self, rows: Rows) -> Collection[int]:
        """Young: touched since it was parked."""
        enclaves = self._enclaves
        found = [
            index for index, (number, page, _) in enumerate(rows) if enclaves[number].state[page] == _YOUNG
        ]
        for index in found:
            number, page, _ = rows[index]
            enclaves[number].state[page] = _MAPPED
        return found

    def note_batch(self, groups: Mapping[int, int]) -> None:
        """Earn credits for the lists the pages came from."""
        for group, nr_pages in groups.items():
            owner = at.ROOT if self._has_one_list else group
            if not self._credits[owner]:
                self._turns.append(owner)
            self._since_read[owner] += nr_pages
            self._credits[owner] = min(self._credits[owner] + _CREDITS_PER_PAGE * nr_pages, _MAX_CREDITS)
        self._judge()

    def _judge(self) -> None:
        """Parking that lags behind reclaim sees nothing: credits for a whole step cannot wait."""
        if not self._turns:
            self.urgency = Urgency.NONE
        elif self._credits[self._turns[0]] >= STEP_PAGES:
            self.urgency = Urgency.NOW
        else:
            self.urgency = Urgency.WHEN_IDLE

    def step(self) -> bool:
        """Park up to ``STEP_PAGES`` pages of the list whose turn it is."""
        if not self._turns:
            return False
        owner = self._turns[0]
        pages = self._next_pages(owner, min(STEP_PAGES, self._credits[owner]))
        self._turns.popleft()
        self._credits[owner] -= len(pages)
        if not pages:
            # The oldest quarter is parked: enough until the next batch.
            self._credits[owner] = 0
        elif self._credits[owner] > 0:
            self._turns.append(owner)
        self._judge()
        self._park(sorted(pages))
        return bool(pages)

    def _next_pages(self, owner: int, wanted: int) -> list[tuple[int, int]]:
        queue = self._candidates.get(owner)
        if not queue:
            queue = self._candidates[owner] = self._look(owner)
        pages: list[tuple[int, int]] = []
        while queue and len(pages) < wanted:
            number, page = queue.popleft()
            # The list was read a while ago: the page may have left since.
            enclave = self._enclaves.get(number)
            if enclave is not None and page < enclave.nr_pages and enclave.state[page] == _MAPPED:
                pages.append((number, page))
        return pages

    def _look(self, owner: int) -> deque[tuple[int, int]]:
        part = int(self._epc.state.groups[owner, at.GROUP_NR_LRU]) // 16
        if self._since_read[owner] < part * _READ_PARTS:
            return deque()
        self._since_read[owner] = 0
        oldest = self._epc.oldest(owner, part * (_TRIED_PARTS + _READ_PARTS))
        enclaves = self._enclaves
        return deque(
            (number, page) for number, page in oldest.tolist() if enclaves[number].state[page] == _MAPPED
        )

    def _park(self, rows: list[tuple[int, int]]) -> None:
        for number, pages in by_enclave(rows, self._taker.max_pages):
            enclave = self._enclaves[number]
            try:
                self._taker.take(enclave, pages)
            except PagesLostError as error:
                self._lose(enclave, pages, str(error))
                continue
            except OSError:
                continue  # the pages are as before
            plains = self._taker.pages
            for page, plain, record in zip(pages, plains, enclave.slab.take(pages), strict=False):
                record[:PAGE_SIZE] = plain
                enclave.state[page] = _PARKED
            self._statistics.nr_parked += len(pages)
            self._taker.settle(enclave)

    def _lose(self, enclave: Enclave, pages: list[int], why: str) -> None:
        for page in pages:
            enclave.state[page] = _POISONED
            self._epc.forget(enclave.number, page)
            self._poisoner.poison(enclave, page, Reason.LOST, why)

    def forget_group(self, group: int) -> None:
        """Forget the credits of a group that is gone."""
        self._credits.pop(group, None)
        self._candidates.pop(group, None)
        self._since_read.pop(group, None)
        if group in self._turns:
            self._turns.remove(group)
        self._judge()


def choose(name: str, agers: dict[str, Callable[[], Ager]]) -> Ager:
    """Return the ager of that name, if it works here.

    Raises:
        NotSupportedError: its probe failed.
    """
    ager = agers[name]()
    result = ager.probe()
    if not result.ok:
        raise NotSupportedError(f"ager {name} does not work here: {result.reason}")
    return ager
