"""Small programs written into a test, run as clients of a pager in a process of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from live_pager import end, read_line

DEAF = Path(__file__).with_name("deaf_pager.py")
#: What every program begins with.
PRELUDE = """
import os, signal, sys, threading, time
from epcgroup.client import Enclave
from epcgroup.errors import *
def say(*words): print(*words, flush=True)
def wait(): sys.stdin.readline()
"""
Program = subprocess.Popen[str]


def start(code: str, socket: Path | str, user: int | None = None) -> Program:
    """Start a program, as another user if wanted; it may ``say`` lines and ``wait`` for one."""
    # Only after its imports: the interpreter may lie where nobody else may look.
    drop = f"os.setgroups([]); os.setgid({user}); os.setuid({user})\n" if user is not None else ""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + drop + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EPCG_SOCKET": str(socket)},
    )


@contextmanager
def program(code: str, socket: Path | str, user: int | None = None) -> Iterator[Program]:
    """Lend a running program and make sure that it is gone afterwards."""
    process = start(code, socket, user)
    try:
        yield process
    finally:
        end(process)


def run(code: str, socket: Path | str, user: int | None = None) -> str:
    """Run a program to its end, which must be a good one, and return what it said."""
    with program(code, socket, user) as process:
        said, complaint = process.communicate(timeout=90)
        assert process.returncode == 0, complaint
        return said.strip()


def heard(process: Program, word: str) -> None:
    """Wait until a program says a word."""
    line = read_line(process, 60).strip()
    assert line == word, line or (process.stderr and process.stderr.read())


@contextmanager
def deaf_pager(folder: Path, pages_served: int, device: bool = True) -> Iterator[tuple[Program, Path]]:
    """Lend a pager that serves only the first pages of an enclave, see ``deaf_pager.py``."""
    path = folder / "deaf.sock"
    kind = "device" if device else "plain"
    process = subprocess.Popen(
        [sys.executable, str(DEAF), str(path), str(pages_served), kind], stdout=subprocess.PIPE, text=True
    )
    try:
        heard(process, "ready")
        yield process, path
    finally:
        end(process)
