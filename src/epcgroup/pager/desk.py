"""What the compiled and the Python half of the fault path share: words, tables, the states of all pages."""

import numpy as np

from epcgroup.face import entry
from epcgroup.face.epc import Epc
from epcgroup.pager import fastpath
from epcgroup.pager.buffer import Buffer
from epcgroup.pager.enclave import (
    ROW_BASE,
    ROW_COLUMNS,
    ROW_FREE,
    ROW_GROUP,
    ROW_NR_FREE,
    ROW_NR_PAGES,
    ROW_NUMBER,
    ROW_OFFSET,
    ROW_SLOTS,
    ROW_VERSIONS,
    Enclave,
)
from epcgroup.pager.seal import NONCE_BYTES
from epcgroup.pager.table import table
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome
from epcgroup.units import PAGE_SIZE


def _address_of(table: "memoryview[int]") -> int:
    return np.frombuffer(table, np.uint8).ctypes.data


class Desk:
    """The arguments of ``fastpath.serve``, and the same memory as Python reads it fastest: memoryviews."""

    def __init__(self, epc: Epc, nr_descriptors: int) -> None:
        self._enclaves = epc.state.enclaves
        array = np.zeros(fastpath.DESK_WORDS, np.int64)
        self._served = np.zeros((nr_descriptors, ROW_COLUMNS), np.int64)
        #: Of all pages, where the engine has them.
        self._states = table("B", len(epc.state.pages))
        self.states = np.frombuffer(self._states, np.uint8)
        self.engine = entry.buffer_of(epc.state)
        self.arguments = self.engine, array, self._served, self.states
        self.words: memoryview[int] = memoryview(array)  # type: ignore[arg-type]
        self.messages = self.words.cast("B")[8 * fastpath.MESSAGES : 8 * fastpath.CHARGES]
        self.charges = self.words[fastpath.CHARGES : fastpath.FINE_ZERO]
        self.fine_zero = self.words[fastpath.FINE_ZERO : fastpath.FINE_LOAD]
        self.fine_load = self.words[fastpath.FINE_LOAD :]
        self.budget = self.words[fastpath.NR_FREE : fastpath.NR_FREE + 1]
        bound = self.words.cast("B")[8 * fastpath.SEAL : 8 * fastpath.EVENT]
        self.nonce, self.binding = bound[:NONCE_BYTES], bound[16:]
        #: The page whose seal was opened.
        self.opened = Buffer(1)
        self.words[fastpath.COPY + 1] = self.opened.address
        self.words[fastpath.COPY + 2] = self.words[fastpath.ZEROS + 1] = PAGE_SIZE

    def states_of(self, number: int) -> "memoryview[int]":
        """Return the states of an enclave's pages, all ``ABSENT``; they are its own until it is released."""
        offset, size = self._enclaves[number, [at.ENCLAVE_OFFSET, at.ENCLAVE_SIZE]].tolist()
        states = self._states[offset : offset + size]
        used = np.frombuffer(states, np.uint8)
        used[used != 0] = 0  # a page of zeros that is only read costs no memory
        return states

    def row_of(self, fd: int) -> "memoryview[int]":
        """Return a row of the table of descriptors served."""
        return memoryview(self._served[fd])

    def begin(self, enclave: Enclave) -> None:
        """Have the faults that an enclave's userfaultfd reports served.

        Raises:
            OSError: the number of the descriptor is too high.
        """
        if enclave.uffd >= len(self._served):
            raise OSError(0, f"descriptor {enclave.uffd} is beyond the table of {len(self._served)}")
        enclave.row = self.row_of(enclave.uffd)
        enclave.row[ROW_GROUP] = enclave.group
        enclave.row[ROW_BASE] = enclave.base
        enclave.row[ROW_NR_PAGES] = enclave.nr_pages
        enclave.row[ROW_OFFSET] = int(self._enclaves[enclave.number, at.ENCLAVE_OFFSET])
        enclave.row[ROW_VERSIONS] = _address_of(enclave.seal.versions)
        enclave.row[ROW_SLOTS] = _address_of(enclave.slab.slots)
        enclave.row[ROW_FREE] = _address_of(enclave.slab.free)
        enclave.row[ROW_NR_FREE] = _address_of(enclave.slab.nr_free)
        enclave.row[ROW_NUMBER] = enclave.number

    def ask(self, fd: int, page: int) -> Outcome:
        """Ask the engine about a page, as ``Epc.fault`` does, by the code that is loaded already."""
        words = self.words
        words[fastpath.FD], words[fastpath.PAGE], words[fastpath.ASKS] = fd, page, 1
        fastpath.serve(*self.arguments)
        words[fastpath.ASKS] = 0
        return Outcome(words[fastpath.OUTCOME])

    def end(self, enclave: Enclave) -> None:
        """Serve an enclave no more; what its descriptor has reported is dropped."""
        enclave.row[ROW_VERSIONS] = _address_of(enclave.seal.versions)
        enclave.row[ROW_SLOTS] = _address_of(enclave.slab.slots)
        enclave.row[ROW_FREE] = _address_of(enclave.slab.free)
        enclave.row[ROW_NR_FREE] = _address_of(enclave.slab.nr_free)
        enclave.row[ROW_NUMBER] = 0
        if self.words[fastpath.FD] == enclave.uffd:
            self.words[fastpath.NR_MESSAGES] = self.words[fastpath.IS_OPENED] = 0
