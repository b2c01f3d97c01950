"""The journal of a sweep: which points are done and what they gave, safe against Ctrl-C, kill -9 and power.

A folder holds ``spec.json`` (what is swept) and ``journal.jsonl`` (one line a finished point, on disk before
the next is noted). A line that was cut short is forgotten: its point runs again.

What must not live here: what a point is (``points.py``), the table (``tables.py``).
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any, Final

from epcgroup.errors import UsageError

_SPEC: Final = "spec.json"
_JOURNAL: Final = "journal.jsonl"
#: Most differences an error names.
_SHOWN: Final = 4


@dataclass(slots=True)
class Journal:
    """What a sweep has found so far.

    Attributes:
        entries: id of each finished point → what was noted of it.
    """

    entries: dict[str, dict[str, Any]]
    _file: BufferedRandom

    def note(self, point: str, entry: Mapping[str, Any]) -> None:
        """Write a finished point down; it is on disk when this returns."""
        line = json.dumps({"id": point, **entry}, separators=(",", ":"))
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.entries[point] = dict(entry)


@contextmanager
def opened(folder: Path, spec: Mapping[str, Any]) -> Iterator[Journal]:
    """Give the journal of a folder; an empty folder becomes one of this sweep.

    Raises:
        UsageError: the folder is of another sweep; the message names what differs and what to do.
    """
    _claim(folder, spec)
    # Not append mode: what follows a line cut short must overwrite it.
    with (folder / _JOURNAL).open("r+b" if (folder / _JOURNAL).exists() else "w+b") as file:
        yield Journal(_read(file), file)


def _claim(folder: Path, spec: Mapping[str, Any]) -> None:
    path = folder / _SPEC
    if path.exists():
        _compare(path, spec)
        return
    if (folder / _JOURNAL).exists():
        raise UsageError(f"{folder} has a journal but no {_SPEC}: give --out another folder, or remove it")
    draft = folder / (_SPEC + ".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(spec, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _compare(path: Path, spec: Mapping[str, Any]) -> None:
    try:
        before = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is not what a sweep wrote: give --out another folder") from error
    found = list(differences(before, json.loads(json.dumps(spec))))
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise UsageError(
            f"{path.parent} holds another sweep: {'; '.join(found[:_SHOWN])}{more}."
            f" To keep it, give --out another folder; to start anew, remove {path.parent}"
        )


def differences(before: object, after: object, path: str = "") -> Iterator[str]:
    """Give one text for each place in which two JSON values differ."""
    old, new = _members(before), _members(after)
    if old is None or new is None:
        if before != after:
            yield f"{path} was {_short(before)}, is {_short(after)}"
        return
    for name in sorted({*old, *new}):
        inner = (path + name).removeprefix(".")
        if name not in old:
            yield f"{inner} is new"
        elif name not in new:
            yield f"{inner} is gone"
        else:
            yield from differences(old[name], new[name], inner)


def _members(value: object) -> dict[str, object] | None:
    """Return what an object, or a list of objects, holds by the end of its path; None for any other value."""
    if isinstance(value, dict):
        return {f".{key}": member for key, member in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {f"[{number}]": item for number, item in enumerate(value)}
    return None


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _read(file: BufferedRandom) -> dict[str, dict[str, Any]]:
    """Return the whole entries and leave the file open for writing after the last of them."""
    entries: dict[str, dict[str, Any]] = {}
    good = 0
    for line in file:
        try:
            entry = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            break
        good += len(line)
        entries[entry.pop("id")] = entry
    file.seek(good)
    file.truncate()
    return entries
