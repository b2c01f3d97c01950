"""Names of groups and members, read from the arrays: paths, look-up, walks. Light: no Numba behind it.

A reader in another process uses the same code as the owner; ``SEQUENCE`` is odd while the owner changes the
tree.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from epcgroup.errors import NoSuchGroupError
from epcgroup.state import layout as at
from epcgroup.state.layout import Names, State

_RETRIES = 1000
Result = TypeVar("Result")


def consistent(state: State, look: Callable[[], Result]) -> Result:
    """Return what ``look`` sees while the tree is not being changed (a reader's side of a sequence lock)."""
    for _ in range(_RETRIES):
        before = int(state.machine[at.SEQUENCE])
        try:
            seen = look()
        except (NoSuchGroupError, IndexError):
            if before % 2 == 0 and int(state.machine[at.SEQUENCE]) == before:
                raise
            continue
        if before % 2 == 0 and int(state.machine[at.SEQUENCE]) == before:
            return seen
    # The owner died while changing the tree: what there is, is all there will be.
    return look()


def name_of(names: Names, group: int) -> str:
    """Return the last component of a group's path, "" for the root."""
    return bytes(names.names[group]).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def set_name(names: Names, group: int, name: str) -> None:
    """Store the name of a group (at most 255 bytes)."""
    data = name.encode("utf-8", "surrogateescape")
    names.names[group] = 0
    names.names[group, : len(data)] = np.frombuffer(data, np.uint8)


def path_of(state: State, names: Names, group: int) -> str:
    """Return the absolute path of a group, removed or not.

    Raises:
        NoSuchGroupError: no such group.
    """
    if not 0 < group < len(state.groups) or state.groups[group, at.GROUP_STATE] == at.GROUP_NONE:
        raise NoSuchGroupError(f"no group number {group}")
    parts = []
    current = group
    while current and current != at.ROOT:
        parts.append(name_of(names, current))
        current = int(state.groups[current, at.GROUP_PARENT])
    return "/" + "/".join(reversed(parts))


def children(state: State, group: int) -> Iterator[int]:
    """Yield the child objects of a group in order of creation, removed ones included."""
    child = int(state.groups[group, at.GROUP_FIRST_CHILD])
    while child:
        yield child
        child = int(state.groups[child, at.GROUP_NEXT])


def live_children(state: State, group: int) -> Iterator[int]:
    """Yield the live children of a group in order of creation."""
    for child in children(state, group):
        if state.groups[child, at.GROUP_STATE] == at.GROUP_LIVE:
            yield child


def subtree(state: State, group: int) -> Iterator[int]:
    """Yield a group and all below it in pre-order, removed ones included."""
    yield group
    for child in children(state, group):
        yield from subtree(state, child)


def child_named(state: State, names: Names, group: int, name: str) -> int:
    """Return the live child of that name, 0 if there is none."""
    for child in live_children(state, group):
        if name_of(names, child) == name:
            return child
    return 0


def find(state: State, names: Names, path: str) -> int:
    """Return the live group of an absolute path, 0 if there is none."""
    if not path.startswith("/"):
        return 0
    group = at.ROOT
    for part in path.split("/"):
        if part:
            group = child_named(state, names, group, part)
            if not group:
                return 0
    return group


def lookup(state: State, names: Names, path: str) -> int:
    """Return the live group of an absolute path.

    Raises:
        NoSuchGroupError: no such group (ENOENT).
    """
    group = find(state, names, path)
    if not group:
        raise NoSuchGroupError(f"no group {path!r}")
    return group


def paths(state: State, names: Names) -> list[str]:
    """Return the paths of all live groups, pre-order."""
    return [
        path_of(state, names, group)
        for group in subtree(state, at.ROOT)
        if state.groups[group, at.GROUP_STATE] == at.GROUP_LIVE
    ]


class Index:
    """Live groups by path, for whoever changes the tree: looked for among all siblings only once.

    It is made again when somebody else has changed the tree, which ``SEQUENCE`` tells.
    """

    __slots__ = ("_groups", "_names", "_sequence", "_state")

    def __init__(self, state: State, names: Names) -> None:
        self._state, self._names = state, names
        self._groups: dict[str, int] = {}
        self._sequence = -1

    def find(self, path: str) -> int:
        """Return the live group of an absolute path, 0 if there is none."""
        if self._sequence != self._state.machine[at.SEQUENCE]:
            self._groups = dict(self._look())
            self._sequence = int(self._state.machine[at.SEQUENCE])
        if group := self._groups.get(path):
            return group
        return self._groups.get(_plain(path), 0) if path.startswith("/") else 0

    def _look(self) -> Iterator[tuple[str, int]]:
        for group in subtree(self._state, at.ROOT):
            if self._state.groups[group, at.GROUP_STATE] == at.GROUP_LIVE:
                yield path_of(self._state, self._names, group), group

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold off readers in other processes while the owner of the tree changes it."""
        self._state.machine[at.SEQUENCE] += 1
        try:
            yield
        finally:
            self._state.machine[at.SEQUENCE] += 1

    def note(self, path: str, group: int) -> None:
        """Know what the last change has led to: the number of the group of that path, 0: there is none."""
        if self._sequence + 2 != self._state.machine[at.SEQUENCE]:
            return
        self._sequence += 2
        if group:
            self._groups[_plain(path)] = group
        else:
            self._groups.pop(_plain(path), None)


def _plain(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part)


def members(state: State, names: Names, group: int) -> list[int]:
    """Return the pids written to a group's ``epc.procs``, ascending."""
    table = names.processes
    return sorted(int(pid) for pid in table[(table[:, 1] == group) & (table[:, 0] != 0), 0])


def group_of_process(names: Names, pid: int) -> int:
    """Return the group a pid was written to, 0 if it was written to none."""
    rows = np.nonzero(names.processes[:, 0] == pid)[0]
    return int(names.processes[rows[0], 1]) if len(rows) and pid else 0
