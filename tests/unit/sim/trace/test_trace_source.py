"""Lines out of files: plain and compressed are the same lines, damage is an error, memory is bounded."""

import gzip
import io
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import NotSupportedError, TraceFormatError
from epcgroup.sim.trace import source
from epcgroup.sim.trace.source import open_lines

TEXT = b"".join(b"line %d\n" % number for number in range(50_000))


def zst(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "zst": zst,
    "gz": gzip.compress,
    "xz": lambda content: lzma.compress(content, preset=0),
}
each_packer = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)


def lines_of(folder: Path, content: bytes) -> list[tuple[int, bytes]]:
    """Return number and text of every line."""
    path = folder / "file"
    path.write_bytes(content)
    found = []
    with open_lines(path) as opened:
        for block in opened.blocks():
            assert block.data.endswith(b"\n")
            found += list(enumerate(block.data.split(b"\n")[:-1], start=block.first_line))
    return found


@each_packer
def test_compressed_is_as_plain(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    expected = list(enumerate(TEXT.split(b"\n")[:-1], start=1))
    assert lines_of(tmp_path, TEXT) == expected
    assert lines_of(tmp_path, pack(TEXT)) == expected
    # Several streams in a row are one, as for the tools.
    assert lines_of(tmp_path, pack(TEXT[:1000]) + pack(TEXT[1000:])) == expected


@settings(max_examples=60, deadline=None)
@given(text=st.text("ab\n", max_size=60), size=st.integers(1, 9))
def test_blocks_are_whole_lines(tmp_path_factory: pytest.TempPathFactory, text: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_BLOCK_BYTES", size)
        found = lines_of(tmp_path_factory.getbasetemp(), text.encode())
    ends_open = bool(text) and not text.endswith("\n")
    assert found == list(enumerate(text.encode().split(b"\n")[: None if ends_open else -1], start=1))


@each_packer
def test_cut_off_and_damaged(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    content = pack(TEXT)
    with pytest.raises(TraceFormatError, match=r"compressed data is (damaged or )?cut off"):
        lines_of(tmp_path, content[: len(content) // 2])
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF
    with pytest.raises(TraceFormatError, match="compressed data is damaged"):
        lines_of(tmp_path, bytes(damaged) if pack is not zst else content + content[:4] + b"\xff" * 40)


def test_a_line_without_end(tmp_path: Path) -> None:
    with pytest.raises(TraceFormatError, match="file, line 3: more than 65536 bytes in one line"):
        lines_of(tmp_path, b"a\nb\n" + b"x" * 3_000_000)


@each_packer
def test_a_bomb_takes_no_memory(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(pack(b"\n" * 200_000_000))
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    with open_lines(path) as opened:
        assert sum(len(block.data) for block in opened.blocks()) == 200_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120_000_000


def test_progress_tells_bytes_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT)
    seen: list[tuple[int, int | None]] = []
    with open_lines(path, lambda done, total: seen.append((done, total))) as opened:
        for _ in opened.blocks():
            pass
    assert seen[-1] == (len(TEXT), len(TEXT))


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BufferedReader(io.BytesIO(zst(b"a\nb\n")))

    monkeypatch.setattr("sys.stdin", Input())
    with open_lines(Path("-")) as opened:
        assert opened.name == "<stdin>"
        assert [block.data for block in opened.blocks()] == [b"a\nb\n"]


def test_without_zstandard_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(NotSupportedError, match=r"pip install 'epcgroup\[sim\]'"):
        lines_of(tmp_path, zst(b"a"))
