"""Starts the store in enclave memory and a load generator in a second process that talks to it.

The generator measures and reports; its exit code is that of the program. With ``--rate 0`` only the store
runs, for clients of your own (``--listen PATH``).
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, Final

from epcgroup.client import Reporter
from epcgroup.errors import UsageError
from epcgroup.workloads import program
from epcgroup.workloads.kv import generator, values
from epcgroup.workloads.kv.server import Server
from epcgroup.workloads.kv.store import HEADER_BYTES, Store

#: Share of the memory that ``--items 0`` fills; classes and tables need some of the rest.
_FILL: Final = 0.75
_KEY_BYTES: Final = 8
#: How long the generator may take to write its last report after SIGTERM.
_GRACE_S: Final = 5.0


def nr_items_for(memory_bytes: int, value_bytes: int) -> int:
    """Return how many items fill the usual share of the memory."""
    return max(1, int(memory_bytes * _FILL) // (HEADER_BYTES + _KEY_BYTES + value_bytes))


def start_generator(path: str, nr_items: int, options: argparse.Namespace) -> "subprocess.Popen[Any]":
    """Start the load generator as a child."""
    command: list[object] = [sys.executable, "-m", "epcgroup.workloads.kv.generator", "--connect", path]
    command += ["--items", nr_items, "--value-size", options.value_size, "--rate", options.rate]
    command += [
        "--burst",
        options.burst,
        "--zipf",
        options.zipf,
        "--set-ratio",
        options.set_ratio,
        "--seed",
        options.seed,
    ]
    if options.load_duration is not None:
        command += ["--duration", options.load_duration]
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL)


def watch(run: program.Run, server: Server, child: "subprocess.Popen[Any]") -> Callable[[], bool]:
    """Return what the server asks whether to go on: until the generator ends, as SIGTERM makes it do."""
    forwarded_s: list[float] = []

    def go_on() -> bool:
        if run.stopped and not forwarded_s:
            forwarded_s.append(time.monotonic())
            child.send_signal(signal.SIGTERM)
        if forwarded_s and time.monotonic() > forwarded_s[0] + _GRACE_S:
            child.kill()
        corrupt_if_asked(run, server)
        return child.poll() is None

    return go_on


def corrupt_if_asked(run: program.Run, server: Server) -> None:
    """Serve the test aid ``--corrupt-after``: here operations are the commands the server has answered."""
    run.reporter.operations = server.nr_commands
    run.corrupt_if_due()


def alone(run: program.Run, server: Server) -> Callable[[], bool]:
    """Return what the server asks whether to go on when it reports by itself."""

    def go_on() -> bool:
        run.reporter.checksum_errors = server.nr_wrong
        run.reporter.operations = server.nr_commands
        run.tick()
        return not run.stopped

    return go_on


def work(run: program.Run, options: argparse.Namespace) -> int:
    """Serve until the end and return the exit code."""
    if not values.MIN_BYTES <= options.value_size <= values.MAX_BYTES:
        raise UsageError(
            f"--value-size {options.value_size}: expected {values.MIN_BYTES} to {values.MAX_BYTES} bytes"
        )
    store = Store(run.memory)
    with tempfile.TemporaryDirectory(prefix="epcgroup-kv-") as folder:
        path = options.listen or os.path.join(folder, "kv.sock")
        with Server(store, path) as server:
            if not options.rate:
                run.reporter.enter("run")
                server.serve(alone(run, server))
                return program.EXIT_OK
            nr_items = options.items or nr_items_for(len(run.memory), options.value_size)
            child = start_generator(path, nr_items, options)
            try:
                server.serve(watch(run, server, child))
            finally:
                child.kill()
                code = child.wait()
            return code if code >= 0 else program.EXIT_UNAVAILABLE


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of its command line."""
    parser = program.parser("kv", __doc__.partition("\n")[0])
    parser.add_argument("--listen", metavar="PATH", help="unix socket to serve at (default: a private one)")
    generator.add_options(parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; see ``--help``."""
    options = make_parser().parse_args(arguments)
    if not options.rate:
        return program.main(work, options)
    # The generator keeps the time and writes the reports; this process only ends with it.
    options.load_duration, options.duration = options.duration, None
    return program.main(work, options, Reporter(os.devnull))


if __name__ == "__main__":
    sys.exit(main())
