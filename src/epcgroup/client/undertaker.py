"""A process of its own: waits until the pager of a program is gone, then poisons the program's missing pages.

Started by ``watchdog.Undertaker`` as a script, without site packages, hence nothing of this project is
imported. Arguments: connection to the pager, userfaultfd (both inherited), base address, length in bytes,
number of the ioctl. Standard input ends with the program. The program's own memory is never touched: the
userfaultfd acts on the address space that made it.
"""

import errno
import fcntl
import os
import select
import signal
import struct
import sys

_PAGE_SIZE = 4096
#: start, length, mode, updated (out: bytes or -errno).
_ARGUMENT = struct.Struct("<QQQq")


def poison(uffd: int, base: int, length_bytes: int, request: int) -> int:
    """Poison every page of a range that is not mapped and return how many bytes those are."""
    start, end, poisoned = base, base + length_bytes, 0
    while start < end:
        argument = bytearray(_ARGUMENT.pack(start, end - start, 0, 0))
        try:
            fcntl.ioctl(uffd, request, argument)
        except OSError as error:
            if error.errno in (errno.ESRCH, errno.ENOENT):
                break  # the program has ended meanwhile, or given the memory up
            if error.errno not in (errno.EEXIST, errno.EAGAIN):
                raise
        done = _ARGUMENT.unpack(argument)[3]
        # A page that is there stops the call; it is left alone.
        start += done if done > 0 else _PAGE_SIZE
        poisoned += max(done, 0)
    return poisoned


def main(arguments: list[str]) -> int:
    """Wait for the end of the program (0) or of the pager (1)."""
    connection, uffd, base, length_bytes, request = map(int, arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the program; its end ends this process too
    poll = select.poll()
    poll.register(connection, 0)
    poll.register(0, 0)
    if any(fd == 0 for fd, _ in poll.poll()):
        return 0
    poisoned = poison(uffd, base, length_bytes, request)
    text = (
        f"epcgroup: the pager died; {poisoned} bytes of enclave memory are lost (touching them is SIGBUS)\n"
    )
    os.write(2, text.encode())
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
