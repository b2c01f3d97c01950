"""What ``stat`` says of groups and files, and what ``chmod`` and ``chown`` have made of it."""

import os
import stat
import time
from dataclasses import dataclass, replace
from typing import Any, Final

_BLOCK_BYTES: Final = 4096
_DIRECTORY_MODE: Final = 0o755
#: Inode numbers: identity of the group, then this many bits for the file.
_FILE_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class Ownership:
    """Permission bits and owner of one node."""

    mode: int
    uid: int
    gid: int


class Nodes:
    """Attributes of all nodes, by identity of the group and name of the file ("" = the directory).

    Kept only where somebody changed them, and forgotten with the group.
    """

    __slots__ = ("_changed", "_gid", "_numbers", "_since_ns", "_uid")

    def __init__(self) -> None:
        self._changed: dict[int, dict[str, Ownership]] = {}
        self._numbers: dict[str, int] = {"": 0}
        self._uid, self._gid = os.getuid(), os.getgid()
        self._since_ns = time.time_ns()

    def ownership(self, identity: int, file: str, mode: int) -> Ownership:
        """Return who may do what; ``mode`` is what the file began with."""
        changed = self._changed.get(identity, {}).get(file)
        return changed or Ownership(mode, self._uid, self._gid)

    def change(
        self, identity: int, file: str, mode: int, *, to_mode: int = -1, to_uid: int = -1, to_gid: int = -1
    ) -> None:
        """Keep new permission bits or a new owner; -1 leaves a field as it is."""
        owned = self.ownership(identity, file, mode)
        if to_mode >= 0:
            owned = replace(owned, mode=stat.S_IMODE(to_mode))
        if to_uid >= 0:
            owned = replace(owned, uid=to_uid)
        if to_gid >= 0:
            owned = replace(owned, gid=to_gid)
        self._changed.setdefault(identity, {})[file] = owned

    def forget(self, identity: int) -> None:
        """Drop what was kept of a removed group."""
        self._changed.pop(identity, None)

    def directory(self, identity: int, nr_children: int) -> dict[str, Any]:
        """Return the stat fields of a group. Source: kernfs: size 0, nlink 2 + child groups."""
        return self._fields(identity, "", stat.S_IFDIR, _DIRECTORY_MODE, 2 + nr_children)

    def file(self, identity: int, file: str, mode: int) -> dict[str, Any]:
        """Return the stat fields of a file. Source: kernfs: size 0, blocks 0, nlink 1."""
        return self._fields(identity, file, stat.S_IFREG, mode, 1)

    def _fields(self, identity: int, file: str, kind: int, mode: int, nr_links: int) -> dict[str, Any]:
        owned = self.ownership(identity, file, mode)
        number = self._numbers.setdefault(file, len(self._numbers))
        return {
            "st_mode": kind | owned.mode,
            "st_nlink": nr_links,
            "st_uid": owned.uid,
            "st_gid": owned.gid,
            "st_size": 0,
            "st_blocks": 0,
            "st_blksize": _BLOCK_BYTES,
            # Never below 2: number 1 is the root's for FUSE.
            "st_ino": (identity << _FILE_BITS) | number,
            "st_atime": self._since_ns,
            "st_mtime": self._since_ns,
            "st_ctime": self._since_ns,
        }


DIRECTORY_MODE: Final = _DIRECTORY_MODE
