"""The columnar form of a trace: for pandas, DuckDB and archives; read into memory, not mapped.

Columns: ``reference`` (uint32, as in ``format.py``) and, where the trace has arrivals, ``arrival`` (uint32:
set in rows where a request begins, null in the others). The header is the value of the key
``epcgroup.trace`` of the file's metadata, as JSON. pyarrow is loaded only here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.errors import NotSupportedError, TraceFormatError
from epcgroup.sim.trace.format import (
    REQUEST_MARK,
    VERSION,
    Header,
    Trace,
    check_header,
    check_references,
    decode_provenance,
    encode_provenance,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_KEY: Final = b"epcgroup.trace"
#: Most references a Parquet file may put into memory (1 GiB).
MAX_IN_MEMORY: Final = 1 << 28
_BATCH_ROWS: Final = 1 << 18
#: Least rows of a row group, but for the last.
_GROUP_ROWS: Final = 1 << 20
_COUNTS: Final = ("nr_pages", "nr_references", "nr_requests", "nr_arrivals", "unit_ns")


def _pyarrow() -> Any:  # noqa: ANN401 - the module
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise NotSupportedError(
            "Parquet files need pyarrow: pip install 'epcgroup[sim]', or use .npy"
        ) from error
    return pyarrow


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever pyarrow dislikes of a file becomes a ``TraceFormatError``."""
    arrow = _pyarrow()
    try:
        yield
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise TraceFormatError(f"{path}: no Parquet file that can be read: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator["pq.ParquetFile"]:
    with _reading(path):
        file = _pyarrow().parquet.ParquetFile(path)
    with file:
        yield file


def _columns(header: Header) -> list[str]:
    return ["reference", "arrival"] if header.nr_arrivals else ["reference"]


def _header_of(file: "pq.ParquetFile", path: Path) -> Header:
    text = (file.schema_arrow.metadata or {}).get(_KEY) or (file.metadata.metadata or {}).get(_KEY)
    if text is None:
        raise TraceFormatError(f"{path}: a Parquet file, but no trace: its metadata has no {_KEY.decode()!r}")
    fields = decode_provenance(text, str(path))
    if fields.get("version") != VERSION:
        raise TraceFormatError(
            f"{path}: trace version {fields.get('version')!r}, this program reads {VERSION}"
        )
    counts = {name: fields.get(name) for name in _COUNTS}
    provenance = fields.get("provenance")
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts.values()):
        raise TraceFormatError(f"{path}: the header says {counts}: whole numbers from 0 to 2^63 are allowed")
    if not isinstance(provenance, dict):
        raise TraceFormatError(f"{path}: the header has no provenance")
    header = Header(**counts, provenance=provenance)  # type: ignore[arg-type]
    check_header(header, str(path))
    if file.metadata.num_rows != header.nr_references:
        raise TraceFormatError(
            f"{path}: {file.metadata.num_rows} rows, the header says {header.nr_references} references"
        )
    schema = {field.name: str(field.type) for field in file.schema_arrow}
    for name in _columns(header):
        if schema.get(name) != "uint32":
            raise TraceFormatError(f"{path}: column {name!r} is {schema.get(name)}, expected uint32")
    return header


def read_header(path: Path) -> Header:
    """Return the header of a Parquet file; raises as ``format.read_header``."""
    with _opened(path) as file, _reading(path):
        return _header_of(file, path)


@contextmanager
def open_pieces(path: Path) -> Iterator[tuple[Header, Iterator[Trace]]]:
    """Give the header and an iterator of pieces: traces with the header of the whole, for streaming.

    Raises:
        TraceFormatError: the file is no trace; pieces are checked as far as they are read.
    """
    with _opened(path) as file:
        with _reading(path):
            header = _header_of(file, path)
        yield header, _pieces(file, header, path)


def _pieces(file: "pq.ParquetFile", header: Header, path: Path) -> Iterator[Trace]:
    batches = file.iter_batches(_BATCH_ROWS, columns=_columns(header))
    nr_rows = 0
    while True:
        with _reading(path):
            batch = next(batches, None)
        if batch is None:
            break
        nr_rows += batch.num_rows
        yield _piece(batch, header, path)
    if nr_rows != header.nr_references:
        raise TraceFormatError(f"{path}: {nr_rows} rows, the header says {header.nr_references} references")


def _piece(batch: "pa.RecordBatch", header: Header, path: Path) -> Trace:
    references = _plain(batch.column("reference"), path)
    arrivals = None
    if header.nr_arrivals:
        column = batch.column("arrival")
        begins = (references & np.uint32(REQUEST_MARK)) != 0
        if not np.array_equal(np.asarray(column.is_valid()), begins):
            raise TraceFormatError(f"{path}: arrivals are not in the rows where requests begin")
        arrivals = _plain(column.drop_null(), path)
    return Trace(references, header, arrivals)


def _plain(column: "pa.Array", path: Path) -> NDArray[np.uint32]:
    if column.null_count:
        raise TraceFormatError(f"{path}: {column.null_count} references are null")
    return np.asarray(column.to_numpy(), np.uint32)


def read_trace(path: Path) -> Trace:
    """Return a whole trace, checked, in memory; raises as ``format.read_trace``."""
    with open_pieces(path) as (header, pieces):
        if header.nr_references > MAX_IN_MEMORY:
            raise TraceFormatError(
                f"{path}: {header.nr_references} references are too many to hold in memory"
                f" (at most {MAX_IN_MEMORY}): make it .npy first: epcg trace cut {path} -o OUT.npy"
            )
        parts = list(pieces)
    references = np.concatenate([part.references for part in parts])
    arrivals = None
    if header.nr_arrivals:
        arrivals = np.concatenate([part.arrivals for part in parts if part.arrivals is not None])
    references.flags.writeable = False
    check_references(references, header, str(path))
    return Trace(references, header, arrivals)


class ParquetSink:
    """Writes the columnar form; see ``writer.Sink``."""

    def __init__(self, path: Path, has_arrivals: bool) -> None:
        self._arrow = _pyarrow()
        fields = [self._arrow.field("reference", self._arrow.uint32(), nullable=False)]
        if has_arrivals:
            fields.append(self._arrow.field("arrival", self._arrow.uint32()))
        self._schema = self._arrow.schema(fields)
        self._file = self._arrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[Any] = []
        self._nr_waiting = 0

    def write(self, references: NDArray[np.uint32], arrivals: NDArray[np.uint32] | None) -> None:
        """Append references, and the arrivals of the requests that begin in them."""
        arrow = self._arrow
        columns = [arrow.array(references, arrow.uint32())]
        if arrivals is not None:
            absent = (references & np.uint32(REQUEST_MARK)) == 0
            spread = np.zeros(len(references), np.uint32)
            spread[~absent] = arrivals
            columns.append(arrow.array(spread, arrow.uint32(), mask=absent))
        self._waiting.append(arrow.record_batch(columns, schema=self._schema))
        self._nr_waiting += len(references)
        if self._nr_waiting >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        """Write a row group: small ones would make the file large and slow."""
        if self._waiting:
            table = self._arrow.Table.from_batches(self._waiting, self._schema)
            self._file.write_table(table, row_group_size=len(table))
        self._waiting, self._nr_waiting = [], 0

    def finish(self, header: Header) -> None:
        """Write what waits, and the header."""
        self._flush()
        fields = {"version": VERSION, **asdict(header)}
        self._file.add_key_value_metadata({_KEY: encode_provenance(fields)})

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
