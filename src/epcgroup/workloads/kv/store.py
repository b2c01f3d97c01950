"""The store: a hash table with chains and the items, all in one buffer.

Buffer: table of slab classes, hash table (8 bytes a bucket: offset of its first item), slabs. An item is a
header (offset of the next in its chain, hash of the key, checksum, flags, lengths, slab class), the key,
the value. The checksum is over key, flags and value and is verified at every read.
"""

import struct
import zlib
from typing import Final

from epcgroup.errors import UsageError
from epcgroup.units import PAGE_SIZE
from epcgroup.workloads.kv.slab import SLAB_BYTES, Slabs
from epcgroup.workloads.program import WrongDataError

#: next, hash, checksum, flags, value length, key length, slab class.
_ITEM: Final = struct.Struct("<QIIIIHH4x")
HEADER_BYTES: Final = _ITEM.size
#: Memory a bucket stands for: about one item of a few hundred bytes.
_BYTES_PER_BUCKET: Final = 512
_WORD_BYTES: Final = 8


def layout(memory_bytes: int) -> tuple[int, int, int]:
    """Return the offset of the hash table, its number of buckets, and the offset of the slabs."""
    nr_buckets = 1 << max(memory_bytes // _BYTES_PER_BUCKET, 1).bit_length() - 1
    table = -(-Slabs.table_bytes() // PAGE_SIZE) * PAGE_SIZE
    return table, nr_buckets, -(-(table + nr_buckets * _WORD_BYTES) // PAGE_SIZE) * PAGE_SIZE


class Store:
    """A map of bytes to (flags, bytes) in a buffer that must be zero at first.

    Attributes:
        nr_items: items now.
    """

    __slots__ = ("_buckets", "_mask", "_memory", "_slabs", "nr_items")

    def __init__(self, memory: memoryview) -> None:
        """Lay the store out.

        Raises:
            UsageError: the buffer is too small for the tables and one slab.
        """
        table, nr_buckets, start = layout(len(memory))
        if start + SLAB_BYTES > len(memory):
            raise UsageError(f"a store needs at least {start + SLAB_BYTES} bytes, there are {len(memory)}")
        self._memory = memory
        self._mask = nr_buckets - 1
        self._buckets = memory[table : table + nr_buckets * _WORD_BYTES].cast("Q")
        self._slabs = Slabs(memory, 0, start)
        self.nr_items = 0

    @property
    def used_bytes(self) -> int:
        """Bytes in slabs."""
        return self._slabs.used_bytes

    def get(self, key: bytes) -> tuple[int, bytes] | None:
        """Return (flags, value) of a key, None if there is none.

        Raises:
            WrongDataError: the item or the way to it is damaged.
        """
        number = zlib.crc32(key)
        found = self._find(key, number)
        if found is None:
            return None
        _, item, (_, _, checksum, flags, value_bytes, _, _) = found
        start = item + HEADER_BYTES + len(key)
        value = bytes(self._memory[start : start + value_bytes])
        if zlib.crc32(value, number ^ flags) != checksum:
            raise WrongDataError(f"kv: checksum of {key!r} is wrong")
        return flags, value

    def set(self, key: bytes, flags: int, value: bytes) -> None:
        """Set the value of a key.

        Raises:
            UsageError: key and value together are larger than a slab.
            TableFullError: the memory is used up; an older value of the key stays.
            WrongDataError: the chain of the key or a list of free chunks is damaged.
        """
        number = zlib.crc32(key)
        slab_class = self._slabs.class_of(HEADER_BYTES + len(key) + len(value))
        found = self._find(key, number)
        if found is not None and found[2][6] == slab_class:
            _, item, fields = found
            self._write(item, fields[0], number, flags, key, value, slab_class)
            return
        item = self._slabs.allocate(slab_class)
        if found is not None:
            # The new item needs the memory before the old one is given up, or a failure would lose both.
            self._unlink(*found)
        bucket = number & self._mask
        self._write(item, self._buckets[bucket], number, flags, key, value, slab_class)
        self._buckets[bucket] = item
        self.nr_items += 1

    def delete(self, key: bytes) -> bool:
        """Remove a key; False if there was none.

        Raises:
            WrongDataError: the chain of the key is damaged.
        """
        found = self._find(key, zlib.crc32(key))
        if found is None:
            return False
        self._unlink(*found)
        return True

    def _find(self, key: bytes, number: int) -> tuple[int, int, tuple[int, ...]] | None:
        # (item before it in the chain or 0, item, header fields) of a key.
        memory, before = self._memory, 0
        item = self._buckets[number & self._mask]
        hops = 0
        while item:
            if item + HEADER_BYTES > len(memory) or hops > self.nr_items:
                raise WrongDataError(f"kv: the chain of {key!r} leads to {item} after {hops} items")
            fields = _ITEM.unpack_from(memory, item)
            if fields[1] == number and fields[5] == len(key):
                start = item + HEADER_BYTES
                if bytes(memory[start : start + len(key)]) == key:
                    return before, item, fields
            before, item = item, fields[0]
            hops += 1
        return None

    def _write(
        self, item: int, following: int, number: int, flags: int, key: bytes, value: bytes, slab_class: int
    ) -> None:
        checksum = zlib.crc32(value, number ^ flags)
        _ITEM.pack_into(
            self._memory, item, following, number, checksum, flags, len(value), len(key), slab_class
        )
        start = item + HEADER_BYTES
        self._memory[start : start + len(key) + len(value)] = key + value

    def _unlink(self, before: int, item: int, fields: tuple[int, ...]) -> None:
        following, number = fields[0], fields[1]
        if before:
            # The link is the first word of the item before.
            self._memory[before : before + _WORD_BYTES] = following.to_bytes(_WORD_BYTES, "little")
        else:
            self._buckets[number & self._mask] = following
        self._slabs.free(item, fields[6])
        self.nr_items -= 1
