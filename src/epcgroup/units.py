"""Sizes and their spelling: pages, bytes, limits.

What must not live here: any rule of the EPC. This module knows numbers only.
"""

import re
from typing import Final

from epcgroup.errors import InvalidSizeError, SizeRangeError

PAGE_SHIFT: Final = 12
#: Size of an EPC page, in bytes. Source: SDM vol. 3D, 34.5 ("EPC pages are 4 KiB").
PAGE_SIZE: Final = 1 << PAGE_SHIFT
#: A limit that limits nothing; the files print it as ``max``. Source: kernel/cgroup/misc.c, 64-bit counters.
LIMIT_MAX: Final = 2**64 - 1

_SUFFIXES: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
#: No more digits than 64 bits need: what is longer is refused before it is counted.
_SIZE = re.compile(r"([0-9]{1,20})(\.[0-9]{1,20})?([kMGT]i?|Ki)?")


def parse_size(text: str) -> int:
    """Return the number of bytes a Kubernetes quantity such as ``64Mi`` means.

    Args:
        text: digits, optionally a fraction, optionally one of ``k M G T Ki Mi Gi Ti``.

    Raises:
        InvalidSizeError: the text is no such quantity or not a whole number of bytes.
        SizeRangeError: the size does not fit 64 bits.

    Source: Kubernetes API conventions, "Quantity" (the sub-set that makes sense for memory).
    """
    match = _SIZE.fullmatch(text.strip())
    suffix = match.group(3) or "" if match else None
    if match is None or suffix not in _SUFFIXES:
        raise InvalidSizeError(text, list(_SUFFIXES))
    scale = _SUFFIXES[suffix]
    digits = (match.group(2) or ".0")[1:]
    part, rest = divmod(int(digits) * scale, int(10 ** len(digits)))
    size_bytes = int(match.group(1)) * scale + part
    if rest:
        raise InvalidSizeError(text, list(_SUFFIXES))
    if size_bytes > LIMIT_MAX:
        raise SizeRangeError(text, list(_SUFFIXES))
    return size_bytes


def nr_pages(size_bytes: int) -> int:
    """Return how many whole pages hold ``size_bytes`` bytes (rounded up)."""
    return -(-size_bytes // PAGE_SIZE)


def format_size(size_bytes: int) -> str:
    """Return a size for people: ``64Mi``, ``1.5Gi``, ``max`` for no limit."""
    if size_bytes == LIMIT_MAX:
        return "max"
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        scale = _SUFFIXES[suffix]
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f}".removesuffix(".0") + suffix
    return str(size_bytes)
