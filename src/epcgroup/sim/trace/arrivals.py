"""Times of requests as a trace keeps them: the time since the request before, in a unit, 32 bits each."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit, nth
from epcgroup.errors import TraceFormatError

_MAX_DELTA: Final = 2**32 - 1
_MAX_TIME: Final = 2**63 - 1


@jit
def _differences(times: NDArray[np.uint64], last: int, out: NDArray[np.uint32]) -> bool:
    """Fill ``out`` with the difference of each time to the one before; False if one is not allowed."""
    before = np.uint64(last)
    for index in range(len(times)):
        time = times[nth(index)]
        difference = time - before
        if time < before or difference > np.uint64(_MAX_DELTA) or time > np.uint64(_MAX_TIME):
            return False
        out[nth(index)] = np.uint32(difference)
        before = time
    return True


class Arrivals:
    """Turns times that never go back into differences; the first time of all is the start of the trace."""

    def __init__(self, name: str) -> None:
        """``name``: of the source, for messages."""
        self._name = name
        self._last: int | None = None

    def since_last(self, times: NDArray[np.uint64], lines: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the differences of times, uint32, the first to the last time of the call before.

        Args:
            times: in the unit of the trace.
            lines: number of the line of each, for messages.

        Raises:
            TraceFormatError: a time is before the one before it, or more than 2^32 - 1 units after it.
        """
        if not len(times):
            return np.empty(0, np.uint32)
        before = min(int(times[0]), _MAX_TIME) if self._last is None else self._last
        differences = np.empty(len(times), np.uint32)
        if not _differences(np.ascontiguousarray(times), before, differences):
            raise TraceFormatError(self._complaint(times, lines))
        self._last = int(times[-1])
        return differences

    def _complaint(self, times: NDArray[np.uint64], lines: NDArray[np.int64]) -> str:
        """Return what is wrong with some times."""
        if int(times.max()) > _MAX_TIME:
            at = int(np.argmax(times))
            return f"{self._name}, line {int(lines[at])}: time {int(times[at])} is beyond {_MAX_TIME} units"
        signed = times.astype(np.int64)
        differences = np.diff(signed, prepend=int(signed[0]) if self._last is None else self._last)
        at = int(np.argmax((differences < 0) | (differences > _MAX_DELTA)))
        return (
            f"{self._name}, line {int(lines[at])}: time {int(signed[at])} comes"
            f" {int(differences[at])} units after the one before: allowed are 0 to {_MAX_DELTA}"
        )
