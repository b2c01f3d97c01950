"""The text grammar of every file that can be written: numbers, sizes, ``NAME VALUE`` pairs.

Checks come in the kernel's order: length, white space, first space, name, number, capacity.
Source: kernel/cgroup/misc.c (misc_cg_max_write), lib/kstrtox.c; vectors observed on 6.12.
"""

from collections.abc import Mapping
from typing import Final

from epcgroup.errors import InvalidLimitError, InvalidSizeError, LimitRangeError, SizeRangeError, TooLongError
from epcgroup.units import LIMIT_MAX, parse_size

#: A control file takes so many bytes in one write. Source: kernfs, CGROUP_FILE writes.
MAX_BYTES: Final = 4096
#: What ``epc.oom`` can be, in the order of ``layout.OOM_*``.
OOM_NAMES: Final = ("deny", "kill")
# isspace() of the kernel: the six ASCII ones and the no-break space of Latin-1.
_SPACE: Final = b" \t\n\v\f\r\xa0"
_DIGITS: Final = b"0123456789abcdef"


def to_bytes(text: str | bytes) -> bytes:
    """Return the bytes a control file gets, cut at the first NUL.

    Raises:
        TooLongError: more than 4096 bytes (E2BIG).
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)
    if len(data) > MAX_BYTES:
        raise TooLongError(f"{len(data)} bytes in one write: a control file takes {MAX_BYTES}")
    return data.split(b"\0", 1)[0]


def parse_u64(text: bytes) -> int:
    """Return an unsigned number: one ``+``, decimal, ``0x`` or ``0`` octal; one newline may follow.

    Raises:
        InvalidLimitError: no number, or something behind it (EINVAL).
        LimitRangeError: the digits exceed 64 bits, whatever follows them (ERANGE).
    """
    digits = text.removeprefix(b"+").lower()
    base = 10
    if digits[:1] == b"0":
        base = 8
        if digits[1:2] == b"x" and digits[2:3] in {bytes([d]) for d in _DIGITS}:
            base, digits = 16, digits[2:]
    value = 0
    length = 0
    for digit in digits:
        worth = _DIGITS.find(digit)
        if not 0 <= worth < base:
            break
        value = value * base + worth
        length += 1
    if value > LIMIT_MAX:
        raise LimitRangeError(f"{_show(text)} exceeds {LIMIT_MAX}")
    if length == 0 or digits[length:] not in (b"", b"\n"):
        raise InvalidLimitError(f"{_show(text)} is not a number: decimal, 0x hexadecimal or 0 octal")
    return value


def parse_misc_max(text: str | bytes, capacities: Mapping[str, int]) -> tuple[str, int]:
    """Return (resource, limit in units of the resource) of a write to ``misc.max``.

    Args:
        text: what was written, ``sgx_epc 4096`` or ``sgx_epc max``.
        capacities: capacity of every resource the controller knows, in its order.

    Raises:
        InvalidLimitError: wrong form, unknown resource, not a number, or capacity 0 (EINVAL).
        LimitRangeError: the number does not fit 64 bits (ERANGE).
        TooLongError: more than 4096 bytes (E2BIG).
    """
    name, space, value = to_bytes(text).strip(_SPACE).partition(b" ")
    if not space or not value:
        raise InvalidLimitError(f"{_show(name)}: expected 'NAME VALUE', for example 'sgx_epc 67108864'")
    resource = name.decode("latin-1")
    if resource not in capacities:
        raise InvalidLimitError(f"no resource {_show(name)}: one of {', '.join(capacities) or '(none)'}")
    limit = LIMIT_MAX if value == b"max" else parse_u64(value)
    if capacities[resource] == 0:
        raise InvalidLimitError(f"{resource} has no capacity on this machine")
    return resource, limit


def parse_bytes(text: str | bytes) -> int:
    """Return the bytes that ``epc.high``, ``epc.low`` or ``epc.reclaim`` is given: number, size or ``max``.

    Raises:
        InvalidLimitError: neither a number as in ``misc.max`` nor a size such as ``64Mi``.
        LimitRangeError: the number does not fit 64 bits.
        TooLongError: more than 4096 bytes.
    """
    value = to_bytes(text).strip(_SPACE)
    if value == b"max":
        return LIMIT_MAX
    try:
        return parse_u64(value)
    except InvalidLimitError:
        try:
            return parse_size(value.decode("latin-1"))
        except SizeRangeError as error:
            raise LimitRangeError(f"{_show(value)} exceeds {LIMIT_MAX}") from error
        except InvalidSizeError as error:
            raise InvalidLimitError(str(error)) from error


def parse_oom(text: str | bytes) -> int:
    """Return the place in ``OOM_NAMES`` of what ``epc.oom`` is given.

    Raises:
        InvalidLimitError: none of those words (EINVAL).
        TooLongError: more than 4096 bytes.
    """
    value = to_bytes(text).strip(_SPACE)
    word = value.decode("latin-1")
    if word not in OOM_NAMES:
        raise InvalidLimitError(f"{_show(value)} is no policy of epc.oom: {' or '.join(OOM_NAMES)}")
    return OOM_NAMES.index(word)


def format_limit(limit: int) -> str:
    """Return a limit as the files print it: the number, or ``max`` for no limit."""
    return "max" if limit == LIMIT_MAX else str(limit)


def _show(text: bytes) -> str:
    return repr(text[:40].decode("latin-1"))
