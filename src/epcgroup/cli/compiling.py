"""A line on standard error when a command keeps a person waiting because the engine is being compiled.

A machine compiles each version once; from then on the code is loaded. Less than a second is not worth a line.
Imports Numba: to be imported by commands that are going to use the engine.
"""

import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Final

from numba.core import event

_PATIENCE_NS: Final = 1_000_000_000
LINE: Final = "epcg: compiling the engine, once for this version (some seconds) ..."


class Waiting(event.Listener):
    """Adds up the time functions took to compile, and says the line once when it passes a second."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._depth = 0
        self._began_ns = 0
        self._spent_ns = 0
        self._said = False

    def on_start(self, event: event.Event) -> None:
        """A compilation begins; those of callees are nested in it."""
        now_ns = self._clock_ns()
        if not self._depth:
            self._began_ns = now_ns
        self._depth += 1
        if not self._said and self._spent_ns + now_ns - self._began_ns > _PATIENCE_NS:
            self._said = True
            print(LINE, file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """A compilation has ended."""
        self._depth -= 1
        if not self._depth:
            self._spent_ns += self._clock_ns() - self._began_ns


@cache
def say_when_compiling() -> None:
    """From now on in this process, say when compiling takes more than a second; once is enough."""
    event.register("numba:compile", Waiting())  # type: ignore[no-untyped-call]
