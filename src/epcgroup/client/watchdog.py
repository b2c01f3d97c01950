"""What happens to a program when its pager dies.

A touch of a missing page then waits for ever, and a Python thread that waits so holds the interpreter lock:
no Python code of this process can run any more. So the way out must be the kernel's:

``Killer`` (the default) has the kernel send SIGIO to a thread of its own, which never touches enclave
memory, at the moment the connection hangs up. The handler is C code that needs no lock (``faulthandler``):
it writes where every thread stands and why the program ends, and then lets the signal do what it does by
default: end the whole process, threads asleep in a system call on a missing page included.

``Undertaker`` is for programs that want to live on: a small process beside the program holds the
userfaultfd and, when the connection hangs up, poisons every missing page. A waiting thread gets SIGBUS (a
system call EFAULT), as on hardware that lost its EPC; everybody else learns it from ``Enclave.check()``.
"""

import ctypes
import faulthandler
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from types import CodeType
from typing import Any, Final

from epcgroup.abi.userfaultfd import UFFDIO_POISON
from epcgroup.client import undertaker
from epcgroup.client.region import Region
from epcgroup.errors import NotSupportedError

#: fcntl: whom SIGIO goes to; argument (kind, id). Source: include/uapi/asm-generic/fcntl.h.
_F_SETOWN_EX: Final = 15
_F_OWNER_TID: Final = 0
_SIG_DFL: Final = 0
_STDERR: Final = 2
#: A report of where threads stand prints the file name of each function, here the reason. It is the only
#: text that code without the interpreter lock can print, and it costs nothing until then.
_WAIT: Final[CodeType] = compile(
    "wait()",
    "epcgroup: the pager died, enclave memory cannot be served any more: ending this program",
    "exec",
)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.signal.restype = ctypes.c_void_p
_libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)


def _install_handler() -> None:
    # By libc, since signal.signal is for the main thread only; the default is what the handler ends with.
    _libc.signal(signal.SIGIO, _SIG_DFL)
    faulthandler.register(signal.SIGIO, file=_STDERR, all_threads=True, chain=True)


def hung_up(connection: socket.socket) -> bool:
    """Tell whether the other side of a connection is gone."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))


class Killer:
    """Ends the program with SIGIO and a report on standard error when the connection hangs up."""

    __slots__ = ("_connection", "_stop", "_thread")

    def __init__(self, connection: socket.socket) -> None:
        """Start to watch; ``connection`` is a connected socket on which nothing is received any more."""
        self._connection = connection
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        _install_handler()
        armed = threading.Event()
        self._thread = threading.Thread(
            target=_watch, args=(connection, self._stop, armed), name="epcgroup-watchdog", daemon=True
        )
        self._thread.start()
        armed.wait()

    def stop(self) -> None:
        """Watch no longer: a hang-up has no effect afterwards."""
        _set_async(self._connection, False)
        os.eventfd_write(self._stop, 1)
        if self._thread is not threading.current_thread():  # a garbage collection may run anywhere
            self._thread.join()
        os.close(self._stop)

    def forget(self) -> None:
        """Close what a child of fork inherited; the thread is the parent's."""
        os.close(self._stop)


def _set_async(connection: socket.socket, on: bool) -> None:
    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC if on else flags & ~os.O_ASYNC)


def _watch(connection: socket.socket, stop: int, armed: threading.Event) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    owner = struct.pack("ii", _F_OWNER_TID, threading.get_native_id())
    fcntl.fcntl(connection, _F_SETOWN_EX, owner)
    _set_async(connection, True)
    poll = select.poll()
    poll.register(stop, select.POLLIN)
    poll.register(connection, 0)
    armed.set()
    ready: list[tuple[int, int]] = []
    exec(_WAIT, {"wait": lambda: ready.extend(poll.poll())})
    if all(fd != stop for fd, _ in ready):
        # Hung up before the signal was armed, or somebody took the signal away from us: end here.
        os.write(_STDERR, f"{_WAIT.co_filename}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


class Undertaker:
    """A process that poisons the missing pages of a region when the connection hangs up."""

    __slots__ = ("_process",)

    def __init__(self, connection: socket.socket, uffd: int, region: Region) -> None:
        """Start the process; it ends with this one, or with :meth:`stop`.

        Raises:
            NotSupportedError: it cannot be started.
        """
        numbers = (connection.fileno(), uffd, region.base, region.size_bytes, UFFDIO_POISON)
        command = [sys.executable, "-I", "-S", undertaker.__file__, *map(str, numbers)]
        try:
            self._process: subprocess.Popen[Any] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=numbers[:2]
            )
        except OSError as error:
            raise NotSupportedError(
                f"on_pager_death='raise' needs a second process, which cannot be started: {error}"
            ) from error

    def stop(self) -> None:
        """End the process; again is fine."""
        self.forget()
        self._process.wait()

    def forget(self) -> None:
        """Close the pipe that tells the process that this one lives."""
        if self._process.stdin is not None:
            self._process.stdin.close()
