"""Rows as one Parquet table, written piece by piece: the same rows give the same bytes.

pyarrow is an extra (``sim``) and is imported only when a table is written.

What must not live here: what the columns mean (``measure.py``, ``fleet.py``).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from epcgroup.errors import NotSupportedError

if TYPE_CHECKING:
    import pyarrow

#: Rows of one group of a file.
_GROUP: Final = 1_000


class Table:
    """A table under way; rows go to disk in groups.

    Attributes:
        nr_rows: how many it has.
    """

    def __init__(self, writer: "pyarrow.parquet.ParquetWriter", schema: "pyarrow.Schema") -> None:
        self._writer, self._schema = writer, schema
        self._waiting: list[Mapping[str, Any]] = []
        self.nr_rows = 0

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows; a column a row lacks is null there."""
        for row in rows:
            self._waiting.append(row)
            self.nr_rows += 1
            if len(self._waiting) == _GROUP:
                self.flush()

    def flush(self) -> None:
        """Write what waits."""
        import pyarrow

        if self._waiting:
            self._writer.write_table(pyarrow.Table.from_pylist(self._waiting, self._schema))
            self._waiting.clear()


@contextmanager
def writing(path: Path, columns: Mapping[str, str], about: Mapping[str, str]) -> Iterator[Table]:
    """Give a table that becomes a Parquet file when all went well.

    Args:
        path: of the file.
        columns: name → ``int`` (64 bits), ``float`` (64 bits) or ``text``.
        about: written into the file beside the rows.

    Raises:
        NotSupportedError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise NotSupportedError("tables need pyarrow: pip install 'epcgroup[sim]'") from error
    types = {"int": pyarrow.int64(), "float": pyarrow.float64(), "text": pyarrow.string()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()], metadata=dict(about))
    draft = path.with_name(path.name + ".new")
    try:
        with ParquetWriter(draft, schema, compression="zstd") as writer:
            table = Table(writer, schema)
            yield table
            table.flush()
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
