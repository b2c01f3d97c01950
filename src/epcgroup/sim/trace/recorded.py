"""What a pager has recorded, as a trace: every event a request of one reference, with its time.

Faults are exact. Touches seen by the ager are a sample of all touches: a trace that holds them is marked
``"estimated": true`` in its provenance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.abi.recording import WORDS, Kind
from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.arrivals import Arrivals
from epcgroup.sim.trace.format import MAX_PAGES, REQUEST_MARK
from epcgroup.sim.trace.writer import TraceWriter

#: Unit of the arrivals.
UNIT_NS: Final = 1000
_MARK: Final = np.uint32(REQUEST_MARK)
_KIND_SHIFT: Final = np.uint64(60)
_ENCLAVE_SHIFT: Final = np.uint64(32)
_ENCLAVE_MASK: Final = np.uint64(0x0FFF_FFFF)
_PAGE_MASK: Final = np.uint64(0xFFFF_FFFF)


@dataclass(slots=True)
class Counts:
    """How many events there were."""

    created: int = 0
    loaded: int = 0
    young: int = 0

    @property
    def faults(self) -> int:
        """Pages brought in."""
        return self.created + self.loaded


class Transcript:
    """Writes events to a trace as they come.

    Attributes:
        counts: of the events so far, also of those that are left out.
    """

    def __init__(self, writer: TraceWriter, *, faults_only: bool) -> None:
        """``faults_only``: touches seen by the ager are counted but not written."""
        self._writer = writer
        self._faults_only = faults_only
        self._arrivals = Arrivals("recording")
        self._nr_events = 0
        self.counts = Counts()

    def add(self, words: Sequence[int], enclaves: Sequence[int]) -> None:
        """Write events.

        Args:
            words: as of ``abi.recording.decode``.
            enclaves: pages of each enclave so far; their pages follow one another in the trace.

        Raises:
            TraceFormatError: the events contradict the enclaves.
        """
        events = np.asarray(words, np.uint64).reshape(-1, WORDS)
        if not len(events):
            return
        kinds = events[:, 1] >> _KIND_SHIFT
        references = self._references(events[:, 1], np.asarray(enclaves, np.int64))
        self._count(kinds)
        kept = kinds != Kind.YOUNG if self._faults_only else np.ones(len(events), bool)
        lines = np.arange(self._nr_events + 1, self._nr_events + 1 + len(events))
        self._nr_events += len(events)
        times = events[:, 0] // np.uint64(UNIT_NS)
        self._writer.append(references[kept], self._arrivals.since_last(times[kept], lines[kept]))

    def _references(self, words: NDArray[np.uint64], sizes: NDArray[np.int64]) -> NDArray[np.uint32]:
        enclaves = (words >> _ENCLAVE_SHIFT & _ENCLAVE_MASK).astype(np.int64)
        pages = (words & _PAGE_MASK).astype(np.int64)
        ends = np.cumsum(sizes)
        if not len(sizes) or int(enclaves.max()) >= len(sizes) or (pages >= sizes[enclaves]).any():
            raise TraceFormatError("the pager tells of a page that no enclave of the recording has")
        if int(ends[-1]) > MAX_PAGES:
            raise TraceFormatError(f"enclaves of {int(ends[-1])} pages: a trace has at most {MAX_PAGES}")
        self._writer.nr_pages = max(self._writer.nr_pages, int(ends[-1]))
        return (pages + (ends - sizes)[enclaves]).astype(np.uint32) | _MARK

    def _count(self, kinds: NDArray[np.uint64]) -> None:
        by_kind = np.bincount(kinds.astype(np.int64), minlength=len(Kind) + 1)
        self.counts.created += int(by_kind[Kind.CREATED])
        self.counts.loaded += int(by_kind[Kind.LOADED])
        self.counts.young += int(by_kind[Kind.YOUNG])
