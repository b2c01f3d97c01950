"""Sealing of pages: AES-256-GCM bound to enclave, page and version, as EWB/ELDU bind a page to its VA slot.

One key an enclave, in this process only, gone with the enclave. The version of a page grows before every
encryption and never goes back, so no nonce is used twice and an older copy of a page does not open.
"""

from collections.abc import Callable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from epcgroup.errors import SealError
from epcgroup.pager.table import table
from epcgroup.units import PAGE_SIZE

TAG_BYTES: Final = 16
#: A sealed page: ciphertext, then tag.
RECORD_BYTES: Final = PAGE_SIZE + TAG_BYTES
_NONCE_BYTES: Final = 12
_HAS_INTO: Final = hasattr(AESGCM, "encrypt_into")


class Seal:
    """Key and versions of one enclave.

    Args:
        enclave: number of the enclave.
        nr_pages: pages of the enclave, below 2**32.
    """

    __slots__ = (
        "_binding",
        "_binding_words",
        "_cipher",
        "_decrypt_into",
        "_enclave",
        "_encrypt_into",
        "_nonce",
        "_nonce_words",
        "versions",
    )

    def __init__(self, enclave: int, nr_pages: int) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._enclave = enclave
        # version and page as words of 8 bytes; the nonce is the first 12 bytes: a page number has 4.
        self._nonce_words = memoryview(bytearray(16)).cast("Q")
        self._nonce = self._nonce_words.cast("B")[:_NONCE_BYTES]
        # enclave and page: bound by the tag, stored nowhere.
        self._binding_words = memoryview(bytearray(16)).cast("Q")
        self._binding_words[0] = enclave
        self._binding = self._binding_words.cast("B")
        #: u64 a page; 0: never sealed.
        self.versions = table("Q", nr_pages)
        self._encrypt_into = self._cipher.encrypt_into if _HAS_INTO else self._encrypt_and_copy
        self._decrypt_into = self._cipher.decrypt_into if _HAS_INTO else self._decrypt_and_copy

    def seal_into(self, page: int, plain: memoryview, record: memoryview) -> None:
        """Encrypt ``PAGE_SIZE`` bytes into a record of ``RECORD_BYTES`` bytes under a new version."""
        self.seal_all((page,), (plain,), (record,))

    def seal_all(
        self, pages: Sequence[int], plains: Sequence[memoryview], records: Sequence[memoryview]
    ) -> None:
        """Encrypt pages as ``seal_into`` does; there may be more ``plains`` than pages."""
        versions, nonce_words, binding_words = self.versions, self._nonce_words, self._binding_words
        encrypt_into, nonce, binding = self._encrypt_into, self._nonce, self._binding
        for page, plain, record in zip(pages, plains, records, strict=False):
            versions[page] = nonce_words[0] = versions[page] + 1
            nonce_words[1] = binding_words[1] = page
            encrypt_into(nonce, plain, binding, record)

    def opener(self) -> Callable[[int, memoryview, memoryview], None]:
        """Return ``open_into`` as a closure: the hot path opens a page for every fault that loads one."""
        versions, nonce_words, binding_words = self.versions, self._nonce_words, self._binding_words
        decrypt_into, nonce, binding, enclave = self._decrypt_into, self._nonce, self._binding, self._enclave

        def open_into(page: int, record: memoryview, plain: memoryview) -> None:
            nonce_words[0] = versions[page]
            nonce_words[1] = binding_words[1] = page
            try:
                decrypt_into(nonce, record, binding, plain)
            except (InvalidTag, ValueError) as error:
                raise SealError(
                    f"sealed page {page} of enclave {enclave} was changed, moved or replayed"
                ) from error

        return open_into

    def open_into(self, page: int, record: memoryview, plain: memoryview) -> None:
        """Decrypt a record into ``PAGE_SIZE`` bytes.

        Raises:
            SealError: the record is not the last one sealed for this page of this enclave, unchanged.
        """
        self.opener()(page, record, plain)

    def _encrypt_and_copy(
        self, nonce: memoryview, plain: memoryview, binding: memoryview, record: memoryview
    ) -> int:
        record[:] = self._cipher.encrypt(nonce, plain, binding)
        return len(record)

    def _decrypt_and_copy(
        self, nonce: memoryview, record: memoryview, binding: memoryview, plain: memoryview
    ) -> int:
        plain[:] = self._cipher.decrypt(nonce, record, binding)
        return len(plain)
