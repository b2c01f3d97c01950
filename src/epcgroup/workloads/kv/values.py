"""Values that prove themselves: which item, which version, and a checksum over all of it."""

import random
import struct
import zlib
from typing import Final

_HEAD: Final = struct.Struct("<II")
_TAIL: Final = struct.Struct("<I")
#: Smallest value: item, version, checksum.
MIN_BYTES: Final = _HEAD.size + _TAIL.size
#: Noise that bodies are cut from, at a place that depends on item and version.
_NOISE_BYTES: Final = 1 << 17
_NOISE: Final = random.Random(0).randbytes(_NOISE_BYTES)
#: Largest value; the store's slabs hold less.
MAX_BYTES: Final = _NOISE_BYTES // 2


def make(item: int, version: int, size_bytes: int) -> bytes:
    """Return the value of an item in a version, ``size_bytes`` (12 to 65536) long."""
    start = (item * 7919 + version * 104729) % (_NOISE_BYTES - MAX_BYTES)
    data = _HEAD.pack(item, version) + _NOISE[start : start + size_bytes - MIN_BYTES]
    return data + _TAIL.pack(zlib.crc32(data))


def is_right(value: bytes, item: int, version: int, size_bytes: int) -> bool:
    """Tell whether ``value`` is that of the item in this very version: not damaged, stale or foreign."""
    return (
        len(value) == size_bytes
        and _HEAD.unpack_from(value) == (item, version)
        and _TAIL.unpack_from(value, size_bytes - _TAIL.size)[0] == zlib.crc32(value[: -_TAIL.size])
    )
