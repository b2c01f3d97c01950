"""Kernel interfaces: numbers against the layouts they encode, calls against the running kernel."""

import ctypes
import errno
import mmap
import os
import socket
import struct

import pytest

from epcgroup.abi import memory
from epcgroup.abi import userfaultfd as uffd
from epcgroup.abi.peer import peer_of
from epcgroup.errors import NotSupportedError


@pytest.mark.parametrize(
    ("number", "layout"),
    [
        (uffd.UFFDIO_API, uffd.API_STRUCT),
        (uffd.UFFDIO_REGISTER, uffd.REGISTER_STRUCT),
        (uffd.UFFDIO_UNREGISTER, uffd.RANGE_STRUCT),
        (uffd.UFFDIO_WAKE, uffd.RANGE_STRUCT),
        (uffd.UFFDIO_COPY, uffd.COPY_STRUCT),
        (uffd.UFFDIO_WRITEPROTECT, uffd.WRITEPROTECT_STRUCT),
        (uffd.UFFDIO_POISON, uffd.POISON_STRUCT),
    ],
)
def test_ioctl_numbers_carry_the_size_of_their_argument(number: int, layout: struct.Struct) -> None:
    # Source: include/uapi/asm-generic/ioctl.h: size in bits 16 to 29, type in bits 8 to 15.
    assert (number >> 16) & 0x3FFF == layout.size
    assert (number >> 8) & 0xFF == uffd.UFFD_API


def test_message_has_32_bytes() -> None:
    assert uffd.MESSAGE_STRUCT.size == 32


@pytest.fixture
def opened() -> uffd.Opened:
    try:
        return uffd.open_userfaultfd()
    except NotSupportedError as error:
        pytest.skip(str(error))


def test_register_and_api_once(opened: uffd.Opened) -> None:
    region = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(region))
    try:
        features, _ = uffd.enable(opened.fd, 0)
        assert features & uffd.Feature.MISSING_SHMEM
        with pytest.raises(OSError, match="Invalid argument"):
            uffd.enable(opened.fd, 0)
        ioctls = uffd.register(opened.fd, address, 2 * mmap.PAGESIZE, uffd.RegisterMode.MISSING)
        assert ioctls & 1 << 3  # UFFDIO_COPY
    finally:
        os.close(opened.fd)


def test_device_gives_a_descriptor() -> None:
    try:
        device = os.open(uffd.DEVICE_PATH, os.O_RDWR)
    except OSError as error:
        pytest.skip(f"cannot open {uffd.DEVICE_PATH}: {error.strerror}")
    try:
        opened = uffd.open_userfaultfd(device)
        assert opened.kernel_faults
        assert not os.get_blocking(opened.fd)
        os.close(opened.fd)
    finally:
        os.close(device)


def test_punch_hole_removes_pages() -> None:
    fd = os.memfd_create("test")
    try:
        os.write(fd, b"x" * 3 * 4096)
        memory.punch_hole(fd, 4096, 4096)
        assert os.pread(fd, 3 * 4096, 0) == b"x" * 4096 + bytes(4096) + b"x" * 4096
        with pytest.raises(OSError, match="Invalid argument"):
            memory.punch_hole(fd, 0, 0)
    finally:
        os.close(fd)


def test_advise_dontneed_empties_private_memory() -> None:
    region = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(region))
    region[0] = 7
    memory.advise(address, 4096, memory.MADV_DONTNEED)
    assert region[0] == 0
    with pytest.raises(OSError) as caught:
        memory.advise(1, 4096, memory.MADV_DONTNEED)
    assert caught.value.errno == errno.EINVAL


def test_peer_is_this_process() -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        peer = peer_of(left)
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.getuid(), os.getgid())
