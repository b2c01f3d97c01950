"""A program in enclave memory that does what a test says: a JSON order a line in, a JSON answer a line out.

fill FIRST COUNT TAG     stamp pages
check FIRST COUNT TAG    -> pages whose stamp is wrong
zeros FIRST COUNT        -> pages that are not all zero
spin FIRST COUNT         read pages round and round, for ever
storm FIRST COUNT        several threads do that, each from another page on -> "storming", and goes on
fork                     fork a child that keeps all descriptors and sleeps -> its pid
remove FIRST COUNT       MADV_REMOVE pages
"""

import ctypes
import itertools
import json
import os
import signal
import struct
import sys
import threading
import time
import zlib

from epcgroup.client import Enclave

PAGE_SIZE = 4096
STAMP = struct.Struct("<QQ")


def stamp_of(page: int, tag: int) -> bytes:
    return STAMP.pack(page ^ 0x5EED, tag)


def fill(memory: memoryview, first: int, count: int, tag: int) -> int:
    for page in range(first, first + count):
        offset = page * PAGE_SIZE
        memory[offset : offset + STAMP.size] = stamp_of(page, tag)
        memory[offset + PAGE_SIZE - STAMP.size : offset + PAGE_SIZE] = stamp_of(page, tag)
    return count


def check(memory: memoryview, first: int, count: int, tag: int) -> int:
    wrong = 0
    for page in range(first, first + count):
        offset = page * PAGE_SIZE
        head = memory[offset : offset + STAMP.size]
        tail = memory[offset + PAGE_SIZE - STAMP.size : offset + PAGE_SIZE]
        wrong += head != stamp_of(page, tag) or tail != stamp_of(page, tag)
    return wrong


def zeros(memory: memoryview, first: int, count: int) -> int:
    blank = bytes(PAGE_SIZE)
    return sum(
        memory[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] != blank for page in range(first, first + count)
    )


def spin(memory: memoryview, first: int, count: int) -> int:
    print(json.dumps("spinning"), flush=True)
    total = 0
    while True:
        for page in range(first, first + count):
            total += memory[page * PAGE_SIZE]
            memory[page * PAGE_SIZE + 100] = total & 255


def storm(memory: memoryview, first: int, count: int) -> str:
    # Comparing a page lets the other threads run, so that several of them are in a fault at the same time.
    def run(start: int) -> None:
        for turn in itertools.count(start):
            offset = (first + turn % count) * PAGE_SIZE
            zlib.crc32(memory[offset : offset + PAGE_SIZE * 2])

    for thread in range(4):
        threading.Thread(target=run, args=(thread * count // 4,), daemon=True).start()
    return "storming"


def fork(memory: memoryview) -> int:
    # Not os.fork: the client's hook would let go of the descriptors in the child.
    child = int(ctypes.PyDLL(None).fork())
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while True:
            time.sleep(60)
    return child


def remove(memory: memoryview, first: int, count: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    address, length = ctypes.c_void_p(base + first * PAGE_SIZE), ctypes.c_size_t(count * PAGE_SIZE)
    return int(libc.madvise(address, length, 9))


def hot(memory: memoryview, nr_hot: int, nr_cold: int, passes: int) -> int:
    """Sweep over cold pages while a few hot ones are touched all the time."""
    total = 0
    for _ in range(passes):
        for cold in range(nr_hot, nr_hot + nr_cold):
            total += memory[cold * PAGE_SIZE]
            if cold % 4 == 0:
                for page in range(nr_hot):
                    total += memory[page * PAGE_SIZE]
    return total


ORDERS = {order.__name__: order for order in (fill, check, zeros, spin, storm, fork, remove, hot)}


def main() -> None:
    if len(sys.argv) > 2:
        os.setuid(int(sys.argv[2]))
    with Enclave(int(sys.argv[1]) * PAGE_SIZE) as enclave:
        print(json.dumps({"enclave": enclave.number, "kernel_faults": enclave.kernel_faults}), flush=True)
        for line in sys.stdin:
            order, *arguments = json.loads(line)
            print(json.dumps(ORDERS[order](enclave.memory, *arguments)), flush=True)


if __name__ == "__main__":
    main()
