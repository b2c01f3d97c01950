"""What all workloads share: options, memory, a clean end on SIGTERM, pacing, exit codes.

A workload is a function ``work(run, options)``; it uses ``run.memory`` for all of its data, counts into
``run.reporter`` and returns when ``run.stopped`` is true.
"""

import argparse
import contextlib
import faulthandler
import mmap
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

from epcgroup.client import Enclave, Reporter
from epcgroup.errors import EpcError, UsageError
from epcgroup.units import PAGE_SIZE, parse_size

EXIT_OK: Final = 0
#: Exit codes as in sysexits.h: wrong usage, wrong data (a checksum error), no pager or no EPC.
EXIT_USAGE: Final = 64
EXIT_CHECKSUM: Final = 65
EXIT_UNAVAILABLE: Final = 69
#: Longest sleep at a stretch: SIGTERM is seen and a report written at least this often.
_NAP_NS: Final = 100_000_000
#: Byte of every page that ``--corrupt-after`` flips: in the middle, the high byte of a word of 4 bytes.
_FLIPPED_BYTE: Final = PAGE_SIZE // 2 + 3


class WrongDataError(Exception):
    """Data read back is not what was written: memory was lost or changed."""


class Run:
    """A running workload.

    Attributes:
        memory: all the memory there is, format ``B``; enclave memory unless ``--plain``.
        reporter: totals to count into.
    """

    def __init__(
        self,
        memory: memoryview,
        reporter: Reporter,
        duration_s: float | None = None,
        corrupt_after: int | None = None,
    ) -> None:
        self.memory = memory
        self.reporter = reporter
        self.on_stop: Callable[[], None] = lambda: None
        self._stopped = False
        self._deadline_ns = None if duration_s is None else time.monotonic_ns() + int(duration_s * 1e9)
        self._corrupt_after = corrupt_after

    @property
    def stopped(self) -> bool:
        """Whether the program shall end: SIGTERM or SIGINT came, or its time is over."""
        if not self._stopped and self._deadline_ns is not None and time.monotonic_ns() >= self._deadline_ns:
            self.stop()
        return self._stopped

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """End soon; also a signal handler."""
        self._stopped = True
        self.on_stop()

    def tick(self) -> None:
        """Between two operations: report if it is time, and corrupt memory if a test asked for it."""
        self.reporter.tick()
        self.corrupt_if_due()

    def corrupt_if_due(self) -> None:
        """Serve the test aid ``--corrupt-after``."""
        if self._corrupt_after is not None and self.reporter.operations >= self._corrupt_after:
            self._corrupt_after = None
            corrupt(self.memory)

    def sleep_until(self, moment_ns: int) -> bool:
        """Wait for a moment of CLOCK_MONOTONIC; False at once if the program shall end."""
        while not self.stopped:
            left_ns = moment_ns - time.monotonic_ns()
            if left_ns <= 0:
                return True
            self.reporter.tick()
            time.sleep(min(left_ns, _NAP_NS) / 1e9)
        return False


def corrupt(memory: memoryview) -> None:
    """Flip a byte in the middle of every page, as a fault of the memory would: a test aid."""
    for position in range(_FLIPPED_BYTE, len(memory), PAGE_SIZE):
        memory[position] ^= 0xFF


#: A workload: does everything, returns an exit code or None for success.
Work = Callable[[Run, argparse.Namespace], int | None]


class Arrivals:
    """Moments at which requests arrive, whatever the program does meanwhile (an open loop).

    Latency counts from such a moment, not from when the program got round to the request; otherwise a stall
    would hide the requests that waited behind it ("coordinated omission").
    """

    __slots__ = ("_burst", "_left", "_mean_ns", "_random", "moment_ns")

    def __init__(self, rate: float, seed: int, start_ns: int, burst: int = 1) -> None:
        """Poisson arrivals of ``burst`` requests at once, ``rate`` a second on average, from ``start_ns``."""
        self._mean_ns = 1e9 / rate * burst
        self._burst, self._left = burst, 1
        self._random = random.Random(seed)
        self.moment_ns = start_ns
        self.advance()

    def advance(self) -> None:
        """Go on to the next arrival; its moment is ``moment_ns``."""
        self._left -= 1
        if not self._left:
            self._left = self._burst
            self.moment_ns += int(self._random.expovariate(1.0) * self._mean_ns)


