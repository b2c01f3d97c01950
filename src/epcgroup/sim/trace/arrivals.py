"""Times of requests as a trace keeps them: the time since the request before, in a unit, 32 bits each."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.errors import TraceFormatError

_MAX_DELTA: Final = 2**32 - 1
_MAX_TIME: Final = 2**63 - 1


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
        if int(times.max()) > _MAX_TIME:
            at = int(np.argmax(times))
            raise TraceFormatError(
                f"{self._name}, line {int(lines[at])}: time {int(times[at])} is beyond {_MAX_TIME} units"
            )
        signed = times.astype(np.int64)
        before = int(signed[0]) if self._last is None else self._last
        differences = np.diff(signed, prepend=before)
        if int(differences.min()) < 0 or int(differences.max()) > _MAX_DELTA:
            at = int(np.argmax((differences < 0) | (differences > _MAX_DELTA)))
            raise TraceFormatError(
                f"{self._name}, line {int(lines[at])}: time {int(signed[at])} comes"
                f" {int(differences[at])} units after the one before: allowed are 0 to {_MAX_DELTA}"
            )
        self._last = int(signed[-1])
        return differences.astype(np.uint32)
