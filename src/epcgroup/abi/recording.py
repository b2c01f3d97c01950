"""How a recording travels from the pager: 16 bytes an event, two words of 64 bits.

Word 0 is the time in ns (``CLOCK_MONOTONIC``), word 1 the event: kind (4 bits), enclave (28), page (32). An
enclave is its place in the list of enclaves that comes with the events, not the engine's number.
"""

import base64
import binascii
from array import array
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from epcgroup.errors import ProtocolError

WORDS: Final = 2
_KIND_SHIFT: Final = 60
_ENCLAVE_SHIFT: Final = 32
_PAGE_MASK: Final = 0xFFFF_FFFF
_ENCLAVE_MASK: Final = 0x0FFF_FFFF


class Kind(IntEnum):
    """What was seen of a page: it came in as zeros, it was brought back, the ager saw it touched."""

    CREATED = 1
    LOADED = 2
    YOUNG = 3


def prefix(kind: int, enclave: int) -> int:
    """Return word 1 of an event, without the page: what is the same for many."""
    return kind << _KIND_SHIFT | enclave << _ENCLAVE_SHIFT


def split(word: int) -> tuple[int, int, int]:
    """Return kind, enclave and page of word 1 of an event."""
    return word >> _KIND_SHIFT, word >> _ENCLAVE_SHIFT & _ENCLAVE_MASK, word & _PAGE_MASK


def encode(words: Iterable[int]) -> str:
    """Return words as the text of a control reply."""
    return base64.b64encode(array("Q", words).tobytes()).decode()


def decode(text: object) -> "array[int]":
    """Return the words of a control reply.

    Raises:
        ProtocolError: the text is none of ``encode``.
    """
    try:
        content = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(f"the events of a recording are not base64: {error}") from error
    if len(content) % (8 * WORDS):
        raise ProtocolError(f"{len(content)} bytes of events are no multiple of {8 * WORDS}")
    return array("Q", content)
