"""The load: requests that arrive when they arrive, whether or not the store keeps up (an open loop).

One connection, requests sent without waiting for answers. Latency counts from the moment a request was due
to arrive, so a stall of the store shows in every request that it delayed. Requests still without an answer
at the end count with the time they have waited so far: they are the slowest of all.
"""

import argparse
import os
import random
import select
import socket
import sys
import time
from array import array
from collections import deque
from dataclasses import dataclass
from typing import Final

from epcgroup.client import Reporter
from epcgroup.workloads import program
from epcgroup.workloads.kv import values

_RECEIVE_BYTES: Final = 256 * 1024
#: Requests sent ahead while the store is filled.
_LOAD_WINDOW: Final = 256
#: Most requests waiting; beyond it (a store that stands still for long) new ones count as errors.
_MAX_WAITING: Final = 100_000
#: Random choices made at a time.
_CHUNK: Final = 1024
_WAIT_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask for: keys by Zipf's law, ``rate`` requests a second, ``burst`` of them at once."""

    nr_items: int
    value_bytes: int
    rate: float
    zipf: float
    set_ratio: float
    seed: int
    burst: int = 1


class ServerGoneError(Exception):
    """The store closed the connection before the end."""


class Generator:
    """A client of the store that measures; every value read is verified against the version last written."""

    def __init__(self, connection: socket.socket, load: Load, run: program.Run) -> None:
        """Take a connected stream socket."""
        self._connection = connection
        connection.setblocking(False)
        self._load = load
        self._run = run
        self._reporter: Reporter = run.reporter
        self._versions = array("I", bytes(4 * load.nr_items))
        #: (arrival in ns, item, version expected; -1: a set) of requests sent, oldest first.
        self._waiting: deque[tuple[int, int, int]] = deque()
        self._unsent = bytearray()
        self._answers = b""
        #: Filling the store is no operation: totals never go back, so they must not begin before.
        self._measuring = False
        self._random = random.Random(load.seed)
        self._weights = program.zipf_weights(load.nr_items, load.zipf)
        # Popular items lie anywhere in memory, not side by side at its beginning.
        self._items = list(range(load.nr_items))
        self._random.shuffle(self._items)

    def fill(self) -> None:
        """Store every item once.

        Raises:
            ServerGoneError: the store is gone.
        """
        item = 0
        while (item < self._load.nr_items or self._waiting) and not self._run.stopped:
            while item < self._load.nr_items and len(self._waiting) < _LOAD_WINDOW:
                self._set(time.monotonic_ns(), item)
                item += 1
            self._exchange(_WAIT_S)

    def work(self) -> None:
        """Send requests as they arrive until the end.

        Raises:
            ServerGoneError: the store is gone.
        """
        load, run = self._load, self._run
        self._measuring = True
        self._reporter.enter("run")
        arrivals = program.Arrivals(load.rate, load.seed, time.monotonic_ns(), load.burst)
        choices: list[int] = []
        while not run.stopped:
            now_ns = time.monotonic_ns()
            while arrivals.moment_ns <= now_ns:
                choices = choices or self._random.choices(self._items, cum_weights=self._weights, k=_CHUNK)
                self._request(arrivals.moment_ns, choices.pop())
                arrivals.advance()
            self._exchange(min(_WAIT_S, (arrivals.moment_ns - now_ns) / 1e9))
        self._close_books()

    def _request(self, arrival_ns: int, item: int) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            self._reporter.errors += 1
        elif self._random.random() < self._load.set_ratio:
            self._set(arrival_ns, item)
        else:
            self._waiting.append((arrival_ns, item, self._versions[item]))
            self._unsent += b"get k%d\r\n" % item

    def _set(self, arrival_ns: int, item: int) -> None:
        # The store works in the order of requests, so a get sent later must see this version.
        version = self._versions[item] + 1
        self._versions[item] = version
        value = values.make(item, version, self._load.value_bytes)
        self._waiting.append((arrival_ns, item, -1))
        self._unsent += b"set k%d 0 0 %d\r\n%s\r\n" % (item, len(value), value)

    def _exchange(self, wait_s: float) -> None:
        # select, unlike epoll, waits for less than a millisecond.
        writing = [self._connection] if self._unsent else []
        readable, writable, _ = select.select([self._connection], writing, [], max(wait_s, 0))
        try:
            if writable:
                sent = self._connection.send(self._unsent)
                del self._unsent[:sent]
            if readable:
                self._receive(self._connection.recv(_RECEIVE_BYTES))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ServerGoneError("the store closed the connection") from error
        self._reporter.tick()

    def _receive(self, data: bytes) -> None:
        if not data:
            raise ServerGoneError("the store closed the connection")
        now_ns = time.monotonic_ns()
        data = self._answers + data
        position = 0
        while self._waiting:
            after = self._answer(data, position, now_ns)
            if after < 0:
                break
            position = after
        self._answers = data[position:]

    def _answer(self, data: bytes, position: int, now_ns: int) -> int:
        # Judge the answer to the oldest request; return the position after it, -1 if it is not complete.
        end = data.find(b"\r\n", position)
        if end < 0:
            return -1
        after = end + 2
        line = data[position:end]
        value: bytes | None = None
        if line.startswith(b"VALUE "):
            length = int(line.rpartition(b" ")[2])
            value = data[after : after + length]
            after += length + len(b"\r\nEND\r\n")
            if len(data) < after:
                return -1
        arrival_ns, item, version = self._waiting.popleft()
        self._judge(line, value, item, version)
        if self._measuring:
            self._reporter.operations += 1
            self._reporter.latency.add(now_ns - arrival_ns)
        return after

    def _judge(self, line: bytes, value: bytes | None, item: int, version: int) -> None:
        reporter = self._reporter
        if value is not None and version >= 0:
            if values.is_right(value, item, version, self._load.value_bytes):
                reporter.verified_bytes += len(value)
            else:
                self._complain(f"item {item} is not what was stored (version {version})")
        elif line == b"END" and version >= 0:
            self._complain(f"item {item} is lost")
        elif line.startswith(b"SERVER_ERROR checksum"):
            self._complain(line.decode(errors="replace"))
        elif not (line == b"STORED" and version < 0):
            reporter.errors += 1
            if reporter.errors == 1:
                print(f"kv: {line.decode(errors='replace')}", file=sys.stderr)

    def _complain(self, text: str) -> None:
        if not self._reporter.checksum_errors:
            print(f"kv: wrong data: {text}", file=sys.stderr)
        self._reporter.checksum_errors += 1

    def _close_books(self) -> None:
        now_ns = time.monotonic_ns()
        for arrival_ns, _, _ in self._waiting:
            self._reporter.latency.add(now_ns - arrival_ns)


