"""The trace file: what is written is read; what is no trace is refused with a sentence."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace.format import (
    MAX_PAGES,
    PAGE_MASK,
    REQUEST_MARK,
    Header,
    check_header,
    read_header,
    read_trace,
)
from epcgroup.sim.trace.npy import NPY_BYTES, npy_header
from epcgroup.sim.trace.writer import open_writer

MARK = REQUEST_MARK


def words(*values: int) -> NDArray[np.uint32]:
    return np.array(values, np.uint32)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small trace with everything in it."""
    path = tmp_path_factory.mktemp("sample") / "t.npy"
    with open_writer(path, {"source": "sämple"}, unit_ns=1000, nr_pages=9) as writer:
        writer.append(words(MARK | 3, 4, MARK | 5), words(0, 7))
        writer.append(words(1, MARK | 0), words(2))
    return path.read_bytes()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "t.npy"
    path.write_bytes(content)
    return path


def test_what_is_written_is_read(sample: bytes, tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, sample))
    assert trace.references.tolist() == [MARK | 3, 4, MARK | 5, 1, MARK | 0]
    assert not trace.references.flags.writeable
    assert trace.references.dtype == np.uint32
    assert trace.arrivals is not None
    assert trace.arrivals.tolist() == [0, 7, 2]
    assert (trace.nr_pages, trace.nr_requests, trace.unit_ns) == (9, 3, 1000)
    assert trace.provenance == {"source": "sämple"}
    assert read_header(tmp_path / "t.npy") == trace.header


def test_numpy_reads_it_like_any_array(sample: bytes, tmp_path: Path) -> None:
    array = np.load(written(tmp_path, sample), allow_pickle=False)
    assert array.dtype == np.uint32
    assert array[-8:].tolist() == [MARK | 3, 4, MARK | 5, 1, MARK | 0, 0, 7, 2]
    assert array[0].tobytes() == b"EPCT"


@pytest.mark.parametrize("nr_words", [0, 1, 10**18])
def test_the_array_header_is_numpys(nr_words: int, tmp_path: Path) -> None:
    path = written(tmp_path, npy_header(nr_words))
    with path.open("rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        assert (shape, fortran, dtype, file.tell()) == ((nr_words,), False, np.dtype(np.uint32), NPY_BYTES)


def test_references_begin_at_a_page_of_the_file(sample: bytes, tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, sample))
    assert len(sample) == NPY_BYTES + 4096 + 4 * (5 + 3)
    assert trace.references.ctypes.data % 4 == 0


def patched(content: bytes, word: int, value: int) -> bytes:
    """Return a trace with another number in a word of its header."""
    offset = NPY_BYTES + 4 * word
    return content[:offset] + struct.pack("<I", value) + content[offset + 4 :]


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        (0, 0x58585858, "an array, but no trace: it begins with b'XXXX', expected b'EPCT'"),
        (1, 2, "trace version 2, this program reads 1"),
        (2, 3, "a header of 3 words with 20 bytes"),
        (2, 0x7FFFFFFF, "at most 262144 words"),
        (3, 0, f"0 pages: allowed are 1 to {MAX_PAGES}"),
        (3, 5, "reference 2 is page 5, the header says that all are below 5"),
        (3, MAX_PAGES + 1, f"allowed are 1 to {MAX_PAGES}"),
        (4, 6, "1032 words cannot hold a header of 1024, 6 references and 3 arrivals"),
        (5, 1, "cannot hold a header"),
        (6, 2, "3 arrivals for 2 requests: none, or one each"),
        (6, 9, "9 requests in 5 references"),
        (10, 0, "unit of 0 ns with 3 arrivals: both or none"),
        (11, 19, "the provenance is not JSON"),
        (11, 4000, "the provenance is not JSON"),
    ],
)
def test_a_header_that_lies_is_refused(
    sample: bytes, tmp_path: Path, word: int, value: int, message: str
) -> None:
    with pytest.raises(TraceFormatError, match=message):
        read_trace(written(tmp_path, patched(sample, word, value)))


