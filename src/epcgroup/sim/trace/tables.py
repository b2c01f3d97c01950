"""Imports from tables of text: Twitter's cache traces, the ARC traces, any CSV.

Source: twitter/cache-trace, "Trace Format"; libCacheSim's sample files; ARC traces as described with "ARC: A
Self-Tuning, Low Overhead Replacement Cache" (FAST'03).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.errors import TraceFormatError, UsageError
from epcgroup.sim.trace import scan
from epcgroup.sim.trace.arrivals import Arrivals
from epcgroup.sim.trace.format import REQUEST_MARK, Header
from epcgroup.sim.trace.numbering import Numbering
from epcgroup.sim.trace.scan import Column, Layout
from epcgroup.sim.trace.source import Block, LineSource, Progress, open_lines
from epcgroup.sim.trace.writer import open_writer

_MARK: Final = np.uint32(REQUEST_MARK)
_SECOND_NS: Final = 10**9

_TWITTER: Final = Layout(
    ",",
    (
        Column(0, scan.NUMBER, "timestamp"),
        Column(1, scan.KEY, "key"),
        Column(6, scan.NUMBER, "TTL"),  # checked only: a key with a comma in it would move it
    ),
)
_TWITTER_SAMPLE: Final = Layout(
    ",", (Column(0, scan.NUMBER, "time"), Column(1, scan.NUMBER, "object"), Column(2, scan.NUMBER, "size"))
)
_SAMPLE_COLUMNS: Final = 4

_ARC: Final = Layout(
    " ",
    (
        Column(0, scan.NUMBER, "first block"),
        Column(1, scan.NUMBER, "number of blocks"),
        Column(3, scan.NUMBER, "request number"),
    ),
)
#: Most blocks one line of an ARC trace may name: half a gigabyte.
MAX_BLOCKS: Final = 1 << 20
#: References made of ARC lines at once.
_AT_ONCE: Final = 1 << 20

#: Unit of a column of times → (unit of the trace in ns, digits of the fraction that are kept).
TIME_UNITS: Final = {"s": (1_000_000, 3), "ms": (1_000, 3), "us": (1, 3), "ns": (1, 0)}


def _provenance(source: LineSource, form: str, **more: object) -> dict[str, Any]:
    return {"format": form, "source": Path(source.name).name, **more}


def import_twitter(path: Path, out: Path, *, progress: Progress | None = None) -> Header:
    """Make a trace of a Twitter cache trace: a page an object, a request a line, arrivals to the second.

    Both forms are known: that of the traces (timestamp, key, key size, value size, client, operation, TTL)
    and that of libCacheSim's samples (time, object, size, next access). Keys are told apart by a 64-bit hash:
    among 10^7 of them two agree with a probability of 3 in a million.

    Raises:
        TraceFormatError: a line has neither form.
        OSError: a file cannot be read or written.
    """
    numbering = Numbering()
    with open_lines(path, progress) as source:
        layout, blocks = _twitter_layout(source)
        arrivals = Arrivals(source.name)
        form = "twitter" if layout is _TWITTER else "twitter-sample"
        with open_writer(out, _provenance(source, form), unit_ns=_SECOND_NS) as writer:
            for rows in scan.rows(source.name, blocks, layout):
                references = numbering.numbers(np.ascontiguousarray(rows.values[:, 1]))
                references |= _MARK
                writer.append(references, arrivals.since_last(rows.values[:, 0], rows.lines))
    return writer.header


def _twitter_layout(source: LineSource) -> tuple[Layout, Iterator[Block]]:
    """Tell the form by the columns of the first line of data; give back all blocks."""
    blocks = source.blocks()
    first = next(blocks, None)
    if first is None:
        raise TraceFormatError(f"{source.name}: the file is empty")
    lines = (line for line in first.data.split(b"\n") if line.strip() and not line.startswith(b"#"))
    nr_columns = next(lines, b"").count(b",") + 1
    return _TWITTER_SAMPLE if nr_columns == _SAMPLE_COLUMNS else _TWITTER, chain([first], blocks)


def import_arc(
    path: Path, out: Path, *, blocks_per_page: int = 1, progress: Progress | None = None
) -> Header:
    """Make a trace of an ARC trace (``.lis``): a request a line, a reference a block.

    Args:
        path: lines of first block, number of blocks (of 512 bytes), a field that is ignored, request number.
        out: the trace.
        blocks_per_page: 1: a page a block, as the literature counts; 8: pages of 4 KiB.
        progress: see ``source.Progress``.

    Raises:
        TraceFormatError: a line is of another form.
        UsageError: no blocks per page.
        OSError: a file cannot be read or written.
    """
    if blocks_per_page < 1:
        raise UsageError(f"{blocks_per_page} blocks per page: at least one is needed")
    numbering = Numbering()
    with (
        open_lines(path, progress) as source,
        open_writer(out, _provenance(source, "arc", blocks_per_page=blocks_per_page)) as writer,
    ):
        for rows in scan.rows(source.name, source.blocks(), _ARC):
            _check_extents(rows, source.name)
            for first, count in _page_extents(rows, blocks_per_page):
                names, begins = _spread(first, count)
                references = numbering.numbers(names)
                references[begins] |= _MARK
                writer.append(references)
    return writer.header


def _check_extents(rows: scan.Rows, name: str) -> None:
    first, count = rows.values[:, 0], rows.values[:, 1]
    wrong = (count == 0) | (count > MAX_BLOCKS) | (first >= np.uint64(2**62))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise TraceFormatError(
            f"{name}, line {int(rows.lines[at])}: {int(count[at])} blocks from {int(first[at])} on:"
            f" allowed are 1 to {MAX_BLOCKS} blocks below 2^62"
        )


def _page_extents(
    rows: scan.Rows, blocks_per_page: int
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Yield first pages and numbers of pages, of not too many references at once."""
    size = np.uint64(blocks_per_page)
    first = rows.values[:, 0] // size
    count = (rows.values[:, 0] + rows.values[:, 1] - np.uint64(1)) // size - first + np.uint64(1)
    ends = np.cumsum(count)
    start = 0
    while start < len(first):
        done = ends[start - 1] if start else np.uint64(0)
        stop = max(start + 1, int(np.searchsorted(ends, done + np.uint64(_AT_ONCE), side="right")))
        yield first[start:stop], count[start:stop]
        start = stop


