"""A pager that can be told to fall silent: it serves the first N pages of every enclave and never the others.

The real pager answers every fault, so that a program is blocked in a missing page only for microseconds;
the tests of what happens to a program that *is* blocked there need one that lets it wait. No charges, no
eviction. Run: ``python deaf_pager.py SOCKET PAGES_SERVED {device|plain}``; prints ``ready``, then ``deaf
N`` at each unserved page.
"""

import contextlib
import fcntl
import os
import select
import socket
import sys

from epcgroup.abi import protocol, userfaultfd
from epcgroup.units import PAGE_SIZE

ZERO = bytearray(PAGE_SIZE)


def greet(pager: socket.socket, device: bool) -> tuple[socket.socket, int, int]:
    """Do the handshake and return (connection, userfaultfd, base address)."""
    connection, _ = pager.accept()
    hello = protocol.unpack(connection.recv(protocol.MAX_PACKET_BYTES))
    assert isinstance(hello, protocol.Hello)
    file = os.memfd_create("deaf", os.MFD_CLOEXEC)
    os.ftruncate(file, hello.nr_pages * PAGE_SIZE)
    fds = [file]
    if device:
        fds.append(os.open(userfaultfd.DEVICE_PATH, os.O_RDWR | os.O_CLOEXEC))
    welcome = protocol.Welcome(1, int(device), userfaultfd.RegisterMode.MISSING, 0, hello.nr_pages)
    socket.send_fds(connection, [welcome.pack()], fds)
    for fd in fds:
        os.close(fd)
    packet, received, _, _ = socket.recv_fds(connection, protocol.MAX_PACKET_BYTES, 1)
    mapped = protocol.unpack(packet)
    assert isinstance(mapped, protocol.Mapped)
    connection.send(protocol.Go().pack())
    return connection, received[0], mapped.base


def serve(uffd: int, base: int, served: int, source: int) -> None:
    """Answer the faults of the first pages; say so when there is another one."""
    with contextlib.suppress(BlockingIOError):
        for event, _, address, _ in userfaultfd.MESSAGE_STRUCT.iter_unpack(os.read(uffd, 2048)):
            assert event == userfaultfd.Event.PAGEFAULT
            page = (address - base) // PAGE_SIZE
            if page >= served:
                print("deaf", page, flush=True)
                continue
            argument = bytearray(
                userfaultfd.COPY_STRUCT.pack(base + page * PAGE_SIZE, source, PAGE_SIZE, 0, 0)
            )
            with contextlib.suppress(FileExistsError):
                fcntl.ioctl(uffd, userfaultfd.UFFDIO_COPY, argument)


def main(path: str, served: int, device: bool) -> None:
    """Serve until killed."""
    import ctypes

    source = ctypes.addressof((ctypes.c_char * PAGE_SIZE).from_buffer(ZERO))
    pager = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pager.bind(path)
    os.chmod(path, 0o666)
    pager.listen()
    print("ready", flush=True)
    regions: dict[int, tuple[socket.socket, int]] = {}
    poll = select.poll()
    poll.register(pager, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == pager.fileno():
                connection, uffd, base = greet(pager, device)
                regions[uffd] = connection, base
                poll.register(uffd, select.POLLIN)
            else:
                serve(fd, regions[fd][1], served, source)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "device")
