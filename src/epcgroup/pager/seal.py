"""Sealing of pages: AES-256-GCM bound to enclave, page and version, as EWB/ELDU bind a page to its VA slot.

One key an enclave, in this process only, gone with the enclave. The version of a page grows before every
encryption and never goes back, so no nonce is used twice and an older copy of a page does not open.
"""

from collections import deque
from collections.abc import Sequence
from struct import Struct
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit
from epcgroup.errors import SealError
from epcgroup.pager.pages import MAX_PAGES, Pages
from epcgroup.pager.table import table
from epcgroup.units import PAGE_SIZE

TAG_BYTES: Final = 16
#: A sealed page: ciphertext, then tag.
RECORD_BYTES: Final = PAGE_SIZE + TAG_BYTES
#: Version, page: a page number has 4 bytes.
_NONCE: Final = Struct("<QI")
NONCE_BYTES: Final = _NONCE.size
#: Enclave, page: bound by the tag, stored nowhere.
_BINDING: Final = Struct("<QQ")
_Bytes = bytes | memoryview
_HAS_INTO: Final = hasattr(AESGCM, "encrypt_into")


def _rows(nr: int) -> tuple[NDArray[np.int64], list[memoryview], list[memoryview]]:
    """Return words (version, page, enclave, page) of ``nr`` pages; views of their nonces and bindings."""
    words = np.zeros((nr, 4), np.int64)
    view = memoryview(words).cast("B")  # type: ignore[arg-type]
    starts = range(0, 32 * nr, 32)
    return (
        words,
        [view[start : start + NONCE_BYTES] for start in starts],
        [view[start + 16 : start + 32] for start in starts],
    )


_ROWS: Final = _rows(MAX_PAGES)
_ONE: Final = Pages()


@jit
def next_versions(
    versions: NDArray[np.int64], pages: NDArray[np.int64], nr: int, enclave: int, words: NDArray[np.int64]
) -> None:
    """Give each page its next version and write the words its encryption needs."""
    for row in range(nr):
        page = pages[row]
        versions[page] += 1
        words[row, 0] = versions[page]
        words[row, 1] = words[row, 3] = page
        words[row, 2] = enclave


class Seal:
    """Key and versions of one enclave.

    Args:
        enclave: number of the enclave.
        nr_pages: pages of the enclave, below 2**32.
    """

    __slots__ = ("_cipher", "_enclave", "_encrypt_into", "_versions_array", "decrypt_into", "versions")

    def __init__(self, enclave: int, nr_pages: int) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._enclave = enclave
        #: u64 a page; 0: never sealed.
        self.versions = table("Q", nr_pages)
        self._versions_array = np.frombuffer(self.versions, np.int64)
        self._encrypt_into = self._cipher.encrypt_into if _HAS_INTO else self._encrypt_and_copy
        #: Nonce, record, binding, place for the page: ``open_into`` for who has the first three at hand.
        self.decrypt_into = self._cipher.decrypt_into if _HAS_INTO else self._decrypt_and_copy

    def seal_into(self, page: int, plain: memoryview, record: memoryview) -> None:
        """Encrypt ``PAGE_SIZE`` bytes into a record of ``RECORD_BYTES`` bytes under a new version."""
        _ONE.fill((page,))
        self.seal_all(_ONE, (plain,), (record,))

    def seal_all(self, pages: Pages, plains: Sequence[memoryview], records: Sequence[memoryview]) -> None:
        """Encrypt pages as ``seal_into`` does; there may be more ``plains`` than pages."""
        words, nonces, bindings = _ROWS
        next_versions(self._versions_array, pages.array, pages.nr, self._enclave, words)
        # Runs the map to its end (the shortest of the four), in C.
        deque(map(self._encrypt_into, nonces, plains, bindings, records), maxlen=0)

    def open_into(self, page: int, record: memoryview, plain: memoryview) -> None:
        """Decrypt a record into ``PAGE_SIZE`` bytes.

        Raises:
            SealError: the record is not the last one sealed for this page of this enclave, unchanged.
        """
        nonce, binding = _NONCE.pack(self.versions[page], page), _BINDING.pack(self._enclave, page)
        try:
            self.decrypt_into(nonce, record, binding, plain)
        except (InvalidTag, ValueError) as error:
            raise SealError(
                f"sealed page {page} of enclave {self._enclave} was changed, moved or replayed"
            ) from error

    def _encrypt_and_copy(self, nonce: _Bytes, plain: _Bytes, binding: _Bytes, record: memoryview) -> int:
        record[:] = self._cipher.encrypt(nonce, plain, binding)
        return len(record)

    def _decrypt_and_copy(self, nonce: _Bytes, record: _Bytes, binding: _Bytes, plain: memoryview) -> int:
        plain[:] = self._cipher.decrypt(nonce, record, binding)
        return len(plain)
