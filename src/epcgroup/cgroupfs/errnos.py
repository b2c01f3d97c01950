"""What an errno of a control file means here: one table from the kernel's answers to the named errors."""

import errno
from typing import Final

from epcgroup.errors import (
    EpcError,
    GroupBusyError,
    GroupExistsError,
    GroupGoneError,
    InvalidLimitError,
    InvalidPathError,
    LimitRangeError,
    NoSuchFileError,
    NoSuchGroupError,
    NotSupportedError,
    PagerDiedError,
    PeerRefusedError,
    PlatformError,
    TableFullError,
    TooLongError,
)

_ERRORS: Final[dict[int, type[EpcError]]] = {
    errno.EINVAL: InvalidLimitError,
    errno.ERANGE: LimitRangeError,
    errno.E2BIG: TooLongError,
    errno.EEXIST: GroupExistsError,
    errno.EBUSY: GroupBusyError,
    errno.ENODEV: GroupGoneError,
    errno.EACCES: PeerRefusedError,
    errno.EPERM: PeerRefusedError,
    errno.EROFS: PeerRefusedError,
    errno.ENOSPC: TableFullError,
    errno.EOPNOTSUPP: NotSupportedError,
    # A component is a link or no directory: such a path names no group.
    errno.ELOOP: InvalidPathError,
    errno.ENOTDIR: InvalidPathError,
    # A FUSE mount whose server is gone.
    errno.ENOTCONN: PagerDiedError,
    errno.ECONNABORTED: PagerDiedError,
    errno.EPIPE: PagerDiedError,
    errno.ECONNREFUSED: PagerDiedError,
    errno.ECONNRESET: PagerDiedError,
}


def group_error(cause: OSError, what: str) -> EpcError:
    """Return the error for a failed operation on a group (a directory); ``what`` names it."""
    if cause.errno == errno.ENOENT:
        return NoSuchGroupError(f"{what}: no such group")
    return _named(cause, what)


def file_error(cause: OSError, what: str) -> EpcError:
    """Return the error for a failed operation on a file of a group; ``what`` names it."""
    if cause.errno == errno.ENOENT:
        return NoSuchFileError(f"{what}: no such file")
    return _named(cause, what)


def _named(cause: OSError, what: str) -> EpcError:
    family = _ERRORS.get(cause.errno or 0, PlatformError)
    return family(f"{what}: {cause.strerror or cause}")
