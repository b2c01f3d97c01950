"""The trace file: a stream of page references in one ``.npy`` file of ``uint32``, read by mapping it.

============  =======================  ==========================================================
words         name                     meaning
============  =======================  ==========================================================
0             magic                    ``EPCT``
1             version                  1
2             header words             the references begin behind so many words
3             nr_pages                 every page is below it, at most 2^31
4, 5          nr_references            64 bits, little-endian, as the next two
6, 7          nr_requests              references that carry the mark; 0: the trace knows no requests
8, 9          nr_arrivals              0 or nr_requests
10            unit_ns                  unit of the arrivals, in ns; 0 without arrivals
11            provenance bytes         JSON text from word 12 on, zeros up to the end of the header
then          references               bit 31: a request begins here; below it the page
then          arrivals                 time since the arrival before (the first: since the start)
============  =======================  ==========================================================

``numpy.load`` opens it like any other array. A trace with requests begins with the first of them. Nothing in
a file is believed before it was checked: sizes against the file's, pages and marks against the header.

What must not live here: the container (``npy.py``), writing (``writer.py``), the columnar form
(``parquet.py``), other people's formats.
"""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.npy import NPY_BYTES, WORD_BYTES, open_regular, read_npy_header

MAGIC: Final = b"EPCT"
VERSION: Final = 1
#: Bit of a reference that says: a request begins here.
REQUEST_MARK: Final = 0x8000_0000
PAGE_MASK: Final = 0x7FFF_FFFF
#: Most pages a trace may name.
MAX_PAGES: Final = 1 << 31
#: Longest header, in words: 1 MiB.
MAX_HEADER_WORDS: Final = 1 << 18

_PARQUET_MAGIC: Final = b"PAR1"
_FIXED: Final = struct.Struct("<4sIIIQQQII")
#: References looked at in one go by the check.
_CHECK_CHUNK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Header:
    """What a trace says of itself before its references.

    Attributes:
        nr_pages: every page of the trace is below it.
        nr_references: all references.
        nr_requests: references at which a request begins.
        nr_arrivals: 0, or one for each request.
        unit_ns: unit of the arrivals.
        provenance: where the trace comes from; ``"estimated": true`` where references are not exact.
    """

    nr_pages: int
    nr_references: int
    nr_requests: int = 0
    nr_arrivals: int = 0
    unit_ns: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def pack(self, header_words: int) -> bytes:
        """Return the header as so many words.

        Raises:
            TraceFormatError: the provenance is too long for them.
        """
        text = encode_provenance(self.provenance)
        if _FIXED.size + len(text) > header_words * WORD_BYTES:
            raise TraceFormatError(
                f"the provenance takes {len(text)} bytes: at most"
                f" {header_words * WORD_BYTES - _FIXED.size} were set aside for it"
            )
        fixed = _FIXED.pack(
            MAGIC,
            VERSION,
            header_words,
            self.nr_pages,
            self.nr_references,
            self.nr_requests,
            self.nr_arrivals,
            self.unit_ns,
            len(text),
        )
        return (fixed + text).ljust(header_words * WORD_BYTES, b"\0")


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace, ready to be followed.

    Attributes:
        references: uint32, read-only; bit 31 (``REQUEST_MARK``) marks the first reference of a request, below
            it is the page. Mapped from the file: nobody should shorten the file meanwhile.
        header: counts, unit and provenance.
        arrivals: uint32, one for each request, in ``unit_ns`` since the arrival before; None without.
    """

    references: NDArray[np.uint32]
    header: Header
    arrivals: NDArray[np.uint32] | None = None

    @property
    def nr_pages(self) -> int:
        """Every page is below it."""
        return self.header.nr_pages

    @property
    def nr_requests(self) -> int:
        """How many requests there are; 0: the trace knows none."""
        return self.header.nr_requests

    @property
    def unit_ns(self) -> int:
        """Unit of the arrivals, in ns."""
        return self.header.unit_ns

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the trace comes from."""
        return self.header.provenance


def encode_provenance(provenance: Mapping[str, Any]) -> bytes:
    """Return provenance as the JSON text of a header."""
    return json.dumps(provenance, separators=(",", ":"), ensure_ascii=False).encode()


def decode_provenance(text: bytes, where: str) -> dict[str, Any]:
    """Return the provenance a JSON text holds.

    Raises:
        TraceFormatError: it is not one JSON object.
    """
    try:
        provenance = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise TraceFormatError(f"{where}: the provenance is not JSON: {error}") from error
    if not isinstance(provenance, dict):
        raise TraceFormatError(
            f"{where}: the provenance is a JSON {type(provenance).__name__}, not an object"
        )
    return provenance


def is_parquet(path: Path) -> bool:
    """Tell whether a file begins as a Parquet file does."""
    with open_regular(path) as file:
        return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def read_header(path: str | os.PathLike[str]) -> Header:
    """Return the header of a trace, either form, without reading its references.

    Raises:
        TraceFormatError: the file is no trace; the text says what was seen and what is allowed.
        NotSupportedError: a Parquet file, and pyarrow is not installed.
        OSError: the file cannot be read.
    """
    path = Path(path)
    if is_parquet(path):
        from epcgroup.sim.trace import parquet

        return parquet.read_header(path)
    with open_regular(path) as file:
        return _read_header(file, path)[0]


