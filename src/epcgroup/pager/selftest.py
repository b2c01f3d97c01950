"""Asks the running kernel which way of evicting is right on it, with the very calls eviction will use.

Runs before any client is there, on scratch files made as the backing files are made. It proves the mechanism
(the pipe holds a reference; a protected writer sleeps and wakes), not the absence of races.
"""

import ctypes
import fcntl
import mmap
import os
import select
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from epcgroup.abi import memory
from epcgroup.abi import userfaultfd as uffd
from epcgroup.errors import NotSupportedError
from epcgroup.pager import runs
from epcgroup.pager.backing import Backing
from epcgroup.pager.buffer import Buffer
from epcgroup.pager.evict import Evictor, SpliceEvictor, WriteProtectEvictor
from epcgroup.pager.pages import Pages
from epcgroup.units import PAGE_SIZE

_WAIT_MS = 2000
#: Long enough for a thread that was wrongly woken to show up.
_QUIET_MS = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a method works, and what was seen otherwise."""

    ok: bool
    detail: str = "works"


def _scratch(stack: ExitStack, backing: Backing) -> tuple[int, mmap.mmap]:
    fd = backing.create(2)
    stack.callback(os.close, fd)
    return fd, stack.enter_context(mmap.mmap(fd, 2 * PAGE_SIZE))


def splice_is_reference(backing: Backing) -> Verdict:
    """Splice a page, change it, punch it: the pipe must give the change (a copy would give the old bytes)."""
    with ExitStack() as stack:
        fd, region = _scratch(stack, backing)
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        stack.callback(os.close, reader)
        stack.callback(os.close, writer)
        pages, buffer = Pages(), Buffer(1)
        pages.fill((1,))
        region[PAGE_SIZE : PAGE_SIZE + 4] = b"old!"
        failed = runs.refer(fd, writer, pages.array, 1)
        region[PAGE_SIZE : PAGE_SIZE + 4] = b"new!"
        failed = failed or runs.punch(fd, pages.array, 1)
        failed = failed or runs.drain(reader, buffer.address, PAGE_SIZE, pages.array)
        if failed:
            return Verdict(False, f"a call failed: {runs.error_of(failed)[1]}")
        if bytes(buffer.view[:4]) != b"new!":
            return Verdict(False, "the pipe holds a copy of the page, not the page")
        if region[PAGE_SIZE : PAGE_SIZE + 4] != bytes(4):
            return Verdict(False, "a punched page is still mapped")
        return Verdict(True)


class _ProtectTrial:
    """A page that a thread of ours writes to while it is protected, read and punched."""

    def __init__(self, stack: ExitStack, backing: Backing) -> None:
        self.fd, region = _scratch(stack, backing)
        first = ctypes.c_char.from_buffer(region)
        self.address = ctypes.addressof(first)
        del first
        self.uffd = uffd.open_userfaultfd().fd
        self._close = stack.callback(self._release)
        self._poll = select.poll()
        self._poll.register(self.uffd, select.POLLIN)
        self._thread: threading.Thread | None = None

    def _release(self) -> None:
        # Without a userfaultfd the region is ordinary again: a thread that sleeps on it goes on.
        os.close(self.uffd)
        if self._thread is not None:
            self._thread.join()

    def flags(self, wait_ms: int) -> int | None:
        """Flags of the next fault message, None if none comes."""
        if not self._poll.poll(wait_ms):
            return None
        event, flags, _, _ = uffd.MESSAGE_STRUCT.unpack(os.read(self.uffd, uffd.MESSAGE_STRUCT.size))
        return int(flags) if event == uffd.Event.PAGEFAULT else None

    def write_in_thread(self) -> None:
        """Let a thread write a ``J`` to the first byte; the call drops the GIL while it sleeps."""
        self._thread = threading.Thread(target=ctypes.memset, args=(self.address, ord("J"), 1), daemon=True)
        self._thread.start()

    def copy(self, content: bytes) -> None:
        """Put a page in place."""
        source = ctypes.create_string_buffer(content.ljust(PAGE_SIZE, b"\0"), PAGE_SIZE)
        argument = uffd.COPY_STRUCT.pack(self.address, ctypes.addressof(source), PAGE_SIZE, 0, 0)
        fcntl.ioctl(self.uffd, uffd.UFFDIO_COPY, bytearray(argument))

    def protect(self) -> None:
        """Stop writers."""
        argument = uffd.WRITEPROTECT_STRUCT.pack(self.address, PAGE_SIZE, uffd.WRITEPROTECT_MODE_WP)
        fcntl.ioctl(self.uffd, uffd.UFFDIO_WRITEPROTECT, bytearray(argument))

    def wake(self) -> None:
        """Wake sleepers."""
        fcntl.ioctl(self.uffd, uffd.UFFDIO_WAKE, bytearray(uffd.RANGE_STRUCT.pack(self.address, PAGE_SIZE)))

    def result(self) -> bytes:
        """What the page holds once the thread has ended."""
        if self._thread is not None:
            self._thread.join(_WAIT_MS / 1000)
        return os.pread(self.fd, 5, 0)


def write_protect_works(backing: Backing) -> Verdict:
    """Protect a page, let a writer run into it, punch, wake: the writer must fault anew and lose nothing."""
    wanted = uffd.Feature.PAGEFAULT_FLAG_WP | uffd.Feature.WP_HUGETLBFS_SHMEM
    if uffd.offered_features() & wanted != wanted:
        return Verdict(False, "this kernel cannot write-protect shared memory")
    with ExitStack() as stack:
        trial = _ProtectTrial(stack, backing)
        try:
            uffd.enable(trial.uffd, wanted)
            modes = uffd.RegisterMode.MISSING | uffd.RegisterMode.WP
            uffd.register(trial.uffd, trial.address, PAGE_SIZE, modes)
            return _try_protect(trial)
        except OSError as error:
            return Verdict(False, f"a call failed: {error.strerror}")


def _try_protect(trial: _ProtectTrial) -> Verdict:
    trial.copy(b"HELLO")
    trial.protect()
    trial.write_in_thread()
    if trial.flags(_WAIT_MS) != uffd.FaultFlag.WRITE | uffd.FaultFlag.WP:
        return Verdict(False, "a write to a protected page is not reported")
    data = os.pread(trial.fd, 5, 0)
    memory.punch_hole(trial.fd, 0, PAGE_SIZE)
    if data != b"HELLO" or trial.flags(_QUIET_MS) is not None:
        return Verdict(False, "a writer did not stay asleep while its page was taken")
    trial.wake()
    if trial.flags(_WAIT_MS) != uffd.FaultFlag.WRITE:
        return Verdict(False, "a woken writer does not fault anew")
    trial.copy(data)
    seen = trial.result()
    return Verdict(seen == b"JELLO", f"the page holds {seen!r} at the end")


METHODS: dict[str, tuple[Callable[[Backing], Verdict], Callable[[], Evictor]]] = {
    "splice": (splice_is_reference, SpliceEvictor),
    "wp": (write_protect_works, WriteProtectEvictor),
}


def choose_evictor(choice: str, backing: Backing) -> Evictor:
    """Return the evictor of that name if it works here; with ``auto`` the first that does.

    Raises:
        NotSupportedError: none works; the text has what was seen.
    """
    failures = []
    for name in METHODS if choice == "auto" else (choice,):
        test, make = METHODS[name]
        verdict = test(backing)
        if verdict.ok:
            return make()
        failures.append(f"{name}: {verdict.detail}")
    raise NotSupportedError(f"no way to evict pages safely on this kernel ({'; '.join(failures)})")
