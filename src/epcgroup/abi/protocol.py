"""What is said over the pager's socket (SOCK_SEQPACKET: one message, one packet).

Handshake of a program that wants enclave memory::

    client -> pager   Hello    page size, number of pages
    pager  -> client  Welcome  enclave, register mode, features      + backing file [+ /dev/userfaultfd]
    client -> pager   Mapped   base address and length of the region + userfaultfd
    pager  -> client  Go       from now on the region may be touched
    pager  -> client  Refusal  instead of any answer: errno and a sentence; the pager then closes

The socket stays open: end of file on it means that the enclave (or the pager) is gone.
Nothing is sent after Go.
A packet that begins with ``{`` is a control request: one JSON object a packet, one reply a packet.
All integers are little-endian; every handshake packet begins with magic, version and kind.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, Final

from epcgroup.errors import ProtocolError
from epcgroup.units import PAGE_SIZE

#: Environment variable that names the socket of the pager.
SOCKET_VARIABLE: Final = "EPCG_SOCKET"
MAGIC: Final = 0x47435045  # "EPCG"
#: Raised with every change of a layout; the pager refuses others.
VERSION: Final = 1
#: Longest packet either side sends; a longer control reply travels as a memory file (field ``in_file``).
MAX_PACKET_BYTES: Final = 64 * 1024
#: Most descriptors a packet carries.
MAX_FDS: Final = 2
#: Smallest EPC a pager serves: less than this and its watermarks would be all of it.
LEAST_EPC_BYTES: Final = 128 * PAGE_SIZE
CONTROL_OPERATIONS: Final = frozenset(
    {"hello", "mkdir", "rmdir", "list", "read", "write", "statistics", "shutdown", "record"}
)

_HEADER: Final = struct.Struct("<IHH")
_HELLO: Final = struct.Struct("<IIQ")
_WELCOME: Final = struct.Struct("<IIQQQ")
_MAPPED: Final = struct.Struct("<QQ")
_REFUSAL: Final = struct.Struct("<II")
_MAX_TEXT_BYTES: Final = 1024


class Kind(IntEnum):
    """Kinds of handshake packets."""

    HELLO = 1
    WELCOME = 2
    MAPPED = 3
    GO = 4
    REFUSAL = 5


class WelcomeFlag(IntFlag):
    """``DEVICE``: the second descriptor is ``/dev/userfaultfd``, good for faults in system calls too."""

    DEVICE = 1


@dataclass(frozen=True, slots=True)
class Hello:
    """A program asks for enclave memory of ``nr_pages`` pages."""

    nr_pages: int
    page_size: int = PAGE_SIZE
    kind: ClassVar[Kind] = Kind.HELLO

    def pack(self) -> bytes:
        """Return the packet."""
        return _pack(self.kind, _HELLO.pack(self.page_size, 0, self.nr_pages))


@dataclass(frozen=True, slots=True)
class Welcome:
    """The pager grants an enclave; ``register_mode`` and ``features`` are for the client's userfaultfd."""

    enclave: int
    flags: int
    register_mode: int
    features: int
    nr_pages: int
    kind: ClassVar[Kind] = Kind.WELCOME

    def pack(self) -> bytes:
        """Return the packet."""
        body = _WELCOME.pack(self.enclave, self.flags, self.register_mode, self.features, self.nr_pages)
        return _pack(self.kind, body)


@dataclass(frozen=True, slots=True)
class Mapped:
    """The client has mapped and registered its region; ``base`` is an address, in its memory."""

    base: int
    length_bytes: int
    kind: ClassVar[Kind] = Kind.MAPPED

    def pack(self) -> bytes:
        """Return the packet."""
        return _pack(self.kind, _MAPPED.pack(self.base, self.length_bytes))


@dataclass(frozen=True, slots=True)
class Go:
    """The region may be touched."""

    kind: ClassVar[Kind] = Kind.GO

    def pack(self) -> bytes:
        """Return the packet."""
        return _pack(self.kind, b"")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The pager says no: an errno and a sentence for people."""

    errno: int
    text: str
    kind: ClassVar[Kind] = Kind.REFUSAL

    def pack(self) -> bytes:
        """Return the packet; a long text is cut."""
        return _pack(self.kind, _REFUSAL.pack(self.errno, 0) + self.text.encode()[:_MAX_TEXT_BYTES])


Message = Hello | Welcome | Mapped | Go | Refusal


def _pack(kind: Kind, body: bytes) -> bytes:
    return _HEADER.pack(MAGIC, VERSION, kind) + body


def _fields(layout: struct.Struct, body: bytes, kind: Kind) -> tuple[int, ...]:
    if len(body) != layout.size:
        raise ProtocolError(f"{kind.name} packet has {len(body)} bytes of body, expected {layout.size}")
    return layout.unpack(body)


def unpack(packet: bytes) -> Message:
    """Return the handshake message a packet holds.

    Raises:
        ProtocolError: the packet is none of this version; the text says what is wrong with it.
    """
    if len(packet) < _HEADER.size:
        raise ProtocolError(f"packet of {len(packet)} bytes is shorter than its header")
    magic, version, number = _HEADER.unpack_from(packet)
    if magic != MAGIC:
        raise ProtocolError(f"packet begins with {magic:#010x}, expected {MAGIC:#010x}")
    if version != VERSION:
        raise ProtocolError(f"peer speaks protocol version {version}, expected {VERSION}")
    body = packet[_HEADER.size :]
    match number:
        case Kind.HELLO:
            page_size, _, nr_pages = _fields(_HELLO, body, Kind.HELLO)
            return Hello(nr_pages, page_size)
        case Kind.WELCOME:
            return Welcome(*_fields(_WELCOME, body, Kind.WELCOME))
        case Kind.MAPPED:
            return Mapped(*_fields(_MAPPED, body, Kind.MAPPED))
        case Kind.GO:
            _fields(struct.Struct(""), body, Kind.GO)
            return Go()
        case Kind.REFUSAL:
            return _unpack_refusal(body)
    raise ProtocolError(f"packet kind {number} is unknown")


def _unpack_refusal(body: bytes) -> Refusal:
    if len(body) < _REFUSAL.size:
        raise ProtocolError("REFUSAL packet is too short")
    return Refusal(_REFUSAL.unpack_from(body)[0], body[_REFUSAL.size :].decode(errors="replace"))


def is_control(packet: bytes) -> bool:
    """Tell whether the first packet of a connection speaks control rather than handshake."""
    return packet[:1] == b"{"


def encode_control(fields: Mapping[str, Any]) -> bytes:
    """Return a control request or reply as bytes (JSON, no line ends)."""
    return json.dumps(fields, separators=(",", ":")).encode()


def decode_control(packet: bytes) -> dict[str, Any]:
    """Return the object of a control packet.

    Raises:
        ProtocolError: the packet is not one JSON object.
    """
    try:
        fields = json.loads(packet)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"control packet is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ProtocolError("control packet is not a JSON object")
    return fields
