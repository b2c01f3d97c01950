"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from epcgroup.errors import UsageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a new, empty file beside ``path``; at the end it takes the name, after any error it is gone.

    Whoever reads ``path`` meanwhile sees the old file. The file is not forced to the disk: it survives this
    process, not a power cut.

    Raises:
        UsageError: something that is no file has the name.
        OSError: the file cannot be made; later, whatever writing it raises.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no regular file: a trace is written to one")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    except OSError as error:
        error.filename = str(path)  # the name people know
        raise
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
