"""Exit codes. Source: BSD sysexits.h, from 64 on."""

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of ``epcg`` says."""

    OK = 0
    FINDINGS = 1  # the command worked; what it found is not as it should be
    POD_FAILED = 2
    USAGE = 64
    DATA = 65  # the manifest cannot be run
    NO_INPUT = 66
    UNAVAILABLE = 69  # this host lacks something
    BUG = 70
    OS_ERROR = 71
    CANNOT_CREATE = 73
    IO_ERROR = 74
    NO_PERMISSION = 77
    INTERRUPTED = 130
