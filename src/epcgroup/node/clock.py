"""Time as an object, so that what waits can be told the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """A clock that can be waited on."""

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds."""
        ...

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds."""
        return time.monotonic_ns()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)