def read_trace(path: str | os.PathLike[str], *, check: bool = True) -> Trace:
    """Return a trace: an ``.npy`` file is mapped, a Parquet file is read into memory.

    Args:
        path: the file; its first bytes tell the form.
        check: whether every reference is looked at (about 1 ms a million). Only for a file that was checked
            before: compiled code follows the pages without asking again.

    Raises:
        TraceFormatError: the file is no trace; the text says what was seen and what is allowed.
        NotSupportedError: a Parquet file, and pyarrow is not installed.
        OSError: the file cannot be read.
    """
    path = Path(path)
    if is_parquet(path):
        from epcgroup.sim.trace import parquet

        return parquet.read_trace(path)
    with open_regular(path) as file:
        header, start = _read_header(file, path)
        words: NDArray[np.uint32] = np.memmap(file, dtype=np.dtype("<u4"), mode="r", offset=start)
    words = words.view(np.ndarray)
    references, arrivals = words[: header.nr_references], words[header.nr_references :]
    if check:
        check_references(references, header, str(path))
    return Trace(references, header, arrivals if header.nr_arrivals else None)


def _read_header(file: BinaryIO, path: Path) -> tuple[Header, int]:
    """Return the header and where the references begin, in bytes."""
    nr_words = read_npy_header(file, path)
    fixed = file.read(_FIXED.size)
    if len(fixed) < _FIXED.size or not fixed.startswith(MAGIC):
        raise TraceFormatError(
            f"{path}: an array, but no trace: it begins with {fixed[:4]!r}, expected {MAGIC!r};"
            " numbers of pages become one with: epcg trace import csv"
        )
    _, version, header_words, nr_pages, nr_references, nr_requests, nr_arrivals, unit_ns, nr_text = (
        _FIXED.unpack(fixed)
    )
    if version != VERSION:
        raise TraceFormatError(f"{path}: trace version {version}, this program reads {VERSION}")
    if not _FIXED.size <= _FIXED.size + nr_text <= header_words * WORD_BYTES <= MAX_HEADER_WORDS * WORD_BYTES:
        raise TraceFormatError(
            f"{path}: a header of {header_words} words with {nr_text} bytes of provenance:"
            f" at most {MAX_HEADER_WORDS} words, and the provenance fits"
        )
    if nr_words != header_words + nr_references + nr_arrivals:
        raise TraceFormatError(
            f"{path}: {nr_words} words cannot hold a header of {header_words},"
            f" {nr_references} references and {nr_arrivals} arrivals"
        )
    provenance = decode_provenance(file.read(nr_text), str(path))
    header = Header(nr_pages, nr_references, nr_requests, nr_arrivals, unit_ns, provenance)
    check_header(header, str(path))
    return header, NPY_BYTES + header_words * WORD_BYTES


def check_header(header: Header, where: str) -> None:
    """Check what a header says against itself.

    Raises:
        TraceFormatError: it contradicts itself.
    """
    if header.nr_references == 0:
        raise TraceFormatError(f"{where}: the trace is empty: at least one reference is needed")
    if not 1 <= header.nr_pages <= MAX_PAGES:
        raise TraceFormatError(f"{where}: {header.nr_pages} pages: allowed are 1 to {MAX_PAGES}")
    if header.nr_requests > header.nr_references:
        raise TraceFormatError(
            f"{where}: {header.nr_requests} requests in {header.nr_references} references: at least one each"
        )
    if header.nr_arrivals not in (0, header.nr_requests):
        raise TraceFormatError(
            f"{where}: {header.nr_arrivals} arrivals for {header.nr_requests} requests: none, or one each"
        )
    if bool(header.unit_ns) != bool(header.nr_arrivals):
        raise TraceFormatError(
            f"{where}: unit of {header.unit_ns} ns with {header.nr_arrivals} arrivals: both or none"
        )


def check_references(references: NDArray[np.uint32], header: Header, where: str) -> None:
    """Check every reference against the header.

    Raises:
        TraceFormatError: a page is too large, the marks are not as many as the requests, or the trace does
            not begin with its first request.
    """
    nr_marks = 0
    for start in range(0, len(references), _CHECK_CHUNK):
        chunk = references[start : start + _CHECK_CHUNK]
        nr_marks += int(np.count_nonzero(chunk & np.uint32(REQUEST_MARK)))
        pages = chunk & np.uint32(PAGE_MASK)
        if int(pages.max()) >= header.nr_pages:
            at = int(np.argmax(pages >= header.nr_pages))
            raise TraceFormatError(
                f"{where}: reference {start + at} is page {int(pages[at])},"
                f" the header says that all are below {header.nr_pages}"
            )
    if nr_marks != header.nr_requests:
        raise TraceFormatError(
            f"{where}: {nr_marks} references begin a request, the header says {header.nr_requests}"
        )
    if nr_marks and not int(references[0]) & REQUEST_MARK:
        raise TraceFormatError(f"{where}: the first reference begins no request although others do")
