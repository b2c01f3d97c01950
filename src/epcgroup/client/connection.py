"""The handshake with the pager: from a socket path to a registered region.

What must not live here: what becomes of the connection afterwards (``watchdog``, ``enclave``).
"""

import errno
import os
import socket
from dataclasses import dataclass
from typing import Final, NoReturn

from epcgroup.abi import peer, protocol, userfaultfd
from epcgroup.client.region import Region
from epcgroup.errors import (
    EpcExhaustedError,
    NotSupportedError,
    PagerDiedError,
    PagerUnreachableError,
    PeerRefusedError,
    PlatformError,
    ProtocolError,
    UsageError,
)
from epcgroup.units import PAGE_SIZE

#: How long one answer of the pager may take. Its own limit for a whole handshake is shorter.
ANSWER_LIMIT_S: Final = 30.0
_START: Final = "start one with `epcg run MANIFEST` or `python -m epcgroup.pager --socket PATH --epc SIZE`"


@dataclass(frozen=True, slots=True)
class Connection:
    """An enclave that may be touched, and the two descriptors that keep it alive."""

    enclave: int
    region: Region
    socket: socket.socket
    uffd: int
    kernel_faults: bool


def socket_path(path: str | os.PathLike[str] | None) -> str:
    """Return the path given, or that of ``$EPCG_SOCKET``.

    Raises:
        PagerUnreachableError: neither names one.
    """
    chosen = os.fspath(path) if path is not None else os.environ.get(protocol.SOCKET_VARIABLE)
    if not chosen:
        raise PagerUnreachableError(
            f"which pager? ${protocol.SOCKET_VARIABLE} is not set and no socket was given; {_START}"
        )
    return chosen


def connect(path: str, nr_pages: int) -> Connection:
    """Ask the pager at ``path`` for an enclave of ``nr_pages`` pages and map it.

    Raises:
        PagerUnreachableError: nobody listens there.
        PeerRefusedError: the listener runs as somebody else, or it does not serve this user.
        EpcExhaustedError: no EPC page for the enclave's own structures.
        PagerDiedError: the pager went away in the middle, or did not answer in time.
        ProtocolError: the peer is no pager of this version.
        NotSupportedError: this kernel has no userfaultfd.
    """
    pager = _dial(path)
    try:
        return _handshake(pager, path, nr_pages)
    except OSError as error:
        pager.close()
        raise _lost(path, error) from error
    except BaseException:
        pager.close()
        raise


def _dial(path: str) -> socket.socket:
    pager = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    pager.settimeout(ANSWER_LIMIT_S)
    try:
        pager.connect(path)
        owner = peer.peer_of(pager)
    except PermissionError as error:
        pager.close()
        raise PeerRefusedError(f"user {os.geteuid()} may not connect to the pager at {path}") from error
    except OSError as error:
        pager.close()
        raise PagerUnreachableError(f"no pager at {path} ({error.strerror or error}); {_START}") from error
    if owner.uid not in (0, os.geteuid()):
        pager.close()
        raise PeerRefusedError(
            f"the pager at {path} runs as user {owner.uid}; trusted are root and this user ({os.geteuid()})"
        )
    return pager


def _handshake(pager: socket.socket, path: str, nr_pages: int) -> Connection:
    pager.send(protocol.Hello(nr_pages).pack())
    welcome, fds = _answer(pager, path)
    try:
        if not isinstance(welcome, protocol.Welcome) or not fds:
            raise ProtocolError(f"the pager at {path} answered {welcome.kind.name} with {len(fds)} files")
        device = fds[1] if welcome.flags & protocol.WelcomeFlag.DEVICE and len(fds) > 1 else None
        region = Region(fds[0], nr_pages * PAGE_SIZE)
        opened = _open(device)
    finally:
        # Above all the file of the enclave: who keeps it could write past the pager.
        for fd in fds:
            os.close(fd)
    try:
        _register(opened.fd, region, welcome)
        mapped = protocol.Mapped(region.base, region.size_bytes).pack()
        socket.send_fds(pager, [mapped], [opened.fd])
        go, rest = _answer(pager, path)
        for fd in rest:
            os.close(fd)
        if not isinstance(go, protocol.Go):
            raise ProtocolError(f"the pager at {path} answered {go.kind.name}, expected GO")
    except BaseException:
        os.close(opened.fd)
        raise
    pager.settimeout(None)
    return Connection(welcome.enclave, region, pager, opened.fd, opened.kernel_faults)


def _answer(pager: socket.socket, path: str) -> tuple[protocol.Message, list[int]]:
    packet, fds, flags, _ = socket.recv_fds(
        pager, protocol.MAX_PACKET_BYTES, protocol.MAX_FDS, socket.MSG_CMSG_CLOEXEC
    )
    try:
        if not packet:
            raise PagerDiedError(f"the pager at {path} closed the connection during the handshake")
        if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
            raise ProtocolError(f"an answer of the pager at {path} was cut (more files or bytes than agreed)")
        message = protocol.unpack(packet)
        if isinstance(message, protocol.Refusal):
            _refuse(message)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return message, fds


def _open(device: int | None) -> userfaultfd.Opened:
    if device is not None:
        try:
            return userfaultfd.open_userfaultfd(device)
        except OSError:
            pass  # a sandbox may forbid this ioctl; the other ways are still open
    return userfaultfd.open_userfaultfd()


def _register(uffd: int, region: Region, welcome: protocol.Welcome) -> None:
    try:
        userfaultfd.enable(uffd, welcome.features)
        userfaultfd.register(uffd, region.base, region.size_bytes, welcome.register_mode)
    except OSError as error:
        raise NotSupportedError(
            f"the kernel refused to watch the enclave's memory ({error.strerror}): features"
            f" {welcome.features:#x}, mode {welcome.register_mode}"
        ) from error


_REFUSALS: Final[dict[int, type[PlatformError] | type[UsageError]]] = {
    errno.EACCES: PeerRefusedError,
    errno.EPERM: PeerRefusedError,
    errno.ENOMEM: EpcExhaustedError,
    errno.EPROTO: ProtocolError,
    errno.EOPNOTSUPP: NotSupportedError,
    errno.EINVAL: UsageError,
}


def _refuse(refusal: protocol.Refusal) -> NoReturn:
    kind = _REFUSALS.get(refusal.errno, PlatformError)
    raise kind(f"the pager refused: {refusal.text} ({errno.errorcode.get(refusal.errno, refusal.errno)})")


def _lost(path: str, error: OSError) -> PlatformError:
    if isinstance(error, TimeoutError):
        return PagerDiedError(f"the pager at {path} did not answer within {ANSWER_LIMIT_S:.0f} s")
    if error.errno in (errno.EPIPE, errno.ECONNRESET):
        return PagerDiedError(f"the pager at {path} went away during the handshake")
    return PlatformError(f"cannot set up enclave memory with the pager at {path}: {error.strerror or error}")
