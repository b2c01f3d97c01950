"""What the file server needs of a tree beyond reading and writing: identities, listings, changes."""

from collections.abc import Mapping
from typing import Final, Protocol

from epcgroup.cgroupfs.tree import Tree

#: What :meth:`ServedTree.event_count` answers for a group that is gone.
GONE: Final = -1


class ServedTree(Tree, Protocol):
    """A tree that can be served as a file system."""

    def identity(self, path: str) -> int:
        """Return the number (> 0) of a group; another group of the same path later has another one.

        Raises:
            NoSuchGroupError: no such group.
        """
        ...

    def files(self, path: str) -> Mapping[str, int]:
        """Return name → permission bits (0o444, 0o644, 0o200) of the files of a group, in order of listing.

        Raises:
            NoSuchGroupError: no such group.
        """
        ...

    def children(self, path: str) -> list[str]:
        """Return the names of the groups directly below a group, sorted.

        Raises:
            NoSuchGroupError: no such group.
        """
        ...

    def event_count(self, path: str, identity: int, file: str) -> int:
        """Return a number that differs whenever the file has announced a change; ``GONE`` without the group.

        A file that never announces (all but ``*.events`` and ``*.events.local``) answers a constant.
        """
        ...

    def changed_files(self) -> list[tuple[str, str]]:
        """Return (path, file) of every file that announced a change since the last call; no waiting."""
        ...

    def is_served(self) -> bool:
        """Tell whether whoever keeps the tree still runs; a file server ends with it."""
        ...
