"""Writing a trace piece by piece: memory stays the same however long it gets, and no half file is left."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit, nth
from epcgroup.errors import TraceFormatError, UsageError
from epcgroup.sim.trace.atomic import replacing
from epcgroup.sim.trace.format import (
    MAX_HEADER_WORDS,
    PAGE_MASK,
    REQUEST_MARK,
    Header,
    check_header,
    encode_provenance,
)
from epcgroup.sim.trace.npy import NPY_BYTES, WORD_BYTES, npy_header

SUFFIXES: Final = (".npy", ".parquet")
#: The header is a multiple of so many words: the references begin at a page of the file.
_HEADER_STEP: Final = 1024
#: Room for what provenance gains while the trace is written (counts of lines, say), in bytes.
_PROVENANCE_ROOM: Final = 2048
_MARK: Final = np.uint32(REQUEST_MARK)
_PAGE: Final = np.uint32(PAGE_MASK)
_COPY_BYTES: Final = 1 << 20


class Sink(Protocol):
    """A file form: takes pieces, at the end the header."""

    def write(self, references: NDArray[np.uint32], arrivals: NDArray[np.uint32] | None) -> None:
        """Append references, and the arrivals of the requests that begin in them."""

    def finish(self, header: Header) -> None:
        """Write what is known only at the end."""

    def close(self) -> None:
        """Let go of the file."""


class NpySink:
    """The ``.npy`` form: the header is patched at the end, arrivals wait in an unnamed file until then."""

    def __init__(self, path: Path, provenance: Mapping[str, Any]) -> None:
        room = len(encode_provenance(provenance)) + _PROVENANCE_ROOM
        self._header_words = _HEADER_STEP * (1 + room // (_HEADER_STEP * WORD_BYTES))
        if self._header_words > MAX_HEADER_WORDS:
            raise UsageError(f"a provenance of {room} bytes is too long for the header of a trace")
        self._file = path.open("r+b")
        self._file.seek(NPY_BYTES + self._header_words * WORD_BYTES)
        self._folder = path.parent
        self._arrivals: IO[bytes] | None = None

    def write(self, references: NDArray[np.uint32], arrivals: NDArray[np.uint32] | None) -> None:
        """Append references, and the arrivals of the requests that begin in them."""
        self._file.write(np.ascontiguousarray(references, "<u4").data)
        if arrivals is not None:
            if self._arrivals is None:
                self._arrivals = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - until close()
            self._arrivals.write(np.ascontiguousarray(arrivals, "<u4").data)

    def finish(self, header: Header) -> None:
        """Append the arrivals and write the header at the front."""
        if self._arrivals is not None:
            self._arrivals.seek(0)
            shutil.copyfileobj(self._arrivals, self._file, _COPY_BYTES)
        self._file.seek(0)
        nr_words = self._header_words + header.nr_references + header.nr_arrivals
        self._file.write(npy_header(nr_words) + header.pack(self._header_words))

    def close(self) -> None:
        """Let go of both files."""
        self._file.close()
        if self._arrivals is not None:
            self._arrivals.close()


@jit
def _survey(references: NDArray[np.uint32]) -> tuple[int, int]:
    """Return how many references are marked, and one more than the largest page."""
    nr_marks, largest = 0, np.uint32(0)
    for index in range(len(references)):
        reference = references[nth(index)]
        nr_marks += reference >= _MARK
        largest = max(largest, reference & _PAGE)
    return nr_marks, int(np.int64(largest)) + 1


class TraceWriter:
    """Takes references in pieces and counts what the header has to say; see ``open_writer``.

    Attributes:
        provenance: may gain keys until the end.
        header: that of the finished trace; there only then.
        nr_references: so far.
        nr_requests: so far.
        nr_pages: one more than the largest page so far, or the number asked for at the start.
    """

    header: Header

    def __init__(self, sink: Sink, provenance: Mapping[str, Any], unit_ns: int, nr_pages: int) -> None:
        self._sink = sink
        self._unit_ns = unit_ns
        self._begins_marked = True
        self.provenance = dict(provenance)
        self.nr_references = 0
        self.nr_requests = 0
        self.nr_pages = nr_pages

    def append(self, references: NDArray[np.uint32], arrivals: NDArray[np.uint32] | None = None) -> None:
        """Append references.

        Args:
            references: uint32, in the form of ``Trace.references``.
            arrivals: uint32, one for each marked reference; given always if the trace has a unit of time.

        Raises:
            TraceFormatError: arrivals and marks do not go together.
        """
        if not len(references):
            return
        nr_marks, nr_pages = _survey(references)
        expected = nr_marks if self._unit_ns else None
        if (None if arrivals is None else len(arrivals)) != expected:
            raise TraceFormatError(
                f"{None if arrivals is None else len(arrivals)} arrivals for {nr_marks} requests,"
                f" expected {expected}"
            )
        if not self.nr_references:
            self._begins_marked = bool(references[0] & _MARK)
        self._sink.write(references, arrivals)
        self.nr_references += len(references)
        self.nr_requests += nr_marks
        self.nr_pages = max(self.nr_pages, nr_pages)

    def finish(self) -> None:
        """Complete the file.

        Raises:
            TraceFormatError: what was appended is no trace.
        """
        if self.nr_requests and not self._begins_marked:
            raise TraceFormatError("the first reference begins no request although others do")
        nr_arrivals = self.nr_requests if self._unit_ns else 0
        self.header = Header(
            self.nr_pages,
            self.nr_references,
            self.nr_requests,
            nr_arrivals,
            self._unit_ns if nr_arrivals else 0,
            self.provenance,
        )
        check_header(self.header, "nothing was written")
        self._sink.finish(self.header)


@contextmanager
def open_writer(
    path: Path, provenance: Mapping[str, Any], *, unit_ns: int = 0, nr_pages: int = 0
) -> Iterator[TraceWriter]:
    """Write a trace; the file appears at the end, complete, and not at all after an error or Ctrl-C.

    Args:
        path: ends in ``.npy`` or ``.parquet``; an old file of the name is replaced.
        provenance: where the trace comes from; JSON values.
        unit_ns: unit of the arrivals; 0: the trace has none.
        nr_pages: least number of pages the header shall say.

    Raises:
        UsageError: another ending.
        TraceFormatError: what was appended is no trace (empty, say).
        OSError: the file cannot be written.
    """
    with replacing(_checked(path)) as temporary:
        sink = _sink(path, temporary, provenance, unit_ns)
        try:
            writer = TraceWriter(sink, provenance, unit_ns, nr_pages)
            yield writer
            writer.finish()
        finally:
            sink.close()


def _checked(path: Path) -> Path:
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: the name of a trace ends in {' or '.join(SUFFIXES)}")
    return path


def _sink(path: Path, temporary: Path, provenance: Mapping[str, Any], unit_ns: int) -> Sink:
    if path.suffix == ".npy":
        return NpySink(temporary, provenance)
    from epcgroup.sim.trace.parquet import ParquetSink

    return ParquetSink(temporary, bool(unit_ns))
