"""Where compiled code of the engine is kept, for users who may not write beside its sources.

Numba keeps it beside the sources or under the home directory; a system user may have neither. What is loaded
from there is executed, so the folder must be ours alone.
"""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from epcgroup import engine

_VARIABLE: Final = "NUMBA_CACHE_DIR"


def _is_usable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself can be made."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def choose() -> None:
    """Tell Numba to use a private folder for temporary files if it has no place of its own."""
    places = [Path(path) / "__pycache__" for path in engine.__path__]
    places.append(Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()))
    if _VARIABLE in os.environ or any(_is_usable(place) for place in places):
        return
    folder = Path(tempfile.gettempdir()) / f"epcgroup-code-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        os.environ[_VARIABLE] = str(folder)
