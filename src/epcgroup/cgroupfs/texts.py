"""The formats of the files: parse and print. Numbers only, no meaning.

What must not live here: the grammar that a *write* to ``misc.max`` accepts (octal, ``+``, white space). That
is the engine's or the kernel's to judge; this module reads what they print.
"""

import re
from collections.abc import Mapping
from typing import Final

from epcgroup.errors import FileFormatError
from epcgroup.units import LIMIT_MAX

_MAX: Final = "max"
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def parse_value(text: str) -> int:
    """Return the number of one value as the files print it; ``max`` is ``LIMIT_MAX``.

    Raises:
        FileFormatError: neither ``max`` nor a decimal number of 64 bits.

    Source: kernel/cgroup/misc.c, ``misc_cg_max_show``: all ones prints as the word.
    """
    text = text.removesuffix("\n")
    if text == _MAX:
        return LIMIT_MAX
    # isdecimal() alone also takes digits of other scripts, which no kernel prints.
    if not (text.isascii() and text.isdecimal()) or (value := int(text)) > LIMIT_MAX:
        raise FileFormatError(f"{text[:80]!r} is not a value: expected a decimal number below 2**64 or 'max'")
    return value


def format_value(value: int) -> str:
    """Return ``value`` as the limit files print it: decimal, or ``max`` for ``LIMIT_MAX``."""
    return _MAX if value == LIMIT_MAX else str(value)


def parse_flat_keyed(text: str) -> dict[str, int]:
    """Return the pairs of a flat keyed file: one ``KEY VALUE`` a line, in the order of the lines.

    The value is what follows the *last* blank: the keys of ``epc.reclaimed_by`` are paths and may hold
    blanks.

    Raises:
        FileFormatError: a line is no such pair or a key comes twice; the message shows the line.

    Source: Documentation/admin-guide/cgroup-v2.rst, "Format" (flat keyed).
    """
    pairs: dict[str, int] = {}
    # Not splitlines(): it also splits at characters that may be part of a path.
    for line in text.removesuffix("\n").split("\n") if text else ():
        key, blank, value = line.rpartition(" ")
        if not blank or not key or key in pairs:
            problem = "the key comes twice" if key in pairs else "expected 'KEY VALUE'"
            raise FileFormatError(f"{line[:120]!r}: {problem}")
        pairs[key] = parse_value(value)
    return pairs


def format_flat_keyed(pairs: Mapping[str, int]) -> str:
    """Return the text of a flat keyed file; the values are plain numbers, also the largest."""
    return "".join(f"{key} {value}\n" for key, value in pairs.items())


def parse_nested_keyed(text: str) -> dict[str, dict[str, str]]:
    r"""Return key → sub-key → value of a nested keyed file: ``KEY SUB=VALUE SUB=VALUE`` a line.

    A path among the values is one word: blanks and backslashes in it are ``\040`` and the like.

    Raises:
        FileFormatError: a line is not so; the message shows it.

    Source: Documentation/admin-guide/cgroup-v2.rst, "Format" (nested keyed).
    """
    lines: dict[str, dict[str, str]] = {}
    for line in text.removesuffix("\n").split("\n") if text else ():
        key, *words = line.split(" ")
        pairs = [word.partition("=") for word in words]
        if not key or not pairs or not all(name and equals for name, equals, _ in pairs):
            raise FileFormatError(f"{line[:120]!r}: expected 'KEY SUB=VALUE ...'")
        lines[key] = {
            name: _ESCAPED.sub(lambda sign: chr(int(sign[1], 8)), value) for name, _, value in pairs
        }
    return lines


def parse_misc(text: str) -> dict[str, int]:
    """Return resource → value of a ``misc.*`` file, for example ``{"sgx_epc": 67108864}``.

    ``misc.max`` of an unlimited resource gives ``LIMIT_MAX``; ``misc.events`` gives keys like
    ``sgx_epc.max``. An empty file (no resource has a capacity) gives ``{}``.

    Raises:
        FileFormatError: as :func:`parse_flat_keyed`.

    Source: kernel/cgroup/misc.c.
    """
    return parse_flat_keyed(text)


def format_misc(values: Mapping[str, int]) -> str:
    """Return the text of ``misc.max``: as :func:`format_flat_keyed`, with ``max`` for ``LIMIT_MAX``."""
    return "".join(f"{name} {format_value(value)}\n" for name, value in values.items())
