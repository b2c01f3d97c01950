"""The seam: what a tree of groups can do, whoever keeps it.

Everything above (agent, table, metrics, planner) sees groups only through :class:`Tree`. Whether the engine
of a pager, a FUSE mount or the kernel's own controller stands behind it cannot be told, except that files
called ``epc.*`` are ours and may be absent.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from epcgroup.errors import GroupGoneError, InvalidPathError, NoSuchFileError, NoSuchGroupError

#: Longest name of a group or file, in bytes. Source: include/uapi/linux/limits.h, ``NAME_MAX``.
NAME_MAX: Final = 255

_T = TypeVar("_T")


class Tree(Protocol):
    """A tree of groups with files.

    Paths are absolute within the tree: ``/`` is the root group, ``/kubepods/POD/CONTAINER`` a group below it.
    A text is exactly what the file holds, with its newline.
    """

    def mkdir(self, path: str) -> None:
        """Make a group.

        Raises:
            InvalidPathError: not a path, or a name the tree does not take.
            NoSuchGroupError: the parent does not exist.
            GroupExistsError: the group exists.
        """
        ...

    def rmdir(self, path: str) -> None:
        """Remove a group; what it has charged stays in its ancestors.

        Raises:
            NoSuchGroupError: no such group.
            GroupBusyError: the group has children or processes, or is the root.
        """
        ...

    def paths(self) -> list[str]:
        """Return the paths of all groups, parents before their children, the root (``/``) first."""
        ...

    def read(self, path: str, file: str) -> str:
        """Return the text of a file.

        Raises:
            NoSuchGroupError: no such group.
            NoSuchFileError: the group has no such file.
            GroupGoneError: the group vanished in between.
        """
        ...

    def write(self, path: str, file: str, text: str) -> int:
        """Hand a text to a file as one command and return how many bytes it took (always all of them).

        Raises:
            UsageError: of a kind with the errno the file answers (EINVAL, ERANGE, E2BIG ...); nothing has
                changed.
            GroupGoneError: the group vanished in between.
        """
        ...


def split_path(path: str) -> tuple[str, ...]:
    """Return the names of the groups on the way to ``path``; the root has none.

    Paths come from manifests, sockets and other programs, so nothing in them is trusted.

    Raises:
        InvalidPathError: not absolute, or with an empty, ``.`` or ``..`` component, a NUL, a newline or a
            name of more than ``NAME_MAX`` bytes.
    """
    if path == "/":
        return ()
    if not path.startswith("/"):
        raise InvalidPathError(f"{path[:120]!r} is not a path of a group: it must start with '/'")
    names = tuple(path[1:].split("/"))
    for name in names:
        check_name(name)
    return names


def check_name(name: str) -> str:
    """Return ``name`` if it can name a group or a file.

    Raises:
        InvalidPathError: it cannot.

    Source: kernel/cgroup/cgroup.c, ``cgroup_mkdir``: no newline, it would break ``/proc/PID/cgroup``.
    """
    if name in ("", ".", "..") or any(character in name for character in "/\0\n"):
        raise InvalidPathError(f"{name[:120]!r} cannot name a group or a file")
    if len(name.encode(errors="surrogateescape")) > NAME_MAX:
        raise InvalidPathError(f"{name[:40]!r}... is longer than the {NAME_MAX} bytes a name may have")
    return name


def if_there(ask: Callable[[], _T]) -> _T | None:
    """Return ``ask()``, or None when the group or the file is not there (any more).

    A group may vanish between two looks at any time: that is data, not an error.
    """
    try:
        return ask()
    except (NoSuchGroupError, NoSuchFileError, GroupGoneError):
        return None
