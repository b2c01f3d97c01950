"""The control side of the pager's socket, as a class: make groups, read and write their files, statistics."""

import os
import socket
from contextlib import closing
from typing import Any, Final, Self, cast

from epcgroup import errors
from epcgroup.abi import protocol
from epcgroup.errors import EpcError, PagerDiedError, PlatformError, ProtocolError

_TIMEOUT_SECONDS: Final = 20.0


def error_from_reply(reply: dict[str, Any]) -> EpcError:
    """Return the error a reply tells of, as the class of ``errors`` it was raised with."""
    text = str(reply.get("error", "the pager gave no reason"))
    kind = getattr(errors, str(reply.get("kind", "")), None)
    if not (isinstance(kind, type) and issubclass(kind, EpcError)):
        kind = PlatformError
    # Some classes build their text from other arguments; the text exists already here.
    error = kind.__new__(kind, text)
    Exception.__init__(error, text)
    return error


class ControlClient:
    """A control connection to a pager; only root and the pager's own user are let in.

    Every method raises the error the pager raised (``UsageError`` family, with errno),
    ``PagerDiedError`` when the pager is gone, ``ProtocolError`` when the answer is no answer.
    """

    def __init__(self, path: str | os.PathLike[str], timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout_seconds)
        try:
            self._socket.connect(os.fspath(path))
        except OSError as error:
            self._socket.close()
            raise PagerDiedError(f"no pager answers at {os.fspath(path)}: {error.strerror}") from error

    def close(self) -> None:
        """Close the connection; harmless when done twice."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hello(self) -> dict[str, Any]:
        """Return who the pager is: version, pid, series, epc_bytes, state (path of the shared state file)."""
        return self._ask("hello")

    def mkdir(self, path: str) -> None:
        """Make a group."""
        self._ask("mkdir", path=path)

    def rmdir(self, path: str) -> None:
        """Remove a group."""
        self._ask("rmdir", path=path)

    def paths(self) -> list[str]:
        """Return the paths of all groups, the root ``/`` first (operation ``list``)."""
        return cast("list[str]", self._ask("list")["paths"])

    def read(self, path: str, file: str) -> str:
        """Return the text of a file of a group."""
        return str(self._ask("read", path=path, file=file)["text"])

    def write(self, path: str, file: str, text: str) -> int:
        """Write a file of a group and return the number of bytes taken."""
        return int(self._ask("write", path=path, file=file, text=text)["taken"])

    def statistics(self) -> dict[str, Any]:
        """Return the statistics of the pager."""
        return cast("dict[str, Any]", self._ask("statistics")["statistics"])

    def record(self, act: str, path: str) -> dict[str, Any]:
        """Start, fetch or stop a recording of a group's pages; see ``pager/recorder.py``.

        Returns:
            events (see ``recording.decode``), nr_waiting (still to be fetched), enclaves (pages of each),
            is_over (no more will come), now_ns, and, while the group is there, its counters created, loaded.
        """
        return self._ask("record", act=act, path=path)

    def shutdown(self) -> None:
        """Ask the pager to end; returns when it has taken the order."""
        self._ask("shutdown")

    def _ask(self, operation: str, **fields: str) -> dict[str, Any]:
        request = protocol.encode_control({"op": operation, **fields})
        if len(request) > protocol.MAX_PACKET_BYTES:
            raise ProtocolError(f"request of {len(request)} bytes is longer than a packet may be")
        try:
            self._socket.send(request)
            packet, fds, _, _ = socket.recv_fds(
                self._socket, protocol.MAX_PACKET_BYTES, protocol.MAX_FDS, socket.MSG_CMSG_CLOEXEC
            )
        except OSError as error:
            raise PagerDiedError(f"the pager does not answer: {error}") from error
        if not packet:
            raise PagerDiedError("the pager closed the control connection")
        reply = _whole_reply(packet, fds)
        if not reply.get("ok"):
            raise error_from_reply(reply)
        return reply


def _whole_reply(packet: bytes, fds: list[int]) -> dict[str, Any]:
    files = [os.fdopen(fd, "rb") for fd in fds]
    try:
        reply = protocol.decode_control(packet)
        if "in_file" not in reply:
            return reply
        if len(files) != 1:
            raise ProtocolError("a long reply came without its file")
        with closing(files[0]) as file:
            file.seek(0)
            return protocol.decode_control(file.read(int(reply["in_file"])))
    finally:
        for file in files:
            file.close()