def summary(reporter: Reporter, seconds: float) -> str:
    """Return the result in a line for people."""
    latency = reporter.latency
    shown = ", ".join(f"p{p:g} {(latency.percentile(p) or 0) / 1000:.0f} µs" for p in (50, 90, 99, 99.9))
    return (
        f"kv: {reporter.operations} requests in {seconds:.1f} s"
        f" ({reporter.operations / seconds:.0f}/s), {shown};"
        f" {reporter.verified_bytes} bytes verified, {reporter.checksum_errors} checksum errors,"
        f" {reporter.errors} other errors"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe the load."""
    parser.add_argument("--items", type=int, default=0, help="items stored; 0: as many as fill 3/4 of --size")
    parser.add_argument("--value-size", type=program.size, default="1000", help="size of a value in bytes")
    parser.add_argument("--rate", type=float, default=500, help="requests a second on average")
    parser.add_argument("--burst", type=int, default=1, help="requests that arrive together; the rate stays")
    parser.add_argument("--zipf", type=float, default=0.99, help="skew of the keys: 0 uniform, 0.99 as YCSB")
    parser.add_argument("--set-ratio", type=float, default=0.1, help="share of writes, 0 to 1")


def main(arguments: list[str] | None = None) -> int:
    """Load a store that listens already; see ``--help``."""
    parser = program.parser("kv.generator", __doc__.partition("\n")[0])
    parser.add_argument("--connect", required=True, metavar="PATH", help="unix socket of the store")
    add_options(parser)
    options = parser.parse_args(arguments)
    # It has no data of its own: a page of ordinary memory.
    options.size, options.plain = os.sysconf("SC_PAGE_SIZE"), True
    return program.main(_work, options)


def _work(run: program.Run, options: argparse.Namespace) -> int:
    load = Load(
        options.items,
        options.value_size,
        options.rate,
        options.zipf,
        options.set_ratio,
        options.seed,
        max(options.burst, 1),
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(options.connect)
            generator = Generator(connection, load, run)
            generator.fill()
            start_ns = time.monotonic_ns()
            if not run.stopped:
                generator.work()
        except (ServerGoneError, ConnectionError, FileNotFoundError) as error:
            print(f"kv: {error}", file=sys.stderr)
            return program.EXIT_UNAVAILABLE
    seconds = max((time.monotonic_ns() - start_ns) / 1e9, 1e-9)
    print(summary(run.reporter, seconds), file=sys.stderr)
    return program.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
