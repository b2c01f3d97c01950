"""The Python face of the engine: one method an operation, outcomes as values, mistakes as errors.

No method waits. An operation that needs room answers ``EVICT`` with a batch in ``batch``; the machine
writes the pages out, calls ``finish`` and asks again. One that answers ``KILL`` has chosen an enclave, in
``victim``; the machine ends it, calls ``finish_kill`` and asks again.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from epcgroup.engine import admission, enclave, fault, group, lists, section
from epcgroup.errors import (
    AdmissionError,
    NoSuchEnclaveError,
    NoSuchGroupError,
    TableFullError,
    UsageError,
)
from epcgroup.face import entry, run
from epcgroup.face.reclaim import ReclaimFace
from epcgroup.state import files
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.floor import floor_pages
from epcgroup.state.layout import Buffer, Names, Sizes, State
from epcgroup.state.outcome import Outcome, PageState
from epcgroup.state.series import Series
from epcgroup.units import PAGE_SIZE

_OUTCOMES = tuple(Outcome)


class Epc(ReclaimFace):
    """One machine's EPC: sections, groups, enclaves, reclaim. Single-threaded; see ``create``."""

    __slots__ = ("_access", "series")

    def __init__(self, state: State, names: Names, series: str) -> None:
        super().__init__(state, names)
        #: Name of the behaviour: one of ``series.SERIES``.
        self.series = series
        self._access = entry.access

    @staticmethod
    def state_nbytes(
        nr_epc_pages: int, *, nr_groups: int = 1024, nr_enclaves: int = 1024, nr_enclave_pages: int = 1 << 22
    ) -> int:
        """Return the size of the buffer ``create`` needs for the same arguments, in bytes."""
        return Sizes(nr_epc_pages, nr_groups, nr_enclaves, nr_enclave_pages).nbytes

    @classmethod
    def create(
        cls,
        nr_epc_pages: int,
        *,
        series: str | Series = "fair",
        nr_groups: int = 1024,
        nr_enclaves: int = 1024,
        nr_enclave_pages: int = 1 << 22,
        buffer: Buffer | None = None,
        sections: Sequence[tuple[int, int]] | None = None,
        sgx2: bool | None = None,
    ) -> "Epc":
        """Lay out a machine with so many EPC pages, the root group and nothing else.

        Args:
            nr_epc_pages: capacity, in pages.
            series: behaviour, by name or as data of one's own.
            nr_groups: rows of the group table; removed groups with charges count.
            nr_enclaves: rows of the enclave table.
            nr_enclave_pages: pages of all enclaves together (5 bytes each, touched only when used).
            buffer: zeroed memory of at least ``state_nbytes`` bytes, for example a shared-memory file.
            sections: (pages, NUMA node) of each section, at most 8; default one section on node 0.
            sgx2: pages on demand and SGX2 calls; default as the series says.

        Raises:
            UsageError: unknown series, buffer too small or in use, sections that do not add up.
        """
        behaviour = on.find(series) if isinstance(series, str) else series
        layout = [(nr_epc_pages, 0)] if sections is None else list(sections)
        _check_sections(layout, nr_epc_pages)
        sizes = Sizes(nr_epc_pages, nr_groups, nr_enclaves, nr_enclave_pages)
        state, names = at.create(sizes, buffer)
        state.machine[at.TUNABLES : at.TUNABLES + at.NR_TUNABLES] = on.words(behaviour)
        state.machine[at.SGX2] = behaviour.sgx2 if sgx2 is None else sgx2
        name = next((key for key, value in on.SERIES.items() if value == behaviour), "custom")
        state.machine[at.SERIES] = list(on.SERIES).index(name) if name in on.SERIES else -1
        state.machine[at.CAPACITY + at.RESOURCE_EPC] = nr_epc_pages * PAGE_SIZE
        first = 1
        for index, (nr_pages, node) in enumerate(layout):
            section.add_section(state, index, first, nr_pages, node)
            first += nr_pages
        group.create(state, 0)
        return cls(state, names, name)

    @staticmethod
    def attach(buffer: Buffer) -> files.Reader:
        """Return a read-only view of a state another process owns; see ``files.Reader``."""
        return files.Reader.attach(buffer)

    @property
    def capacity_pages(self) -> int:
        """Pages of EPC in all sections."""
        return int(self.state.machine[at.NR_FRAMES])

    @property
    def nr_free(self) -> int:
        """Free pages as the kernel counts them (poisoned free pages included)."""
        return int(self.state.machine[at.NR_FREE])

    # Enclaves.

    def enclave_create(self, number: int, nr_pages: int) -> tuple[Outcome, int]:
        """Create an enclave of ``nr_pages`` for a task of a group: one VA page and the SECS are charged.

        Returns:
            (CREATED, enclave); (EVICT, 0), (KILL, 0): act on it, finish, ask again with the same arguments;
            (REFUSED, 0).

        Raises:
            TableFullError: no row, or no room for so many pages.
            AdmissionError: a limit above the group is too small for what such an enclave always holds (fair).
        """
        self._check_group(number)
        answer, made = enclave.create(self.state, number, nr_pages, False)
        if answer == enclave.FULL:
            table = ("enclaves", len(self.state.enclaves) - 1), ("enclave pages", len(self.state.pages))
            raise TableFullError(f"the table of {table[made][1]} {table[made][0]} is full")
        if answer == enclave.BELOW_FLOOR:
            pages = nr_pages, floor_pages(nr_pages), admission.limit_of(self.state, made)
            size, floor, limit = (int(nr) * PAGE_SIZE for nr in pages)
            raise AdmissionError(size, self.path_of(number), floor, limit, self.path_of(int(made)))
        return _OUTCOMES[abs(answer)], int(made)

    def enclave_init(self, number: int) -> None:
        """EINIT: pages may come on demand from now on."""
        self._check_enclave(number)
        enclave.initialise(self.state, number)

    def enclave_release(self, number: int) -> None:
        """End an enclave: every page and charge comes back."""
        self._check_enclave(number)
        enclave.release(self.state, number)

    def fault(self, number: int, page: int, charged: int) -> Outcome:
        """Bring a page of an enclave in for a task of group ``charged``; see ``Outcome``.

        The caller checks numbers once: they are not checked here, on the path of every fault.
        """
        return _OUTCOMES[self._access(self._buffer, number, page, charged)]

    def undo_fault(self, number: int, page: int) -> None:
        """Take back CREATED or LOADED: the machine could not put the page in place."""
        self._check_page(number, page)
        if not fault.undo(self.state, number, page):
            raise UsageError(f"page {page} of enclave {number} is not resident")

    def forget(self, number: int, page: int) -> None:
        """A page is lost behind our back: uncharge it, make it absent."""
        self._check_page(number, page)
        fault.forget(self.state, number, page)

    def drop_evicted(self, number: int, page: int) -> None:
        """The sealed copy of an evicted page is lost: make it absent."""
        if self.page_state(number, page) is not PageState.EVICTED:
            raise UsageError(f"page {page} of enclave {number} is not evicted")
        fault.forget(self.state, number, page)

    def page_state(self, number: int, page: int) -> PageState:
        """Return where the contents of a page are."""
        self._check_page(number, page)
        word = self.state.pages[self.state.enclaves[number, at.ENCLAVE_OFFSET] + page]
        if word > 0:
            return PageState.RESIDENT
        return PageState.EVICTED if word < 0 else PageState.ABSENT

    def residents(self, number: int) -> NDArray[np.int32]:
        """Return the resident pages of an enclave, ascending, int32."""
        self._check_enclave(number)
        words = self._page_words(number)
        return np.nonzero(words > 0)[0].astype(np.int32)

    def oldest(self, number: int, nr: int) -> NDArray[np.int32]:
        """Return (enclave, page) of the oldest ``nr`` pages on a group's list, int32 (n, 2); nothing changes.

        In a series with one list for all, that list is looked at whatever the group.
        """
        self._check_group(number)
        rows = np.empty((nr, 2), np.int32)
        return rows[: lists.reclaimable(self.state, number, rows)]

    def nr_listed(self, number: int) -> int:
        """Return the reclaimable pages of a group itself; of all groups where there is one list."""
        one_list = self.state.machine[on.WALK] == on.WALK_ONE_LIST
        return int(self.state.groups[at.ROOT if one_list else number, at.GROUP_NR_LRU])

    def run(
        self,
        trace: NDArray[np.uint32],
        tasks: Sequence[tuple[int, int]],
        *,
        page_bits: int = 32,
        idle: bool = True,
    ) -> run.Counters:
        """Follow a trace of page references in one compiled loop; batches are aged by the engine's marks.

        Args:
            trace: references, uint32, contiguous; ``stream << page_bits | page``.
            tasks: (enclave, group charged) of each stream.
            page_bits: 32 when there is one stream only.
            idle: background work is done after every fault, as where a core is spare; else only what faults
                wait for.

        Raises:
            UsageError: a batch waits for ``finish``; not such a trace; a reference to no stream or to no page
                of it (what stands before it was done).
            NoSuchEnclaveError, NoSuchGroupError: a task names none.
        """
        if self.state.machine[at.BATCH_NR]:
            raise UsageError("a batch is waiting for finish")
        for number, charged in tasks:
            self._check_enclave(number)
            self._check_group(charged)
        return run.follow(self.state, self._buffer, trace, page_bits, tasks, idle)

    def _page_words(self, number: int) -> NDArray[np.int32]:
        offset = int(self.state.enclaves[number, at.ENCLAVE_OFFSET])
        return self.state.pages[offset : offset + int(self.state.enclaves[number, at.ENCLAVE_SIZE])]

    def _check_group(self, number: int) -> None:
        if not 0 < number < len(self.state.groups) or not self.state.groups[number, at.GROUP_STATE]:
            raise NoSuchGroupError(f"no group number {number}")

    def _check_enclave(self, number: int) -> None:
        if not 0 < number < len(self.state.enclaves) or not self.state.enclaves[number, at.ENCLAVE_KIND]:
            raise NoSuchEnclaveError(f"no enclave number {number}")

    def _check_page(self, number: int, page: int) -> None:
        self._check_enclave(number)
        if not 0 <= page < self.state.enclaves[number, at.ENCLAVE_SIZE]:
            raise UsageError(f"enclave {number} has no page {page}")


def _check_sections(sections: Sequence[tuple[int, int]], nr_epc_pages: int) -> None:
    if not 0 < len(sections) <= at.NR_SECTIONS:
        raise UsageError(f"{len(sections)} sections: a machine has 1 to {at.NR_SECTIONS}")
    if sum(pages for pages, _ in sections) != nr_epc_pages or nr_epc_pages <= 0:
        raise UsageError(f"sections of {sections} pages do not make {nr_epc_pages}")
    if any(not 0 <= node < at.NR_NODES for _, node in sections):
        raise UsageError(f"NUMA nodes are 0 to {at.NR_NODES - 1}")
