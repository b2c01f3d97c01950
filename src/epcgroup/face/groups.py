"""The part of the Python face that deals with groups: the tree, its files, its members."""

from epcgroup.engine import group
from epcgroup.errors import GroupBusyError, GroupExistsError, NoSuchGroupError, TableFullError, UsageError
from epcgroup.face import control
from epcgroup.state import files, pressure, tree
from epcgroup.state import layout as at
from epcgroup.state.layout import Names, State


class GroupFace:
    """Groups of one machine, by path."""

    __slots__ = ("_index", "_reader", "names", "state")

    def __init__(self, state: State, names: Names) -> None:
        self.state = state
        self.names = names
        self._index = tree.Index(state, names)
        self._reader = files.Reader(state, names)

    def mkdir(self, path: str) -> int:
        """Make a group; returns its number.

        Raises:
            GroupExistsError: it exists (EEXIST).
            NoSuchGroupError: no such parent (ENOENT).
            UsageError: not a name for a directory (EINVAL).
            TableFullError: no row left (ENOSPC).
        """
        head, _, name = path.rpartition("/")
        parent = self.lookup(head or "/") if path.startswith("/") else 0
        if not parent:
            raise NoSuchGroupError(f"{path!r}: expected an absolute path")
        if self._index.find(path) or name in files.FILES:
            raise GroupExistsError(f"{path!r} exists")
        _check_name(name)
        with self._index.changing():
            number = int(group.create(self.state, parent))
            if number:
                tree.set_name(self.names, number, name)
        self._index.note(path, number)
        if not number:
            raise TableFullError(f"the table of {len(self.state.groups) - 1} groups is full")
        return number

    def rmdir(self, path: str) -> None:
        """Remove a group; what is charged to it stays charged above until it is freed.

        Raises:
            NoSuchGroupError: no such group (ENOENT).
            GroupBusyError: processes or groups in it, or the root (EBUSY).
        """
        number = self.lookup(path)
        with self._index.changing():
            removed = group.remove(self.state, number)
        self._index.note(path, 0 if removed else number)
        if not removed:
            raise GroupBusyError(f"{path!r} holds processes or groups")

    def lookup(self, path: str) -> int:
        """Return the number of a live group; raises NoSuchGroupError."""
        number = self._index.find(path)
        if not number:
            raise NoSuchGroupError(f"no group {path!r}")
        return number

    def paths(self) -> list[str]:
        """Return the paths of all live groups, pre-order."""
        return tree.paths(self.state, self.names)

    def path_of(self, number: int) -> str:
        """Return the path of a group, removed or not; raises NoSuchGroupError."""
        return tree.path_of(self.state, self.names, number)

    def files(self, path: str) -> list[str]:
        """Return the names of a group's files; raises NoSuchGroupError."""
        return self._reader.files(path)

    def read(self, path: str, file: str) -> str:
        """Return the text of a file; raises NoSuchGroupError, NoSuchFileError."""
        return self._reader.read(path, file)

    def write(self, path: str, file: str, text: str | bytes) -> int:
        """Write a file as ``write(2)`` does; returns the bytes taken.

        Raises:
            NoSuchGroupError: no such group (ENOENT).
            NoSuchFileError: no such file there (ENOENT).
            UsageError: the text is refused, or the file takes none (EINVAL, ERANGE, E2BIG); nothing changed.
        """
        return control.write(self.state, self.names, self.lookup(path), file, text)

    def attach_process(self, pid: int, number: int) -> None:
        """Make a process a member of a group, taking it out of the one it was in; raises TableFullError."""
        control.attach(self.state, self.names, pid, number)

    def detach_process(self, pid: int) -> None:
        """Forget a process that has ended; nothing happens if it was nowhere."""
        control.detach(self.state, self.names, pid)

    def group_of_process(self, pid: int) -> int:
        """Return the group a pid was written to, 0 if none."""
        return tree.group_of_process(self.names, pid)

    def account_stall(self, number: int, usec: int) -> None:
        """Add time that tasks of a group waited for EPC, in microseconds."""
        self.state.groups[number, at.STAT_STALL_USEC] += usec

    def tick(self, elapsed_usec: int) -> None:
        """Move the averages of ``epc.pressure`` on by the time that passed; call it every 2 s or so."""
        pressure.tick(self.state, elapsed_usec)


def _check_name(name: str) -> None:
    data = name.encode("utf-8", "surrogateescape")
    if not name or name in (".", "..") or "\n" in name or "\0" in name or len(data) >= at.NAME_BYTES:
        raise UsageError(f"{name!r} is no name for a group: 1 to 255 bytes, not . or .., no newline")
