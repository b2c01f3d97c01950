"""Traces brought into the simulation window by window: memory stays flat however long a trace is."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.sim import layout as at
from epcgroup.sim.layout import Arrays
from epcgroup.sim.trace.format import Trace

#: References of a trace in memory for one task: 1 MiB.
WINDOW: Final = 1 << 18


class Feed:
    """Where one task stands in its trace."""

    __slots__ = ("_arrivals", "_next", "_next_arrival", "_repeat", "_task", "_trace")

    def __init__(self, task: int, trace: Trace, repeat: bool, recorded: bool) -> None:
        self._task = task
        self._trace = trace
        self._repeat = repeat
        self._arrivals = trace.arrivals if recorded else None
        self.rewind()

    @property
    def references(self) -> NDArray[np.uint32]:
        """All references of the trace, uint32, with request marks."""
        return self._trace.references

    @property
    def repeats(self) -> bool:
        """Whether the trace begins again at its end."""
        return self._repeat

    def rewind(self) -> None:
        """Begin again at the first reference."""
        self._next = self._next_arrival = 0

    def fill(self, arrays: Arrays) -> bool:
        """Bring the next references in; False at the end of a trace that does not repeat."""
        references = self._trace.references
        if self._next == len(references):
            if not self._repeat:
                return False
            self.rewind()
        row = arrays.tasks[self._task]
        first = int(row[at.WINDOW])
        chunk = references[self._next : self._next + int(row[at.ROOM])]
        arrays.references[first : first + len(chunk)] = chunk
        row[at.POSITION] = first
        row[at.END] = first + len(chunk)
        self._next += len(chunk)
        if self._arrivals is not None:
            nr_marks = int(np.count_nonzero(chunk & np.uint32(at.REQUEST_MARK)))
            coming = self._arrivals[self._next_arrival : self._next_arrival + nr_marks]
            arrays.arrivals[first : first + nr_marks] = coming
            row[at.ARRIVAL_POSITION] = first
            self._next_arrival += nr_marks
        return True