def test_marks_are_as_many_as_the_requests(sample: bytes, tmp_path: Path) -> None:
    reference = 1024  # word of the first one
    with pytest.raises(TraceFormatError, match="2 references begin a request, the header says 3"):
        read_trace(written(tmp_path, patched(sample, reference, 3)))
    moved = patched(patched(sample, reference, 3), reference + 1, MARK | 4)
    with pytest.raises(TraceFormatError, match="the first reference begins no request although others do"):
        read_trace(written(tmp_path, moved))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no trace: expected a one-dimensional .npy array"),
        (b"\x93NUMPY", "no trace"),
        (b"PAR1", "no Parquet file that can be read"),
        (npy_header(5), "5 words need a file of 148 bytes, it has 128"),
        (npy_header(2**62), "words need a file of"),
        (npy_header(0), "an array, but no trace: it begins with b''"),
        (npy_header(3) + bytes(12), "an array, but no trace"),
        (npy_header(3).replace(b"<u4", b"|O8") + bytes(12), "no trace"),
        (npy_header(3).replace(b"False", b"True ") + bytes(12), "no trace"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(TraceFormatError, match=message):
        read_trace(written(tmp_path, content))


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "t.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(TraceFormatError, match="no trace"):
        read_trace(path)


def test_pipes_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(TraceFormatError, match="no regular file"):
            read_trace(path)
    with pytest.raises(FileNotFoundError):
        read_trace(tmp_path / "gone.npy")


def test_an_empty_trace_is_none() -> None:
    with pytest.raises(TraceFormatError, match="the trace is empty"):
        check_header(Header(1, 0), "x")


def test_a_provenance_must_fit_its_header() -> None:
    with pytest.raises(TraceFormatError, match="at most 16 were set aside"):
        Header(1, 1, provenance={"long": "x" * 100}).pack(16)


def outcome(folder: Path, content: bytes) -> Any:  # noqa: ANN401
    """Read bytes as a trace: a trace, or the one error that may come of it."""
    try:
        return read_trace(written(folder, content))
    except TraceFormatError:
        return None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600))
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert outcome(folder, content) is None
    assert outcome(folder, npy_header(len(content) // 4) + content[: len(content) // 4 * 4]) is None


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_cut_off_and_flipped(
    tmp_path_factory: pytest.TempPathFactory, sample: bytes, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert outcome(folder, sample[: data.draw(st.integers(0, len(sample) - 1))]) is None
    start = data.draw(st.sampled_from([0, NPY_BYTES, NPY_BYTES + 4096]))
    place = data.draw(st.integers(start, min(start + 130, len(sample) - 1)))
    changed = bytearray(sample)
    changed[place] ^= data.draw(st.integers(1, 255))
    trace = outcome(folder, bytes(changed))
    if trace is not None:  # what passes can be followed without another look
        assert int((trace.references & np.uint32(PAGE_MASK)).max()) < trace.nr_pages
        assert np.count_nonzero(trace.references & np.uint32(MARK)) == trace.nr_requests
        assert trace.arrivals is None or len(trace.arrivals) == trace.nr_requests


@settings(max_examples=50, deadline=None)
@given(
    requests=st.lists(st.lists(st.integers(0, PAGE_MASK), min_size=1, max_size=5), min_size=1, max_size=20),
    has_requests=st.booleans(),
    has_arrivals=st.booleans(),
    suffix=st.sampled_from([".npy", ".parquet"]),
    data=st.data(),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    requests: list[list[int]],
    has_requests: bool,
    has_arrivals: bool,
    suffix: str,
    data: st.DataObject,
) -> None:
    mark = MARK if has_requests else 0
    has_arrivals &= has_requests
    path = tmp_path_factory.getbasetemp() / f"round{suffix}"
    deltas = [data.draw(st.integers(0, 2**32 - 1)) for _ in requests] if has_arrivals else []
    with open_writer(path, {}, unit_ns=5 if has_arrivals else 0) as writer:
        for index, (first, *rest) in enumerate(requests):
            writer.append(words(first | mark, *rest), words(deltas[index]) if has_arrivals else None)
    trace = read_trace(path)
    flat = [page for request in requests for page in request]
    assert (trace.references & np.uint32(PAGE_MASK)).tolist() == flat
    assert trace.nr_requests == (len(requests) if has_requests else 0)
    assert trace.nr_pages == max(flat) + 1
    assert (None if trace.arrivals is None else trace.arrivals.tolist()) == (deltas or None)
