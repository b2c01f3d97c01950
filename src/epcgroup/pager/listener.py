"""The socket of the pager: who comes in, and for how long without a word."""

import contextlib
import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from epcgroup.abi.peer import Peer, peer_of
from epcgroup.errors import PlatformError
from epcgroup.pager.connection import Connection, Host
from epcgroup.pager.loop import Loop

_BACKLOG: Final = 1024
#: Connections taken at one time, so that a crowd at the door does not delay a fault for long.
_MAX_ACCEPTS: Final = 8
_OUT_OF_FDS: Final = (errno.EMFILE, errno.ENFILE)


class Listener:
    """Accepts connections and closes those that do not say in time what they want."""

    def __init__(
        self,
        path: str,
        mode: int,
        handshake_seconds: float,
        max_connections: int,
        loop: Loop,
        host: Host,
        log: Callable[[str], None],
    ) -> None:
        self._path = path
        self._handshake_seconds = handshake_seconds
        self._max_connections = max_connections
        self._loop = loop
        self._host = host
        self._log = log
        self.connections: set[Connection] = set()
        self._deadlines: deque[tuple[float, Connection]] = deque()
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._socket = _bind(path, mode)
        loop.add(self._socket.fileno(), self._accept_some)

    def _accept_some(self, _mask: int) -> None:
        self.expire()
        for _ in range(_MAX_ACCEPTS):
            try:
                sock, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_FDS:
                    self._turn_away()
                return
            self._take(sock, peer_of(sock))

    def _take(self, sock: socket.socket, peer: Peer) -> None:
        sock.setblocking(False)
        if len(self.connections) >= self._max_connections:
            self._log(f"peer pid {peer.pid} is turned away: {self._max_connections} connections are open")
            sock.close()
            return
        connection = Connection(sock, peer, self._host, self._log)
        self.connections.add(connection)
        self._deadlines.append((monotonic() + self._handshake_seconds, connection))
        self._loop.add(sock.fileno(), connection.handle)

    def _turn_away(self) -> None:
        """Out of descriptors: use the spare one to take a peer off the queue and close it."""
        os.close(self._spare)
        with contextlib.suppress(OSError):
            self._socket.accept()[0].close()
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._log("a peer is turned away: no descriptors left (raise RLIMIT_NOFILE)")

    def forget(self, connection: Connection) -> None:
        """A connection is being closed."""
        self.connections.discard(connection)
        self._loop.remove(connection.socket.fileno())

    def expire(self) -> None:
        """Close connections whose time is up."""
        now = monotonic()
        while self._deadlines:
            deadline, connection = self._deadlines[0]
            if connection.has_deadline:
                if deadline > now:
                    return
                connection.time_out(self._handshake_seconds)
            self._deadlines.popleft()

    def close(self) -> None:
        """Stop listening, close all connections, remove the socket."""
        for connection in list(self.connections):
            connection.close()
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        os.close(self._spare)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def _bind(path: str, mode: int) -> socket.socket:
    """Return a listening socket; a socket file nobody listens at is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        remove_stale(path)
        old_mask = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(old_mask)
        os.chmod(path, mode)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise PlatformError(f"cannot listen at {path}: {error.strerror or error}") from error
    return sock


def remove_stale(path: str) -> None:
    """Remove a socket file nobody listens at; nothing happens where there is none.

    Raises:
        PlatformError: somebody listens, or the path cannot be one of a socket.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError as error:
            if not Path(path).is_socket():
                raise PlatformError(f"cannot listen at {path}: it is there and is no socket") from error
            os.unlink(path)
            return
        except OSError as error:
            raise PlatformError(f"cannot listen at {path}: {error.strerror or error}") from error
    raise PlatformError(f"another pager serves at {path}")
