"""Who is at the other end of a unix socket, asked from the kernel."""

import socket
import struct
from dataclasses import dataclass
from typing import Final

_UCRED: Final = struct.Struct("<iII")


@dataclass(frozen=True, slots=True)
class Peer:
    """Process, user and group of a peer when it connected (or listened). Source: unix(7), SO_PEERCRED."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """Return the peer of a connected unix socket.

    Raises:
        OSError: the socket is not a connected unix socket.
    """
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(data))
