"""Memory for items: slabs of one size class each, as memcached has them, laid out in a buffer.

A class hands out chunks of one size; freed chunks form a list through their first word. A slab never
changes its class. All of it, list heads too, lives in the buffer; offsets are bytes from its start, 0 is
none.
"""

from bisect import bisect_left
from typing import Final

from epcgroup.errors import TableFullError, UsageError
from epcgroup.workloads.program import WrongDataError

SLAB_BYTES: Final = 64 * 1024
_SMALLEST_BYTES: Final = 64
#: Ratio of one class to the next: at most a fifth of a chunk is lost. Source: memcached's default factor.
_FACTOR: Final = 1.25
_ALIGNMENT: Final = 16
_WORD_BYTES: Final = 8
#: Words of a class in the table: head of the free list, next chunk never used, end of its slab.
_FREE, _NEXT, _END = range(3)
_CLASS_WORDS: Final = 4


def chunk_sizes() -> list[int]:
    """Return the chunk sizes of all classes in bytes, ascending; the last is a whole slab."""
    sizes = [_SMALLEST_BYTES]
    while sizes[-1] < SLAB_BYTES:
        wanted = int(sizes[-1] * _FACTOR)
        sizes.append(min(-(-wanted // _ALIGNMENT) * _ALIGNMENT, SLAB_BYTES))
    return sizes


class Slabs:
    """An allocator over ``[start, len(memory))`` whose table begins at ``table``."""

    __slots__ = ("_end", "_memory_bytes", "_sizes", "_start", "_table", "_words")

    def __init__(self, memory: memoryview, table: int, start: int) -> None:
        """Begin with no slab; the table (see ``table_bytes``) must be zero."""
        self._sizes = chunk_sizes()
        self._words = memory[: len(memory) // _WORD_BYTES * _WORD_BYTES].cast("Q")
        self._memory_bytes = len(memory)
        self._table = table // _WORD_BYTES
        # Word 3 of class 0 is the first byte that is in no slab yet.
        self._end = self._table + 3
        self._start = start
        self._words[self._end] = start

    @staticmethod
    def table_bytes() -> int:
        """Return how many bytes the table takes."""
        return len(chunk_sizes()) * _CLASS_WORDS * _WORD_BYTES

    @property
    def used_bytes(self) -> int:
        """Bytes in slabs."""
        return self._words[self._end] - self._start

    def class_of(self, size_bytes: int) -> int:
        """Return the number of the smallest class that fits.

        Raises:
            UsageError: nothing fits; the largest object is a slab.
        """
        number = bisect_left(self._sizes, size_bytes)
        if number == len(self._sizes):
            raise UsageError(f"object of {size_bytes} bytes, the largest is {SLAB_BYTES}")
        return number

    def allocate(self, number: int) -> int:
        """Return the offset of a chunk of class ``number``.

        Raises:
            TableFullError: no chunk is free and no slab is left.
            WrongDataError: the list of free chunks is damaged.
        """
        words, entry = self._words, self._table + number * _CLASS_WORDS
        chunk = words[entry + _FREE]
        if chunk:
            self._must_be_chunk(chunk)
            words[entry + _FREE] = words[chunk // _WORD_BYTES]
            return chunk
        chunk = words[entry + _NEXT]
        size = self._sizes[number]
        if not chunk or chunk + size > words[entry + _END]:
            chunk = self._new_slab()
            words[entry + _END] = chunk + SLAB_BYTES
        self._must_be_chunk(chunk)
        words[entry + _NEXT] = chunk + size
        return chunk

    def free(self, chunk: int, number: int) -> None:
        """Give back a chunk of class ``number``."""
        entry = self._table + number * _CLASS_WORDS
        self._words[chunk // _WORD_BYTES] = self._words[entry + _FREE]
        self._words[entry + _FREE] = chunk

    def _new_slab(self) -> int:
        slab = self._words[self._end]
        if slab + SLAB_BYTES > self._memory_bytes:
            raise TableFullError(f"all {self.used_bytes} bytes of slabs are in use")
        self._words[self._end] = slab + SLAB_BYTES
        return slab

    def _must_be_chunk(self, chunk: int) -> None:
        if chunk % _ALIGNMENT or not self._start <= chunk < self._words[self._end] <= self._memory_bytes:
            raise WrongDataError(f"kv: chunk at {chunk} is outside all slabs")
