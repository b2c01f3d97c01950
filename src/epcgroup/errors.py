"""The error families. Every error carries an errno, so that a file interface can answer with it.

``UsageError``: the caller's fault, nothing has changed. ``PlatformError``: the world's fault.
``InvariantError``: ours. An expected outcome (over the limit, nothing reclaimable) is a value, not an error.
"""

import errno as _errno
from collections.abc import Sequence
from typing import ClassVar


class EpcError(Exception):
    """Base of all errors of this project; ``errno`` is the answer a file interface gives."""

    errno: ClassVar[int] = _errno.EIO


class UsageError(EpcError):
    """The caller asked for something that cannot be; the state is unchanged."""

    errno = _errno.EINVAL


class PlatformError(EpcError):
    """The machine below refused or lacks something."""

    errno = _errno.EIO


class InvariantError(EpcError):
    """A bug of ours: the state contradicts itself."""

    errno = _errno.EIO


class InvalidSizeError(UsageError):
    """A text is not a size."""

    def __init__(self, text: str, suffixes: Sequence[str]) -> None:
        super().__init__(
            f"{text!r} is not a size: expected a number of bytes with an optional suffix"
            f" ({', '.join(s for s in suffixes if s)}), for example 64Mi"
        )


class SizeRangeError(InvalidSizeError):
    """A size does not fit 64 bits (ERANGE)."""

    errno = _errno.ERANGE


class InvalidLimitError(UsageError):
    """A text is not accepted by a limit file (EINVAL)."""


class LimitRangeError(UsageError):
    """A number does not fit 64 bits (ERANGE)."""

    errno = _errno.ERANGE


class TooLongError(UsageError):
    """A write is longer than the 4096 bytes a control file takes (E2BIG)."""

    errno = _errno.E2BIG


class NoSuchGroupError(UsageError):
    """No group of that path (ENOENT)."""

    errno = _errno.ENOENT


class NoSuchFileError(UsageError):
    """The group has no file of that name (ENOENT)."""

    errno = _errno.ENOENT


class GroupExistsError(UsageError):
    """A group of that path exists already (EEXIST)."""

    errno = _errno.EEXIST


class GroupBusyError(UsageError):
    """The group has processes or live children (EBUSY)."""

    errno = _errno.EBUSY


class NoSuchEnclaveError(UsageError):
    """No enclave of that number (ENOENT)."""

    errno = _errno.ENOENT


class TableFullError(UsageError):
    """A fixed-size table of the engine is full (ENOSPC); the message names it and its size."""

    errno = _errno.ENOSPC


class NotSupportedError(PlatformError):
    """This host lacks a feature (EOPNOTSUPP); the message says how to get it."""

    errno = _errno.EOPNOTSUPP


class ProtocolError(PlatformError):
    """The peer broke the protocol (EPROTO)."""

    errno = _errno.EPROTO


class PeerRefusedError(PlatformError):
    """The peer is not allowed to do this (EACCES)."""

    errno = _errno.EACCES


class PagerDiedError(PlatformError):
    """The pager is gone (EPIPE): enclave memory can no longer be served."""

    errno = _errno.EPIPE


class EpcExhaustedError(PlatformError):
    """No EPC page could be had: the limit is reached and nothing is reclaimable (ENOMEM)."""

    errno = _errno.ENOMEM


class AdmissionError(EpcExhaustedError):
    """A limit is too small for what an enclave of that size always holds (ENOMEM); nothing was charged.

    Who handles a lack of EPC pages handles this too. Sizes are bytes; ``level`` is the group with the limit.
    """

    def __init__(self, size: int, group: str, floor: int, limit: int, level: str) -> None:
        whose = "the machine's EPC" if level == "/" else f"the limit of {level}"
        super().__init__(
            f"an enclave of {size} bytes in {group} needs at least {floor} bytes of EPC (SECS, version"
            f" arrays, one page), {whose} is {limit}: make the enclave smaller or the limit larger"
        )


class SealError(PlatformError):
    """A sealed page failed its check: changed, moved or replayed (EBADMSG)."""

    errno = _errno.EBADMSG


class BackingStoreError(PlatformError):
    """The store of sealed pages cannot take another one (ENOSPC)."""

    errno = _errno.ENOSPC


class ManifestError(UsageError):
    """A manifest cannot be run; the message names file, line, document, field, value and what is allowed."""


class TraceFormatError(UsageError):
    """A trace, or a file to make one from, is not in its format (EILSEQ); the message names what was seen."""

    errno = _errno.EILSEQ


class RunError(PlatformError):
    """A run could not be started or carried to its end (EIO); the message names the part and its log."""


class InvalidPathError(UsageError):
    """A path or file name that a tree of groups never has (EINVAL)."""


class GroupGoneError(PlatformError):
    """The group was removed while one of its files was open (ENODEV)."""

    errno = _errno.ENODEV


class FileFormatError(PlatformError):
    """A file of a group does not have its documented format (EIO)."""


class InvalidDurationError(UsageError):
    """A text is not a duration."""

    def __init__(self, text: str) -> None:
        number = text.strip().replace(".", "", 1).isdigit()
        hint = f"; did you mean {text.strip()}s?" if number else ""
        super().__init__(
            f"{text!r} is not a duration: expected numbers with ms, s, m or h, for example 2s or 1m30s{hint}"
        )


class PagerUnreachableError(PlatformError):
    """No pager answers at the socket (ECONNREFUSED); the message says how to start or find one."""

    errno = _errno.ECONNREFUSED


class EnclaveClosedError(UsageError):
    """The enclave was closed; its memory is gone (EBADF)."""

    errno = _errno.EBADF


class ForkedEnclaveError(UsageError):
    """The enclave belongs to the parent of this process: enclave memory is not inherited by fork (EPERM)."""

    errno = _errno.EPERM


class NoSuchProcessError(UsageError):
    """No process of that number (ESRCH)."""

    errno = _errno.ESRCH
