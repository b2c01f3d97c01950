"""The server: one thread, epoll, any number of clients on a unix socket."""

import contextlib
import os
import select
import socket
from collections.abc import Callable
from typing import Final

from epcgroup.workloads.kv.protocol import Session
from epcgroup.workloads.kv.store import Store

_RECEIVE_BYTES: Final = 256 * 1024
#: Answers waiting for a client that does not read them; no more requests of it are taken until they are sent.
_MAX_UNSENT_BYTES: Final = 1 << 20
#: Longest wait for events: how often ``go_on`` is asked.
_WAIT_S: Final = 0.1


class _Client:
    __slots__ = ("connection", "session", "unsent")

    def __init__(self, connection: socket.socket, session: Session) -> None:
        self.connection = connection
        self.session = session
        self.unsent = bytearray()

    @property
    def is_behind(self) -> bool:
        """Whether it has answers to read before another request of it is taken."""
        return self.session.more or len(self.unsent) >= _MAX_UNSENT_BYTES


class Server:
    """Serves a store at a path; a context manager, the path is removed at its end."""

    def __init__(self, store: Store, path: str) -> None:
        """Listen at ``path``.

        Raises:
            OSError: the path is taken or cannot be made.
        """
        self._store = store
        self._path = path
        self._clients: dict[int, _Client] = {}
        self._closed_commands = self._closed_wrong = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._listener.bind(path)
        self._listener.listen()
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        for fd in list(self._clients):
            self._drop(fd)
        self._epoll.close()
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    @property
    def nr_commands(self) -> int:
        """Commands answered."""
        return self._closed_commands + sum(c.session.nr_commands for c in self._clients.values())

    @property
    def nr_wrong(self) -> int:
        """Items found damaged."""
        return self._closed_wrong + sum(c.session.nr_wrong for c in self._clients.values())

    def serve(self, go_on: Callable[[], bool]) -> None:
        """Serve as long as ``go_on()``, asked after every round of events and at least every 100 ms."""
        while go_on():
            for fd, events in self._epoll.poll(_WAIT_S):
                if fd == self._listener.fileno():
                    self._accept()
                else:
                    self._turn(fd, events)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._clients[connection.fileno()] = _Client(connection, Session(self._store))
            self._epoll.register(connection, select.EPOLLIN)

    def _turn(self, fd: int, events: int) -> None:
        client = self._clients[fd]
        try:
            if events & ~select.EPOLLOUT and not client.is_behind:
                data = client.connection.recv(_RECEIVE_BYTES)
                if not data:
                    self._drop(fd)
                    return
                client.unsent += client.session.feed(data)
            self._send(client)
            while client.session.more and not client.unsent:
                client.unsent += client.session.feed(b"")
                self._send(client)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(fd)
            return
        if client.session.closed and not client.unsent:
            self._drop(fd)
            return
        reading = 0 if client.is_behind or client.session.closed else select.EPOLLIN
        self._epoll.modify(fd, reading | (select.EPOLLOUT if client.unsent else 0))

    def _send(self, client: _Client) -> None:
        if client.unsent:
            sent = client.connection.send(client.unsent)
            del client.unsent[:sent]

    def _drop(self, fd: int) -> None:
        client = self._clients.pop(fd)
        self._closed_commands += client.session.nr_commands
        self._closed_wrong += client.session.nr_wrong
        self._epoll.unregister(fd)
        client.connection.close()
