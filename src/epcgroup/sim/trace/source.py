"""Other people's files as blocks of whole lines: plain, ``.zst``, ``.gz`` or ``.xz``, from a pipe too.

What is compressed is told by its first bytes. Memory is bounded whatever the file says of itself.
"""

import gzip
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from epcgroup.errors import NotSupportedError, TraceFormatError, UsageError

if TYPE_CHECKING:
    import zstandard

#: Longest line of any format.
MAX_LINE_BYTES: Final = 1 << 16
_BLOCK_BYTES: Final = 1 << 20
_NEWLINE: Final = 10
#: Read at once from a compressed file.
_RAW_BYTES: Final = 1 << 16
#: ... and given to Zstandard at once: what such a piece can become is 32 MiB at most.
_ZST_PIECE_BYTES: Final = 1 << 10
_ZST_WRITE_BYTES: Final = 1 << 15

#: Called with the bytes read so far and the size of the file (None: a pipe); may raise to give up.
Progress = Callable[[int, int | None], None]


@dataclass(slots=True)
class Block:
    r"""Some whole lines.

    Attributes:
        data: the bytes; every line ends in ``\n``, the last of a file too.
        first_line: number of the first of them, from 1.
        nr_lines: how many there are, from a reader that has counted them; else the source does.
    """

    data: bytes
    first_line: int
    nr_lines: int | None = None


def _nr_lines(block: Block) -> int:
    if block.nr_lines is not None:
        return block.nr_lines
    return int(np.count_nonzero(np.frombuffer(block.data, np.uint8) == _NEWLINE))


class LineSource:
    """A file of lines, block by block; see ``open_lines``.

    Attributes:
        name: for messages: the path, or ``<stdin>``.
    """

    def __init__(self, name: str, raw: BufferedReader, size: int | None, progress: Progress | None) -> None:
        self.name = name
        self._raw = raw
        self._size = size
        self._progress = progress

    def blocks(self) -> Iterator[Block]:
        """Yield the file as blocks of whole lines.

        Raises:
            TraceFormatError: compressed data is damaged or cut off, or a line is too long.
            NotSupportedError: a Zstandard file without the library for it.
        """
        line, rest = 1, b""
        for piece in self._pieces():
            if self._progress is not None:
                self._progress(self._position(), self._size)
            end = piece.rfind(b"\n") + 1
            if end:
                block = Block(b"".join((rest, memoryview(piece)[:end])), line)
                rest = piece[end:]
                yield block
                line += _nr_lines(block)
            else:
                rest += piece
            if len(rest) > MAX_LINE_BYTES:
                raise TraceFormatError(
                    f"{self.name}, line {line}: more than {MAX_LINE_BYTES} bytes in one line"
                )
        if rest:
            yield Block(rest + b"\n", line)

    def _position(self) -> int:
        return self._raw.tell() if self._size is not None else 0

    def _pieces(self) -> Iterator[bytes]:
        """Yield the plain bytes."""
        start = self._raw.peek(6)[:6]
        if start.startswith(b"\x28\xb5\x2f\xfd"):
            yield from self._zst()
            return
        file: Any = self._raw
        if start.startswith(b"\x1f\x8b"):
            file = gzip.GzipFile(fileobj=self._raw)
        elif start.startswith(b"\xfd7zXZ\0"):
            file = lzma.LZMAFile(self._raw)  # noqa: SIM115 - it only wraps what is open
        try:
            # What is there, at once: a call that waited for all of it would not notice every Ctrl-C.
            while piece := file.read1(_BLOCK_BYTES):
                yield piece
        except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
            raise TraceFormatError(f"{self.name}: compressed data is damaged or cut off: {error}") from error

    def _zst(self) -> Iterator[bytes]:
        try:
            import zstandard
        except ImportError as error:
            raise NotSupportedError(
                f"{self.name}: .zst files need zstandard: pip install 'epcgroup[sim]'"
            ) from error
        try:
            yield from self._frames(zstandard.ZstdDecompressor())
        except zstandard.ZstdError as error:
            raise TraceFormatError(f"{self.name}: compressed data is damaged: {error}") from error

    def _frames(self, decompressor: "zstandard.ZstdDecompressor") -> Iterator[bytes]:
        frame: Any = None
        waiting, nr_waiting = [], 0
        while block := self._raw.read1(_RAW_BYTES):
            for start in range(0, len(block), _ZST_PIECE_BYTES):
                data = block[start : start + _ZST_PIECE_BYTES]
                while data:
                    if frame is None:
                        frame = decompressor.decompressobj(write_size=_ZST_WRITE_BYTES)
                    waiting.append(frame.decompress(data))
                    nr_waiting += len(waiting[-1])
                    data = b""
                    if frame.eof:
                        data, frame = frame.unused_data, None
                if nr_waiting >= _BLOCK_BYTES:
                    yield b"".join(waiting)
                    waiting, nr_waiting = [], 0
        yield b"".join(waiting)
        if frame is not None:
            raise TraceFormatError(f"{self.name}: compressed data is cut off")


@contextmanager
def open_lines(path: Path, progress: Progress | None = None) -> Iterator[LineSource]:
    """Open a file of lines; ``-`` is standard input.

    Raises:
        UsageError: there is no standard input.
        OSError: the file cannot be opened.
    """
    if str(path) == "-":
        if sys.stdin is None:
            raise UsageError("there is no standard input to read from")
        yield LineSource("<stdin>", cast("BufferedReader", sys.stdin.buffer), None, progress)
        return
    with path.open("rb") as raw:
        status = os.fstat(raw.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        yield LineSource(str(path), raw, size, progress)
