"""The greedy neighbour: takes more and more memory and sweeps over all of it, again and again.

Every page is written full of a stamp of its number and version, and the whole page is checked when the
sweep comes round to it. An LRU likes nothing less: by the time a page is wanted again it is the oldest.
"""

import argparse
import itertools
import sys
import time
from array import array
from typing import Final

from epcgroup.client.report import Reporter
from epcgroup.units import PAGE_SIZE, nr_pages
from epcgroup.workloads import program

_STAMP_BYTES: Final = 8
_ZERO_PAGE: Final = bytes(PAGE_SIZE)


def stamp(page: int, version: int) -> bytes:
    """Return the full content of a page: its number and version over and over; version 0 is all zeros."""
    if version == 0:
        return _ZERO_PAGE
    return (page | version << 32).to_bytes(_STAMP_BYTES, "little") * (PAGE_SIZE // _STAMP_BYTES)


class Sweeper:
    """Stamped memory; ``versions`` (uint32 a page, ordinary memory) says what each page must hold."""

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory
        self.versions = array("I", bytes(4 * (len(memory) // PAGE_SIZE)))

    def visit(self, page: int) -> bool:
        """Check a page and give it its next stamp; False if it did not hold the last one."""
        start = page * PAGE_SIZE
        place = self.memory[start : start + PAGE_SIZE]
        version = self.versions[page]
        good = bytes(place) == stamp(page, version)
        place[:] = stamp(page, version + 1)
        self.versions[page] = version + 1
        return good


def reach(elapsed_s: float, start: int, growth: float, limit: int) -> int:
    """Return how many pages are in use after a time: ``start``, then ``growth`` pages a second more."""
    return min(limit, start + int(elapsed_s * growth))


def visit(sweeper: Sweeper, page: int, reporter: Reporter, arrival_ns: int) -> None:
    """Visit one page as one operation that counts from its arrival."""
    if sweeper.visit(page):
        reporter.verified_bytes += PAGE_SIZE
    else:
        reporter.checksum_errors += 1
    reporter.operations += 1
    reporter.latency.add(time.monotonic_ns() - arrival_ns)


def work(run: program.Run, options: argparse.Namespace) -> None:
    """Sweep until the end, over memory that grows from a first step to all of it."""
    sweeper = Sweeper(run.memory)
    all_pages = len(run.memory) // PAGE_SIZE
    growth = nr_pages(options.growth) if options.growth is not None else all_pages
    start_ns = time.monotonic_ns()
    interval_ns = 1e9 / options.rate if options.rate else 0
    run.reporter.enter("run")
    page = 0
    for number in itertools.count():
        arrival_ns = start_ns + int(number * interval_ns) if interval_ns else time.monotonic_ns()
        if not run.sleep_until(arrival_ns):
            return
        visit(sweeper, page, run.reporter, arrival_ns)
        run.tick()
        used = reach((time.monotonic_ns() - start_ns) / 1e9, min(growth, all_pages), growth, all_pages)
        page = page + 1 if page + 1 < used else 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of its command line."""
    parser = program.parser("scan", __doc__.partition("\n")[0])
    parser.add_argument(
        "--growth", type=program.size, metavar="SIZE", help="memory added a second (default: all at once)"
    )
    parser.add_argument("--rate", type=float, default=0, help="pages a second; 0: as fast as it can")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; see ``--help``."""
    return program.main(work, make_parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
