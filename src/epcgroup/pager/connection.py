"""One connection to the pager: handshake of a client, or control. Never waits, believes nothing.

States: a first packet tells the role; a client then goes Hello -> Welcome -> Mapped -> Go. Until it has its
Go it has a deadline. Whatever is malformed gets an error packet and the connection is closed.
"""

import contextlib
import os
import socket
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol

from epcgroup.abi import protocol
from epcgroup.abi.peer import Peer
from epcgroup.errors import EpcError, PeerRefusedError, ProtocolError
from epcgroup.pager.enclave import Enclave

_RECEIVE_FLAGS = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC


class Stage(Enum):
    """Where a connection stands."""

    NEW = auto()
    WELCOMED = auto()
    SERVING = auto()
    CONTROL = auto()
    CLOSED = auto()


class Host(Protocol):
    """What a connection needs of the pager around it."""

    def admit(
        self, connection: "Connection", hello: protocol.Hello
    ) -> tuple[Enclave, protocol.Welcome, list[int]]:
        """Create an enclave; raises EpcError."""

    def begin_serving(self, enclave: Enclave, mapped: protocol.Mapped, uffd: int) -> None:
        """Take the userfaultfd and serve; raises EpcError. The descriptor is then the enclave's."""

    def control(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a control request; raises EpcError."""

    def allows_client(self, peer: Peer) -> bool:
        """Tell whether a peer may have enclaves."""

    def allows_control(self, peer: Peer) -> bool:
        """Tell whether a peer may control."""

    def closed(self, connection: "Connection") -> None:
        """The connection is closed: release what hangs on it."""


class Connection:
    """A peer and what was agreed with it; ``handle`` is called when its socket is readable."""

    def __init__(self, sock: socket.socket, peer: Peer, host: Host, log: Callable[[str], None]) -> None:
        self.socket = sock
        self.peer = peer
        self.stage = Stage.NEW
        self.enclave: Enclave | None = None
        self.nr_errors = 0
        self._host = host
        self._log = log

    @property
    def has_deadline(self) -> bool:
        """True until the peer has said all that is expected of it."""
        return self.stage in (Stage.NEW, Stage.WELCOMED)

    def handle(self, _mask: int = 0) -> None:
        """Read one packet and act on it."""
        try:
            packet, fds, flags, _ = socket.recv_fds(
                self.socket, protocol.MAX_PACKET_BYTES, protocol.MAX_FDS, _RECEIVE_FLAGS
            )
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        try:
            if not packet:
                self.close()
                return
            if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                raise ProtocolError("packet carries more than the protocol allows")
            self._act(packet, fds)
        except EpcError as error:
            self.refuse(error, speaks_control=protocol.is_control(packet))
        finally:
            # Whoever wanted one of them has taken it off the list.
            for fd in fds:
                os.close(fd)

    def _act(self, packet: bytes, fds: list[int]) -> None:
        if self.stage is Stage.CONTROL:
            self._control(packet)
        elif self.stage is Stage.NEW and protocol.is_control(packet):
            if not self._host.allows_control(self.peer):
                raise PeerRefusedError(f"user {self.peer.uid} may not control this pager")
            self.stage = Stage.CONTROL
            self._control(packet)
        elif self.stage is Stage.NEW:
            self._hello(packet)
        elif self.stage is Stage.WELCOMED:
            self._mapped(packet, fds)
        else:
            raise ProtocolError("nothing may be sent after the handshake")

    def _hello(self, packet: bytes) -> None:
        if not self._host.allows_client(self.peer):
            raise PeerRefusedError(
                f"user {self.peer.uid} may not have enclaves here: start the pager with --allow-uid"
            )
        message = protocol.unpack(packet)
        if not isinstance(message, protocol.Hello):
            raise ProtocolError(f"expected HELLO, got {message.kind.name}")
        self.enclave, welcome, files = self._host.admit(self, message)
        self.stage = Stage.WELCOMED
        self._send(welcome.pack(), files)

    def _mapped(self, packet: bytes, fds: list[int]) -> None:
        message = protocol.unpack(packet)
        if not isinstance(message, protocol.Mapped):
            raise ProtocolError(f"expected MAPPED, got {message.kind.name}")
        if len(fds) != 1:
            raise ProtocolError(f"MAPPED carries {len(fds)} descriptors, expected the userfaultfd")
        if self.enclave is None:
            raise ProtocolError("MAPPED before WELCOME")
        self._host.begin_serving(self.enclave, message, fds[0])
        fds.clear()
        self.stage = Stage.SERVING
        self._send(protocol.Go().pack())

    def _control(self, packet: bytes) -> None:
        try:
            reply = {"ok": True, **self._host.control(self.peer, protocol.decode_control(packet))}
        except ProtocolError:
            raise
        except EpcError as error:
            reply = _error_reply(error)
        self._reply(reply)

    def _reply(self, reply: dict[str, Any]) -> None:
        data = protocol.encode_control(reply)
        if len(data) <= protocol.MAX_PACKET_BYTES:
            self._send(data)
            return
        fd = os.memfd_create("epcgroup-reply", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, len(data))
            os.pwrite(fd, data, 0)
            self._send(protocol.encode_control({"ok": True, "in_file": len(data)}), [fd])
        finally:
            os.close(fd)

    def _send(self, packet: bytes, fds: list[int] | None = None) -> None:
        """Send without waiting; a peer that does not read is let go."""
        try:
            if fds:
                socket.send_fds(self.socket, [packet], fds, socket.MSG_DONTWAIT)
            else:
                self.socket.send(packet, socket.MSG_DONTWAIT)
        except OSError:
            self.close()

    def time_out(self, seconds: float) -> None:
        """The peer did not say in time what it wants."""
        self.refuse(ProtocolError(f"the handshake was not done within {seconds:g} s"))

    def refuse(self, error: EpcError, *, speaks_control: bool = False) -> None:
        """Tell the peer why, and close."""
        if self.stage is Stage.CLOSED:
            return
        self.nr_errors += 1
        self._log(f"peer pid {self.peer.pid} uid {self.peer.uid} is refused: {error}")
        if speaks_control or self.stage is Stage.CONTROL:
            packet = protocol.encode_control(_error_reply(error))
        else:
            packet = protocol.Refusal(error.errno, str(error)).pack()
        self._send(packet)
        self.close()

    def close(self) -> None:
        """Close; what hangs on the connection is released. Harmless when done twice."""
        if self.stage is Stage.CLOSED:
            return
        self.stage = Stage.CLOSED
        self._host.closed(self)
        with contextlib.suppress(OSError):
            self.socket.close()


def _error_reply(error: EpcError) -> dict[str, Any]:
    return {"ok": False, "errno": error.errno, "kind": type(error).__name__, "error": str(error)}