def paced(run: Run, rate: float, seed: int) -> Iterator[int]:
    """Yield the arrival moment of one request after the other until the program shall end.

    With a rate of 0 the next request arrives when the one before is done (a closed loop).
    """
    arrivals = Arrivals(rate, seed, time.monotonic_ns()) if rate else None
    moment_ns = time.monotonic_ns()
    while run.sleep_until(moment_ns):
        yield moment_ns
        run.tick()
        if arrivals is None:
            moment_ns = time.monotonic_ns()
        else:
            moment_ns = arrivals.moment_ns
            arrivals.advance()


def zipf_weights(nr_items: int, exponent: float) -> list[float]:
    """Return cumulative weights of ranks 1..n under Zipf's law; exponent 0 is uniform."""
    weights: list[float] = []
    total = 0.0
    for rank in range(1, nr_items + 1):
        total += rank**-exponent
        weights.append(total)
    return weights


def size(text: str) -> int:
    """Read a size option."""
    try:
        return parse_size(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options every workload has."""
    made = argparse.ArgumentParser(
        prog=f"python -m epcgroup.workloads.{name}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--size", type=size, default="24Mi", help="enclave memory, for example 64Mi")
    made.add_argument("--plain", action="store_true", help="use ordinary memory instead, to compare")
    made.add_argument("--socket", help="socket of the pager (default: $EPCG_SOCKET)")
    made.add_argument("--duration", type=float, help="seconds to run; without it until SIGTERM")
    made.add_argument("--seed", type=int, default=1, help="seed of all random choices")
    made.add_argument(
        "--corrupt-after", type=int, metavar="N", help="test aid: damage memory after N operations"
    )
    return made


@contextlib.contextmanager
def open_memory(size_bytes: int, plain: bool, socket: str | None) -> Iterator[memoryview]:
    """Lend enclave memory (or ordinary memory, private to this process) of a number of bytes."""
    if plain:
        yield memoryview(mmap.mmap(-1, size_bytes))
        return
    with Enclave(size_bytes, socket=socket) as enclave:
        if enclave.note:
            print(f"note: {enclave.note}", file=sys.stderr)
        yield enclave.memory


def exact_timers() -> None:
    """Let sleeps end on time: by default the kernel may delay the end of one by 50 µs."""
    with contextlib.suppress(OSError), open("/proc/self/timerslack_ns", "w", encoding="ascii") as file:
        file.write("1000")


def main(work: Work, options: argparse.Namespace, reporter: Reporter | None = None) -> int:
    """Run a workload with its options to its end and return the exit code."""
    faulthandler.enable()  # a page that is refused or lost is SIGBUS: say where
    exact_timers()
    reporter = reporter or Reporter()
    code: int | None = EXIT_OK
    try:
        with open_memory(options.size, options.plain, options.socket) as memory:
            run = Run(memory, reporter, options.duration, options.corrupt_after)
            signal.signal(signal.SIGTERM, run.stop)
            signal.signal(signal.SIGINT, run.stop)
            code = _guarded(work, run, options)
            # It ends anyway; a signal that comes late must not change the exit code.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except EpcError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    finally:
        reporter.close()
    if reporter.checksum_errors:
        print(f"error: {reporter.checksum_errors} checksum errors", file=sys.stderr)
        return EXIT_CHECKSUM
    return code or EXIT_OK


def _guarded(work: Work, run: Run, options: argparse.Namespace) -> int | None:
    try:
        return work(run, options)
    except WrongDataError as error:
        run.reporter.checksum_errors += 1
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CHECKSUM
