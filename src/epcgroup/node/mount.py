"""Offer the tree of groups as files, where the host can; a run goes on without."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from epcgroup.cgroupfs.mount import Mount
from epcgroup.errors import EpcError


@contextmanager
def offered(socket: Path, mountpoint: Path) -> Iterator[tuple[Path | None, str]]:
    """Give the mount point, or None and the reason, for as long as the block lasts."""
    try:
        with (mountpoint.parent / "groups.log").open("ab") as log:
            mount = Mount(socket, mountpoint, log)
    except EpcError as error:
        yield None, str(error)
        return
    with mount:
        yield mount.mountpoint, ""