def _spread(
    first: NDArray[np.uint64], count: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return every page of some extents, and where each extent begins."""
    counts = count.astype(np.int64)
    begins = np.cumsum(counts) - counts
    offsets = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(begins, counts)
    return np.repeat(first, counts) + offsets.astype(np.uint64), begins


@dataclass(frozen=True, slots=True)
class CsvForm:
    """What is where in a table.

    Attributes:
        column: that of the page: its number, from 1, or its name in the header line.
        delimiter: one ASCII character; a space: any run of spaces and tabs.
        is_key: the column is any text, a page for each that is different; else a number.
        page_size: the column is an address in bytes, of pages of this size; 1: it is the page.
        time_column: time of arrival: then every line (or group of lines) is a request.
        time_unit: its unit, a key of ``TIME_UNITS``.
        request_column: lines that follow each other with the same value in it are one request.
        has_header: the first line holds names of columns; implied where a name is used.
    """

    column: str = "1"
    delimiter: str = ","
    is_key: bool = False
    page_size: int = 1
    time_column: str | None = None
    time_unit: str = "s"
    request_column: str | None = None
    has_header: bool = False


def import_csv(path: Path, out: Path, form: CsvForm, *, progress: Progress | None = None) -> Header:
    """Make a trace of a table; fields in quotes are not known.

    Raises:
        TraceFormatError: a line is not of the form.
        UsageError: the form cannot be; the text says why.
        OSError: a file cannot be read or written.
    """
    _check_form(form)
    unit_ns, digits = TIME_UNITS[form.time_unit]
    numbering = Numbering()
    with open_lines(path, progress) as source:
        layout, blocks = _csv_layout(form, digits, source)
        provenance = _provenance(source, "csv", column=form.column, page_size=form.page_size)
        with open_writer(out, provenance, unit_ns=unit_ns if form.time_column else 0) as writer:
            requests = _Requests(form, Arrivals(source.name))
            for rows in scan.rows(source.name, blocks, layout):
                names = np.ascontiguousarray(rows.values[:, 0])
                if form.page_size > 1:
                    names //= np.uint64(form.page_size)
                references = numbering.numbers(names)
                begins, arrivals = requests.of(rows)
                references[begins] |= _MARK
                writer.append(references, arrivals)
    return writer.header


def _check_form(form: CsvForm) -> None:
    is_one_byte = len(form.delimiter) == 1 and form.delimiter.isascii()
    if not is_one_byte or form.delimiter.isalnum() or form.delimiter in "\n\r#.\0":
        raise UsageError(
            f"{form.delimiter!r} cannot separate columns: expected one ASCII sign that is in no number,"
            " such as a comma, a semicolon, a tab or a space"
        )
    if form.page_size < 1:
        raise UsageError(f"pages of {form.page_size} bytes: at least 1")
    if form.is_key and form.page_size > 1:
        raise UsageError("a page size makes pages of addresses, keys have none: give one of the two")
    if form.time_unit not in TIME_UNITS:
        raise UsageError(f"{form.time_unit!r} is no unit of time: {', '.join(TIME_UNITS)}")


def _csv_layout(form: CsvForm, digits: int, source: LineSource) -> tuple[Layout, Iterator[Block]]:
    """Return the layout of a table, names of columns found in its header; give back all blocks."""
    wanted = [(form.column, scan.KEY if form.is_key else scan.NUMBER, "page")]
    if form.time_column is not None:
        wanted.append((form.time_column, scan.DECIMAL, "time"))
    if form.request_column is not None:
        wanted.append((form.request_column, scan.KEY, "request"))
    blocks = source.blocks()
    first = next(blocks, None)
    if first is None:
        raise TraceFormatError(f"{source.name}: the file is empty")
    line = first.data[: first.data.index(b"\n")].decode("utf-8", "replace")
    names = line.split() if form.delimiter == " " else [name.strip() for name in line.split(form.delimiter)]
    has_header = form.has_header or not all(text.isdecimal() for text, _, _ in wanted)
    columns = tuple(Column(_index(text, names), kind, name) for text, kind, name in wanted)
    if len({column.index for column in columns}) < len(columns):
        raise UsageError("page, time and request are different columns")
    return Layout(form.delimiter, columns, digits, int(has_header)), chain([first], blocks)


def _index(text: str, names: list[str]) -> int:
    """Return the place of a column, from 0, of its number or its name."""
    if not text.isdecimal():
        if text not in names:
            shown = ", ".join(repr(name) for name in names[:10])
            raise UsageError(f"no column {text!r}: the first line has {shown}")
        return names.index(text)
    if len(text) > 4 or not 1 <= int(text) <= scan.MAX_COLUMNS:
        raise UsageError(f"column {text}: columns are counted from 1 to {scan.MAX_COLUMNS}")
    return int(text) - 1


class _Requests:
    """Where requests begin in a table, and when they came."""

    def __init__(self, form: CsvForm, arrivals: Arrivals) -> None:
        self._has_times = form.time_column is not None
        self._has_requests = form.request_column is not None
        self._arrivals = arrivals
        self._last: NDArray[np.uint64] | None = None

    def of(self, rows: scan.Rows) -> tuple[NDArray[np.int64], NDArray[np.uint32] | None]:
        """Return the indexes of lines at which requests begin, and their arrivals."""
        nr_rows = len(rows.lines)
        begins = np.arange(nr_rows if self._has_times else 0)
        if self._has_requests and nr_rows:
            values = rows.values[:, -1]
            before = ~values[:1] if self._last is None else self._last
            begins = np.flatnonzero(np.diff(values, prepend=before) != 0)
            self._last = values[-1:].copy()
        if not self._has_times:
            return begins, None
        return begins, self._arrivals.since_last(rows.values[begins, 1], rows.lines[begins])
