"""The container of a trace: a NumPy file of one dimension of ``uint32``; its own header takes 128 bytes.

Source: NumPy, NEP 1 (format version 1.0). Read by own code: nothing of it is evaluated, no pickle is loaded.
"""

import os
import re
import stat
import struct
from pathlib import Path
from typing import BinaryIO, Final

from epcgroup.errors import TraceFormatError

WORD_BYTES: Final = 4
#: What stands before the words; a multiple of 64, so that they are aligned when mapped.
NPY_BYTES: Final = 128

_MAGIC: Final = b"\x93NUMPY\x01\x00"
_DICT: Final = re.compile(rb"\{'descr': '<u4', 'fortran_order': False, 'shape': \(([0-9]{1,19}),\), \} *\n")


def npy_header(nr_words: int) -> bytes:
    """Return what stands before ``nr_words`` words in an ``.npy`` file."""
    room = NPY_BYTES - len(_MAGIC) - 2
    text = f"{{'descr': '<u4', 'fortran_order': False, 'shape': ({nr_words},), }}"
    return _MAGIC + struct.pack("<H", room) + text.encode().ljust(room - 1) + b"\n"


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a pipe or a device is refused instead of waited for.

    Raises:
        TraceFormatError: it is no regular file.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise TraceFormatError(f"{path}: no regular file; a trace is a .npy or .parquet file")
    return os.fdopen(descriptor, "rb")


def read_npy_header(file: BinaryIO, path: Path) -> int:
    """Return how many words the array has; the file is exactly as long as they need.

    Raises:
        TraceFormatError: it is no such file.
    """
    start = file.read(NPY_BYTES)
    found = _DICT.fullmatch(start, len(_MAGIC) + 2)
    length = struct.pack("<H", NPY_BYTES - len(_MAGIC) - 2)
    if not start.startswith(_MAGIC + length) or found is None:
        raise TraceFormatError(
            f"{path}: no trace: expected a one-dimensional .npy array of uint32 (or a Parquet file);"
            " other formats become one with: epcg trace import"
        )
    nr_words = int(found.group(1))
    expected, size = NPY_BYTES + nr_words * WORD_BYTES, os.fstat(file.fileno()).st_size
    if expected != size:
        raise TraceFormatError(f"{path}: {nr_words} words need a file of {expected} bytes, it has {size}")
    return nr_words
