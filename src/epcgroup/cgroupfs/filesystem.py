"""The operations of the file system, as libfuse calls them: each behaves as on cgroupfs.

Vectors observed on a real kernel are the measure: modes, errno, one write = one command, content fixed at the
first read, poll masks. All operations run on one thread, that of libfuse's loop.
"""

import errno
import os
import select
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from epcgroup.cgroupfs.handles import Handle, HandleTable
from epcgroup.cgroupfs.nodes import DIRECTORY_MODE, Nodes
from epcgroup.cgroupfs.served import ServedTree
from epcgroup.cgroupfs.tree import NAME_MAX
from epcgroup.errors import EpcError, NoSuchGroupError

#: Longest write, in bytes. Source: kernel/cgroup/cgroup.c, ``cgroup_kf_single_ops.atomic_write_len =
#: PAGE_SIZE``.
_MAX_WRITE_BYTES: Final = 4096
#: Source: fs/kernfs/file.c, ``kernfs_generic_poll``: DEFAULT_POLLMASK, and what a change adds.
_POLL_ALWAYS: Final = select.POLLIN | select.POLLOUT | select.POLLRDNORM | select.POLLWRNORM
_POLL_CHANGED: Final = select.POLLPRI | select.POLLERR
_WRITE: Final = 0o222
#: Who calls: uid, gid, thread id.
Caller = Callable[[], tuple[int, int, int]]


class FileInfo(Protocol):
    """The part of ``struct fuse_file_info`` that is used here."""

    flags: int
    fh: int
    direct_io: bool


class MountConfig(Protocol):
    """The part of ``struct fuse_config`` that is used here."""

    use_ino: int
    nullpath_ok: int
    hard_remove: int
    entry_timeout: float
    attr_timeout: float
    negative_timeout: float


