"""Writing: a file appears whole or not at all, and what is no trace is not written."""

import stat
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from epcgroup.errors import TraceFormatError, UsageError
from epcgroup.sim.trace.atomic import replacing
from epcgroup.sim.trace.format import REQUEST_MARK, read_trace
from epcgroup.sim.trace.writer import SUFFIXES, open_writer

Words = NDArray[np.uint32]
ONE = np.array([0], np.uint32)
MARKED = np.array([REQUEST_MARK], np.uint32)
each_form = pytest.mark.parametrize("suffix", SUFFIXES)


def write(path: Path, *pieces: tuple[Words, Words | None], unit_ns: int = 0) -> None:
    """Write a trace of (references, arrivals)."""
    with open_writer(path, {}, unit_ns=unit_ns) as writer:
        for references, arrivals in pieces:
            writer.append(references, arrivals)


def write_and_fail(path: Path, error: type[BaseException]) -> None:
    with open_writer(path, {}) as writer:
        writer.append(np.zeros(100_000, np.uint32))
        assert list(path.parent.iterdir()) != []
        raise error


@each_form
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_an_interrupt_leaves_nothing(tmp_path: Path, suffix: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_and_fail(tmp_path / f"t{suffix}", error)
    assert list(tmp_path.iterdir()) == []


@each_form
def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    for value in (1, 2):
        with open_writer(path, {}) as writer:
            writer.append(np.array([value], np.uint32))
            if value == 2:
                assert read_trace(path).references.tolist() == [1]
    assert read_trace(path).references.tolist() == [2]
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with open_writer(tmp_path / "t.npy", {}) as writer:
        writer.append(ONE)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


@each_form
def test_provenance_may_grow_while_writing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    with open_writer(path, {"long": "x" * 10_000}) as writer:
        writer.append(ONE)
        writer.provenance["lines"] = 10**9
    assert read_trace(path).provenance == {"long": "x" * 10_000, "lines": 10**9}


@each_form
def test_what_is_no_trace_is_not_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    with pytest.raises(TraceFormatError, match="nothing was written: the trace is empty"):
        write(path)
    with pytest.raises(TraceFormatError, match="first reference begins no request"):
        write(path, (ONE, None), (MARKED, None))
    with pytest.raises(TraceFormatError, match="None arrivals for 1 requests, expected 1"):
        write(path, (MARKED, None), unit_ns=1)
    with pytest.raises(TraceFormatError, match="1 arrivals for 1 requests, expected None"):
        write(path, (MARKED, ONE))
    assert list(tmp_path.iterdir()) == []


def test_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.npy or \.parquet"), open_writer(tmp_path / "t.csv", {}):
        pass
    (tmp_path / "d.npy").mkdir()
    with pytest.raises(UsageError, match="no regular file"), open_writer(tmp_path / "d.npy", {}):
        pass
    with (
        pytest.raises(FileNotFoundError) as caught,
        open_writer(tmp_path / "none" / "t.npy", {}),
    ):
        pass
    assert caught.value.filename == str(tmp_path / "none" / "t.npy")


def test_a_provenance_beyond_any_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long"), open_writer(tmp_path / "t.npy", {"x": "y" * 2**20}):
        pass
    assert list(tmp_path.iterdir()) == []


def test_replacing_gives_the_name_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
