"""Compares what the pager believes with the pages that exist: some clients go behind its back.

A page that is there but should not be (second mapping, write to the file, a forked child) is punched out and
counted as ``bypass``; one that should be there and is not was removed by its client and is lost.
"""

from collections.abc import Callable

from epcgroup.abi import memory
from epcgroup.pager import backing
from epcgroup.pager.enclave import Enclave, State
from epcgroup.pager.fault import FaultServer
from epcgroup.pager.statistics import Statistics
from epcgroup.units import PAGE_SHIFT, PAGE_SIZE

_IN_FILE = (int(State.MAPPED), int(State.YOUNG))


class Auditor:
    """Audits one enclave at a time, in turn."""

    def __init__(
        self,
        enclaves: dict[int, Enclave],
        faults: FaultServer,
        statistics: Statistics,
        log: Callable[[str], None],
    ) -> None:
        self._enclaves = enclaves
        self._faults = faults
        self._statistics = statistics
        self._log = log
        self._last = 0

    def audit_next(self) -> None:
        """Audit the enclave whose turn it is."""
        if not self._enclaves:
            return
        later = [number for number in self._enclaves if number > self._last]
        self._last = min(later or self._enclaves)
        self.audit(self._enclaves[self._last])

    def audit(self, enclave: Enclave) -> bool:
        """Return whether the file of an enclave holds the pages it should; repair it otherwise."""
        self._statistics.nr_audits += 1
        if backing.nr_present(enclave.file) == enclave.nr_mapped:
            return True
        present: set[int] = set()
        for first, end in backing.present_runs(enclave.file):
            present.update(range(first, min(end, enclave.nr_pages)))
        expected = {page for page, state in enumerate(enclave.state) if state in _IN_FILE}
        for page in present - expected:
            memory.punch_hole(enclave.file, page << PAGE_SHIFT, PAGE_SIZE)
        if present - expected:
            self._statistics.nr_bypass += len(present - expected)
            self._log(
                f"{enclave}: {len(present - expected)} pages were put into its file behind the pager's back"
            )
        for page in sorted(expected - present):
            self._faults.lose_removed(enclave, page)
        return present == expected
