"""Reading the files of the groups out of a pager's shared state, without asking the pager.

A reader never blocks and never delays a fault: the arrays are mapped read-only and rendered here. What must
not live here: the layout and the texts, which are in ``epcgroup.state``.
"""

import mmap
import os
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from epcgroup.cgroupfs.errnos import file_error
from epcgroup.cgroupfs.served import GONE
from epcgroup.errors import NoSuchGroupError, UsageError
from epcgroup.state import files as engine_files
from epcgroup.state import layout as at
from epcgroup.state import tree as engine_tree

_T = TypeVar("_T")


class _Group(NamedTuple):
    """Where a live group stands: its row, the number of its creation, the names of its children."""

    row: int
    identity: int
    children: list[str]


#: Columns of ``groups`` that announce, per file; ``epc.events`` shows its whole subtree.
_EVENT_COLUMNS: Final[Mapping[str, list[int]]] = {
    "misc.events": [at.counter(index, at.EVENTS) for index in range(len(at.RESOURCES))],
    "misc.events.local": [at.counter(index, at.EVENTS_LOCAL) for index in range(len(at.RESOURCES))],
    "epc.events": list(range(at.STAT_EVENT_HIGH, at.STAT_EVENT_LOW + 1)),
}
#: All of them, and where those of each file begin.
_COLUMNS: Final = np.concatenate([np.array(columns) for columns in _EVENT_COLUMNS.values()])
_STARTS: Final = np.cumsum([0, *(len(columns) for columns in _EVENT_COLUMNS.values())][:-1])


class SharedState:
    """The shared state of a pager, seen read-only.

    Args:
        path: the file that holds the engine's buffer.

    Raises:
        UsageError: there is no such file, it may not be read, or it holds no state of this version.
    """

    __slots__ = (
        "_counts", "_files", "_index", "_index_sequence", "_names", "_rows", "_state", "_watched",
    )  # fmt: skip

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as cause:
            raise file_error(cause, f"shared state {os.fspath(path)}") from cause
        try:
            size = os.fstat(fd).st_size
            if size == 0:
                raise UsageError(f"shared state {os.fspath(path)} is empty")
            buffer = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
        finally:
            os.close(fd)
        self._state, self._names = at.attach(buffer)
        self._index: dict[str, _Group] = {}
        self._index_sequence = -1
        self._files: dict[bool, dict[str, int]] = {}
        self._watched: dict[str, _Group] = {}
        self._rows: NDArray[np.int64] = np.empty((0, 1), np.int64)
        self._counts: NDArray[np.int64] = np.empty((0, _COLUMNS.size), np.int64)
        # What was counted before is no change.
        self.changed_files()

    def paths(self) -> list[str]:
        """Return the paths of all groups, pre-order, children in order of creation."""
        return list(self._groups())

    def children(self, path: str) -> list[str]:
        """Return the sorted names of the groups directly below a group; raises NoSuchGroupError."""
        return self._group(path).children

    def identity(self, path: str) -> int:
        """Return the number of a group's creation; raises NoSuchGroupError."""
        return self._group(path).identity

    def files(self, path: str) -> dict[str, int]:
        """Return name → permission bits of a group's files; raises NoSuchGroupError."""
        # Which files exist depends on the series, which never changes, and on being the root.
        row = self._group(path).row
        is_root = row == at.ROOT
        if is_root not in self._files:
            names = engine_files.listing(self._state, row)
            self._files[is_root] = {name: engine_files.FILES[name].mode for name in names}
        return self._files[is_root]

    def read(self, path: str, file: str) -> str:
        """Return the text of a file.

        Raises:
            NoSuchGroupError: no such group.
            NoSuchFileError: no such file in that group.
            UsageError: the file is only for writing.
        """
        row = self._group(path).row
        found = engine_files.find(self._state, row, file)
        render = found.render
        if render is None:
            raise UsageError(f"{file} is only for writing")
        return self._consistent(lambda: render(self._state, self._names, row))

    def event_count(self, path: str, identity: int, file: str) -> int:
        """Return the sum of the counters a file announces, ``GONE`` without that very group."""
        group = self._groups().get(path)
        if group is None or group.identity != identity:
            return GONE
        columns = _EVENT_COLUMNS.get(file)
        if columns is None:
            return 0
        rows = [group.row]
        if file == "epc.events":
            rows = self._consistent(lambda: list(engine_tree.subtree(self._state, group.row)))
        return int(self._state.groups[np.ix_(rows, columns)].sum())

    def changed_files(self) -> list[tuple[str, str]]:
        """Return (path, file) of every file whose counters moved since the last call."""
        groups = self._groups()
        if groups is not self._watched:
            self._watch(groups)
        counts = self._state.groups[self._rows, _COLUMNS]
        if np.array_equal(counts, self._counts):
            return []
        moved = np.add.reduceat(counts != self._counts, _STARTS, axis=1)
        self._counts = counts
        paths = list(groups)
        files = list(_EVENT_COLUMNS)
        return _with_ancestors([(paths[row], files[file]) for row, file in np.argwhere(moved)])

    def _watch(self, groups: dict[str, _Group]) -> None:
        """Begin to compare the groups there are now; a new one counts from zero."""
        before = {
            group.identity: row for group, row in zip(self._watched.values(), self._counts, strict=True)
        }
        zeros = np.zeros(_COLUMNS.size, np.int64)
        self._counts = np.array([before.get(group.identity, zeros) for group in groups.values()])
        self._rows = np.array([[group.row] for group in groups.values()])
        self._watched = groups

    def _group(self, path: str) -> _Group:
        try:
            return self._groups()[path]
        except KeyError:
            raise NoSuchGroupError(f"no group {path!r}") from None

    def _groups(self) -> dict[str, _Group]:
        """Return all live groups by path; made again only after the tree has changed."""
        if int(self._state.machine[at.SEQUENCE]) != self._index_sequence:
            sequence, self._index = self._consistent(self._look_at_tree)
            # Last: another thread that finds the number right must find the index that belongs to it.
            self._index_sequence = sequence
        return self._index

    def _look_at_tree(self) -> tuple[int, dict[str, _Group]]:
        sequence = int(self._state.machine[at.SEQUENCE])
        groups: dict[str, _Group] = {}
        for row in engine_tree.subtree(self._state, at.ROOT):
            if self._state.groups[row, at.GROUP_STATE] == at.GROUP_LIVE:
                path = engine_tree.path_of(self._state, self._names, row)
                groups[path] = _Group(row, int(self._state.groups[row, at.GROUP_ID]), [])
        for path in sorted(groups):
            parent, _, name = path.rpartition("/")
            # A tree that changes under our eyes may miss the parent; such a look is thrown away.
            if name and (above := groups.get(parent or "/")):
                above.children.append(name)
        return sequence, groups

    def _consistent(self, look: Callable[[], _T]) -> _T:
        return engine_tree.consistent(self._state, look)


def _with_ancestors(changed: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Add the ancestors below the root of every changed ``epc.events``: that file shows its whole subtree."""
    found = dict.fromkeys(changed)
    for path, file in changed:
        if file == "epc.events":
            while path := path.rpartition("/")[0]:
                found[(path, file)] = None
    # The root has no event files; what its row counts is nobody's to see.
    return [(path, file) for path, file in found if path != "/"]