class Filesystem:
    """A served tree as a file system; the object given to the binding of libfuse.

    Args:
        tree: what is served.
        handles: the table of open files, shared with the announcer.
        caller: who makes the present request.
        is_announcer: whether a thread id is the announcer's, whose writes only raise a notification.
        on_start, on_end: called when the mount is there, and when it goes.
    """

    use_ns = True

    def __init__(
        self,
        tree: ServedTree,
        handles: HandleTable,
        *,
        caller: Caller,
        is_announcer: Callable[[int], bool],
        on_start: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._tree = tree
        self._handles = handles
        self._caller = caller
        self._is_announcer = is_announcer
        self._on_start = on_start
        self._on_end = on_end
        self._nodes = Nodes()

    # Life of the mount.

    def init_with_config(self, _connection: object, config: MountConfig | None) -> None:
        """Set up the mount: our inode numbers, nothing cached, open files known by handle (not by path)."""
        if config is not None:
            config.use_ino = 1
            config.nullpath_ok = 1
            config.hard_remove = 1
            # A group may be removed and made again through the pager: nobody shall see the old one. Every
            # look-up brings fresh attributes, so these may be kept for the checks that follow it.
            config.entry_timeout = config.negative_timeout = 0.0
            config.attr_timeout = 1.0
        self._on_start()

    def destroy(self, _path: str) -> None:
        """End with the mount."""
        self._on_end()

    # Directories.

    def getattr(self, path: str | None, info: FileInfo | None = None) -> dict[str, Any]:
        """Answer ``stat``: sizes are 0, a directory has 2 + child groups links."""
        if path is not None:
            group, file = self._find(path)
        elif info is not None:
            handle = self._live(info.fh)
            group, file = handle.path, handle.file
        else:
            raise OSError(errno.ENOENT, "neither a path nor an open file")
        with _answered():
            identity = self._tree.identity(group)
            if not file:
                return self._nodes.directory(identity, len(self._tree.children(group)))
            return self._nodes.file(identity, file, self._tree.files(group)[file])

    def opendir(self, path: str) -> int:
        """Open a group for listing."""
        with _answered():
            return self._handles.add(Handle(path, "", self._tree.identity(path)))

    def readdir(self, _path: str | None, number: int) -> list[tuple[str, dict[str, Any], int]]:
        """List files and child groups as (name, attributes, 0): an entry without inode number is skipped."""
        handle = self._live(number)
        here = handle.path.rstrip("/")
        with _answered():
            files = self._tree.files(handle.path)
            children = self._tree.children(handle.path)
        listed = {name: self._nodes.directory(handle.identity, 0) for name in (".", "..")}
        listed |= {name: self._nodes.file(handle.identity, name, mode) for name, mode in files.items()}
        for name in children:
            with suppress(NoSuchGroupError):
                listed[name] = self._nodes.directory(self._tree.identity(f"{here}/{name}"), 0)
        return [(name, attributes, 0) for name, attributes in listed.items()]

    def releasedir(self, _path: str | None, number: int) -> int:
        """Close a listing."""
        self._handles.remove(number)
        return 0

    def mkdir(self, path: str, _mode: int) -> int:
        """Make a group; like cgroupfs the mode asked for is ignored."""
        with _answered():
            self._tree.mkdir(path)
        return 0

    def rmdir(self, path: str) -> int:
        """Remove a group."""
        with _answered():
            identity = self._tree.identity(path)
            self._tree.rmdir(path)
        self._nodes.forget(identity)
        return 0

    # Files.

    def open(self, path: str, info: FileInfo) -> int:
        """Open a file; root may open any for writing, as on cgroupfs."""
        group, file = self._find(path)
        with _answered():
            identity = self._tree.identity(group)
            mode = self._nodes.ownership(identity, file, self._tree.files(group)[file]).mode
        if info.flags & os.O_ACCMODE != os.O_RDONLY and not mode & _WRITE:
            uid, _, thread = self._caller()
            if uid != 0 and not self._is_announcer(thread):
                raise OSError(errno.EACCES, "the file is read-only")
        # Without it the kernel would cut reads at the size 0 and keep what was read.
        info.direct_io = True
        info.fh = self._handles.add(Handle(group, file, identity))
        return 0

    def read(self, _path: str | None, size: int, offset: int, info: FileInfo) -> bytes:
        """Read from a text that is made at offset 0 and stays as it is until the reader comes back there."""
        handle = self._live(info.fh)
        if offset == 0 or handle.text is None:
            # The count first: a change in between wakes the reader once more, never once too little.
            handle.seen = self._event_count(handle)
            with _answered():
                text = self._tree.read(handle.path, handle.file)
            handle.text = text.encode(errors="surrogateescape")
        return handle.text[offset : offset + size]

    def write(self, _path: str | None, data: bytes, _offset: int, info: FileInfo) -> int:
        """Hand a whole command to the file; offsets mean nothing."""
        _, _, thread = self._caller()
        if self._is_announcer(thread):
            return len(data)
        if len(data) > _MAX_WRITE_BYTES:
            raise OSError(errno.E2BIG, f"{len(data)} bytes: a control file takes at most {_MAX_WRITE_BYTES}")
        handle = self._live(info.fh)
        text = data.decode(errors="surrogateescape")
        with _answered():
            if not self._tree.files(handle.path)[handle.file] & _WRITE:
                raise OSError(errno.EINVAL, "the file has no write handler")
            if handle.file == "epc.procs":
                text = _resolve_self(text, thread)
            self._tree.write(handle.path, handle.file, text)
        return len(data)

    def release(self, _path: str | None, info: FileInfo) -> int:
        """Close a file."""
        self._handles.remove(info.fh)
        return 0

    def poll(
        self, _path: str | None, info: FileInfo, waiter: int | None, revents: MutableSequence[int]
    ) -> int:
        """Tell whether the file has announced a change since it was read, and remember who waits for one."""
        handle = self._handles[info.fh]
        told = self._event_count(handle)
        if waiter:
            self._handles.wait(handle, waiter, told)
        # Asked again after the waiter is known: a change in between must not be slept through.
        changed = self._event_count(handle) != handle.seen or not self._is_live(handle)
        revents[0] = _POLL_ALWAYS | (_POLL_CHANGED if changed else 0)
        return 0

    # What a control file allows, and what not.

    def truncate(self, _path: str | None, _length: int, _info: object = None) -> int:
        """Do nothing: ``echo >`` truncates first."""
        return 0

    def utimens(self, _path: str | None, _times: object = None) -> int:
        """Do nothing: the times of a control file say nothing."""
        return 0

    def chmod(self, path: str, mode: int) -> int:
        """Keep new permission bits until the group goes."""
        self._change(path, to_mode=mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        """Keep a new owner (-1: as it is) until the group goes: this is how a group is delegated."""
        self._change(path, to_uid=uid, to_gid=gid)
        return 0

    def create(self, _path: str, _mode: int, _info: object = None) -> int:
        """Refuse: groups have the files they have. Source: kernfs has no create, so the VFS says EACCES."""
        raise OSError(errno.EACCES, "no file can be made in a group")

    def mknod(self, _path: str, _mode: int, _device: int) -> int:
        """Refuse."""
        raise OSError(errno.EPERM, "no node can be made in a group")

    def symlink(self, _target: str, _source: str) -> int:
        """Refuse."""
        raise OSError(errno.EPERM, "no link can be made in a group")

    def link(self, _target: str, _source: str) -> int:
        """Refuse."""
        raise OSError(errno.EPERM, "no link can be made in a group")

    def unlink(self, _path: str) -> int:
        """Refuse: a file goes with its group."""
        raise OSError(errno.EPERM, "a control file cannot be removed")

    def rename(self, _old: str, _new: str) -> int:
        """Refuse. Source: kernel/cgroup/cgroup.c, version 2 has no rename."""
        raise OSError(errno.EPERM, "a group cannot be renamed")

    # Helpers.

    def _find(self, path: str) -> tuple[str, str]:
        """Return (group, file) of a path; the file is "" for a group itself."""
        parent, _, name = path.rpartition("/")
        if len(name.encode(errors="surrogateescape")) > NAME_MAX:
            raise OSError(errno.ENAMETOOLONG, f"a name has at most {NAME_MAX} bytes")
        with suppress(NoSuchGroupError):
            if name in self._tree.files(parent or "/"):
                return parent or "/", name
        return path, ""

    def _live(self, number: int) -> Handle:
        handle = self._handles[number]
        if not self._is_live(handle):
            raise OSError(errno.ENODEV, "the group of this file was removed")
        return handle

    def _is_live(self, handle: Handle) -> bool:
        try:
            return self._tree.identity(handle.path) == handle.identity
        except NoSuchGroupError:
            return False

    def _event_count(self, handle: Handle) -> int:
        return self._tree.event_count(handle.path, handle.identity, handle.file)

    def _change(self, path: str, **to: int) -> None:
        group, file = self._find(path)
        with _answered():
            identity = self._tree.identity(group)
            mode = self._tree.files(group)[file] if file else DIRECTORY_MODE
        self._nodes.change(identity, file, mode, **to)


@contextmanager
def _answered() -> Iterator[None]:
    """Turn a named error into the errno it stands for."""
    try:
        yield
    except EpcError as error:
        raise OSError(error.errno, str(error)) from error


def _resolve_self(text: str, thread: int) -> str:
    """Replace ``0``, "the process that writes", by its number. Source: cgroup-v2.rst, ``cgroup.procs``."""
    if text.strip() != "0":
        return text
    with suppress(OSError):
        for line in Path(f"/proc/{thread}/status").read_text().splitlines():
            if line.startswith("Tgid:"):
                return line.split()[1]
    raise OSError(errno.ESRCH, f"the writing process ({thread}) cannot be seen from here")
