"""A client made by hand, to do the handshake step by step, or wrongly. It never touches its region."""

import ctypes
import mmap
import os
import socket
from pathlib import Path
from typing import Self

from epcgroup.abi import protocol
from epcgroup.abi import userfaultfd as uffd

PAGE_SIZE = 4096


class RawClient:
    """A connection to a pager."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20)
        self.socket.connect(os.fspath(path))
        self.fds: list[int] = []
        self._regions: list[mmap.mmap] = []

    def receive(self) -> bytes:
        """Return the next packet, empty at the end."""
        packet, fds, _, _ = socket.recv_fds(self.socket, protocol.MAX_PACKET_BYTES, protocol.MAX_FDS)
        self.fds += fds
        return packet

    def answer(self) -> protocol.Message | None:
        """Return the next handshake message, None at the end."""
        packet = self.receive()
        return protocol.unpack(packet) if packet else None

    def hello(self, nr_pages: int) -> protocol.Welcome:
        """Ask for an enclave."""
        self.socket.send(protocol.Hello(nr_pages).pack())
        welcome = self.answer()
        assert isinstance(welcome, protocol.Welcome), welcome
        return welcome

    def map(self, welcome: protocol.Welcome) -> tuple[int, int]:
        """Map the region; returns address and length."""
        region = mmap.mmap(self.fds[0], welcome.nr_pages * PAGE_SIZE)
        self._regions.append(region)
        first = ctypes.c_char.from_buffer(region)
        return ctypes.addressof(first), len(region)

    def open_uffd(self) -> int:
        """Return a new userfaultfd."""
        fd = uffd.open_userfaultfd(self.fds[1] if len(self.fds) > 1 else None).fd
        self.fds.append(fd)
        return fd

    def connect_region(self, nr_pages: int) -> int:
        """Do the whole handshake; returns the address of the region."""
        welcome = self.hello(nr_pages)
        base, length = self.map(welcome)
        fd = self.open_uffd()
        uffd.enable(fd, welcome.features)
        uffd.register(fd, base, length, welcome.register_mode)
        self.send_mapped(base, length, [fd])
        assert isinstance(self.answer(), protocol.Go)
        return base

    def send_mapped(self, base: int, length: int, fds: list[int]) -> None:
        """Send the region and descriptors."""
        socket.send_fds(self.socket, [protocol.Mapped(base, length).pack()], fds)

    def close(self) -> None:
        """Close everything."""
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
