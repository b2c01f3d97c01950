"""A tree below a directory: our FUSE mount, or the kernel's ``/sys/fs/cgroup``.

Everything goes relative to descriptors, one component at a time and without following links, so that neither
a path nor somebody who moves directories about at the same moment can lead out of the root.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from epcgroup.cgroupfs.errnos import file_error, group_error
from epcgroup.cgroupfs.tree import check_name, split_path
from epcgroup.errors import GroupBusyError, PlatformError

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK_BYTES: Final = 65536
#: Deepest group that :meth:`DirectoryTree.paths` walks to; a descriptor is held for each level.
_MAX_DEPTH: Final = 128


class DirectoryTree:
    """The tree of groups whose root group is the directory ``root``.

    Raises:
        NoSuchGroupError: there is no such directory.
    """

    __slots__ = ("_root", "root")

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        try:
            # The root itself may be reached through links: the caller named it.
            self._root = os.open(self.root, _DIRECTORY & ~os.O_NOFOLLOW)
        except OSError as cause:
            raise group_error(cause, str(root)) from cause

    def close(self) -> None:
        """Let go of the root directory; closing twice is harmless."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def mkdir(self, path: str) -> None:
        """Make a group; see :meth:`epcgroup.cgroupfs.tree.Tree.mkdir`.

        In a kernel tree ``+misc`` is written to the parent's ``cgroup.subtree_control`` first, because only
        then the new group has ``misc.*`` files (EBUSY when the parent holds processes).
        """
        parent, name = self._parent(path)
        with self._group(parent) as fd, _group_errors(path):
            _hand_down_misc(fd)
            os.mkdir(name, dir_fd=fd)

    def rmdir(self, path: str) -> None:
        """Remove a group; see :meth:`epcgroup.cgroupfs.tree.Tree.rmdir`."""
        parent, name = self._parent(path)
        with self._group(parent) as fd, _group_errors(path):
            try:
                os.rmdir(name, dir_fd=fd)
            except OSError as cause:
                # An ordinary directory says ENOTEMPTY where cgroupfs says EBUSY.
                if cause.errno != errno.ENOTEMPTY:
                    raise
                raise GroupBusyError(f"{path}: the group has children") from cause

    def paths(self) -> list[str]:
        """Return the paths of all groups; one that vanishes during the walk is left out."""
        found: list[str] = []
        with self._group(()) as fd:
            _walk(fd, "", found, 0)
        return found

    def read(self, path: str, file: str) -> str:
        """Return the text of a file; see :meth:`epcgroup.cgroupfs.tree.Tree.read`."""
        with self._file(path, file, os.O_RDONLY) as fd:
            pieces = []
            while piece := os.read(fd, _CHUNK_BYTES):
                pieces.append(piece)
        return b"".join(pieces).decode(errors="surrogateescape")

    def write(self, path: str, file: str, text: str) -> int:
        """Write a text by one ``write(2)``; see :meth:`epcgroup.cgroupfs.tree.Tree.write`."""
        data = text.encode(errors="surrogateescape")
        with self._file(path, file, os.O_WRONLY) as fd:
            nr_taken = os.write(fd, data)
        if nr_taken != len(data):
            raise PlatformError(
                f"{path}/{file} took {nr_taken} of {len(data)} bytes: a control file takes all or none"
            )
        return nr_taken

    def _parent(self, path: str) -> tuple[tuple[str, ...], str]:
        names = split_path(path)
        if not names:
            raise GroupBusyError("/: the root group is always there")
        return names[:-1], names[-1]

    @contextmanager
    def _group(self, names: tuple[str, ...]) -> Iterator[int]:
        """Walk down to a group and give its descriptor for as long as the block lasts."""
        path = "/" + "/".join(names)
        with _group_errors(path):
            fd = os.open(".", _DIRECTORY, dir_fd=self._root)
        try:
            for name in names:
                with _group_errors(path):
                    below = os.open(name, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _file(self, path: str, file: str, flags: int) -> Iterator[int]:
        with self._group(split_path(path)) as group:
            try:
                fd = os.open(check_name(file), flags | _FILE, dir_fd=group)
                try:
                    yield fd
                finally:
                    os.close(fd)
            except OSError as cause:
                raise file_error(cause, f"{path.rstrip('/')}/{file}") from cause


@contextmanager
def _group_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise group_error(cause, path) from cause


def _hand_down_misc(parent: int) -> None:
    """Give the children of a kernel group the misc controller; elsewhere nothing."""
    try:
        available = _read_small("cgroup.controllers", parent)
        handed_down = _read_small("cgroup.subtree_control", parent)
    except FileNotFoundError:
        return
    if "misc" in available and "misc" not in handed_down:
        fd = os.open("cgroup.subtree_control", os.O_WRONLY | _FILE, dir_fd=parent)
        try:
            os.write(fd, b"+misc")
        finally:
            os.close(fd)


def _read_small(file: str, group: int) -> list[str]:
    fd = os.open(file, os.O_RDONLY | _FILE, dir_fd=group)
    try:
        return os.read(fd, _CHUNK_BYTES).decode().split()
    finally:
        os.close(fd)


def _walk(group: int, path: str, found: list[str], depth: int) -> None:
    found.append(path or "/")
    if depth == _MAX_DEPTH:
        return
    names: list[str] = []
    with suppress(OSError), os.scandir(group) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in names:
        try:
            below = os.open(name, _DIRECTORY, dir_fd=group)
        except OSError:
            continue
        try:
            _walk(below, f"{path}/{name}", found, depth + 1)
        finally:
            os.close(below)
