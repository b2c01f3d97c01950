"""Lackey's output: against a reader of five lines, and the trace of a real program."""

import lzma
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace import lackey
from epcgroup.sim.trace.format import read_trace
from epcgroup.sim.trace.lackey import import_lackey

SAMPLE = Path(__file__).with_name("sums.lackey.xz")


def naive(text: str, wants_code: bool) -> list[int]:
    """Return the page transitions of a text, numbered in order of first touch."""
    pages: list[int] = []
    for kind, address, size in re.findall(r"^(I | [LSM]) +([0-9a-f]+),(\d+)$", text, re.MULTILINE):
        if kind != "I " or wants_code:
            first, end = int(address, 16) >> 12, (int(address, 16) + int(size) - 1) >> 12
            for page in range(first, end + 1):
                if not pages or pages[-1] != page:
                    pages.append(page)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(page, len(numbers)) for page in pages]


def imported(folder: Path, text: str, wants_code: bool = True) -> list[int]:
    (folder / "in").write_text(text)
    import_lackey(folder / "in", folder / "out.npy", wants_code=wants_code)
    return [int(page) for page in read_trace(folder / "out.npy").references]


line = st.builds(
    lambda kind, address, size: f"{kind}{address:08x},{size}",
    st.sampled_from(["I  ", " L ", " S ", " M "]),
    st.integers(0, 2**48) | st.integers(4090, 4100) | st.integers(0, 30_000),
    st.integers(1, 64) | st.integers(4000, 65536),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(line, min_size=1, max_size=60), st.booleans())
def test_as_the_naive_reader(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], wants_code: bool
) -> None:
    text = "==1== Lackey\n" + "\n".join(lines) + "\n==1== \n"
    expected = naive(text, wants_code)
    folder = tmp_path_factory.getbasetemp()
    if expected:
        assert imported(folder, text, wants_code) == expected
    else:
        with pytest.raises(TraceFormatError, match="the trace is empty"):
            imported(folder, text, wants_code)


def test_a_small_buffer_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f" L {page << 12:x},4\n" for page in range(200))
    monkeypatch.setattr(lackey, "_OUT_PAGES", lackey._MAX_SPAN + 3)
    assert imported(tmp_path, text) == list(range(200))


def test_a_real_program(tmp_path: Path) -> None:
    """Two sums over 64 pages (sums.c): each page is touched in both, in order, between code and stack."""
    text = lzma.decompress(SAMPLE.read_bytes()).decode()
    header = import_lackey(SAMPLE, tmp_path / "t.npy")
    assert header.provenance["accesses"] == len(re.findall("^[I ][ LSM]", text, re.MULTILINE)) == 14_344
    assert header.provenance["lines"] == text.count("\n")
    assert read_trace(tmp_path / "t.npy").references.tolist() == naive(text, True)
    data = import_lackey(SAMPLE, tmp_path / "d.npy", wants_code=False)
    pages = read_trace(tmp_path / "d.npy").references
    assert data.nr_pages == 65
    # Page 0 is the stack; the first touch of each other page comes in the order of the array.
    assert [int(np.flatnonzero(pages == page)[0]) for page in range(1, 65)] == sorted(
        int(np.flatnonzero(pages == page)[0]) for page in range(1, 65)
    )
    assert np.bincount(pages)[1:].min() == np.bincount(pages)[1:].max() == 16


@pytest.mark.parametrize(
    "wrong",
    [
        " L 1000",
        " L 1000,",
        " L ,4",
        " L 1000,0",
        " L 1000,65537",
        " L 1000,4 ",
        " L 11112222333344445,4",
        " X 1000,4",
        "L 1000,4x",
        "hello",
        " ",
        "I",
        " L",
        "I  ",
        "\x00\xff",
    ],
)
def test_a_line_of_somebody_else(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(TraceFormatError) as caught:
        imported(tmp_path, f"==1== x\n L 1000,4\n{wrong}\n L 2000,4\n")
    assert "in, line 3: " in str(caught.value)
    assert "is no line of lackey: expected 'I  ADDRESS,SIZE'" in str(caught.value)
    assert not (tmp_path / "out.npy").exists()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(" LSMI0123abc,=\n-").map(str.encode))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "in").write_bytes(content)
    try:
        import_lackey(folder / "in", folder / "out.npy")
    except TraceFormatError:
        return
    trace = read_trace(folder / "out.npy")
    assert trace.nr_pages == len(set(trace.references.tolist()))
