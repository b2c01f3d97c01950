"""Seals: only the last sealing of the very page of the very enclave opens."""

import pytest

from epcgroup.errors import SealError
from epcgroup.pager.seal import RECORD_BYTES, Seal
from epcgroup.units import PAGE_SIZE


def page_of(byte: int) -> memoryview:
    return memoryview(bytearray([byte]) * PAGE_SIZE)


def record() -> memoryview:
    return memoryview(bytearray(RECORD_BYTES))


@pytest.fixture
def seal() -> Seal:
    return Seal(7, 16)


def test_round_trip(seal: Seal) -> None:
    sealed, opened = record(), page_of(0)
    seal.seal_into(3, page_of(9), sealed)
    assert bytes(sealed[:PAGE_SIZE]) != bytes(page_of(9))
    seal.open_into(3, sealed, opened)
    assert opened == page_of(9)


def test_equal_pages_do_not_look_equal(seal: Seal) -> None:
    records = [record() for _ in range(3)]
    seal.seal_into(3, page_of(9), records[0])
    seal.seal_into(3, page_of(9), records[1])
    seal.seal_into(4, page_of(9), records[2])
    assert len({bytes(sealed) for sealed in records}) == 3


@pytest.mark.parametrize("byte", [0, 100, PAGE_SIZE - 1, PAGE_SIZE, RECORD_BYTES - 1])
def test_flipped_bit(seal: Seal, byte: int) -> None:
    sealed = record()
    seal.seal_into(3, page_of(9), sealed)
    sealed[byte] ^= 1
    with pytest.raises(SealError, match="page 3 of enclave 7"):
        seal.open_into(3, sealed, page_of(0))
    sealed[byte] ^= 1
    seal.open_into(3, sealed, page_of(0))


def test_other_page(seal: Seal) -> None:
    first, second = record(), record()
    seal.seal_into(1, page_of(1), first)
    seal.seal_into(2, page_of(2), second)
    for page, sealed in ((1, second), (2, first)):
        with pytest.raises(SealError):
            seal.open_into(page, sealed, page_of(0))


def test_replay(seal: Seal) -> None:
    old, new = record(), record()
    seal.seal_into(1, page_of(1), old)
    seal.seal_into(1, page_of(2), new)
    with pytest.raises(SealError):
        seal.open_into(1, old, page_of(0))
    seal.open_into(1, new, page_of(0))


def test_truncated(seal: Seal) -> None:
    sealed = record()
    seal.seal_into(1, page_of(1), sealed)
    for length in (0, 8, PAGE_SIZE, RECORD_BYTES - 1):
        with pytest.raises(SealError):
            seal.open_into(1, sealed[:length], page_of(0))


def test_other_enclave_and_other_key() -> None:
    sealed = record()
    Seal(1, 4).seal_into(0, page_of(1), sealed)
    for other in (Seal(1, 4), Seal(2, 4)):
        other.versions[0] = 1
        with pytest.raises(SealError):
            other.open_into(0, sealed, page_of(0))


def test_versions_only_grow(seal: Seal) -> None:
    for expected in range(1, 20):
        seal.seal_into(5, page_of(1), record())
        assert seal.versions[5] == expected
    seal.open_into(5, _sealed(seal), page_of(0))
    assert seal.versions[5] == 20


def _sealed(seal: Seal) -> memoryview:
    sealed = record()
    seal.seal_into(5, page_of(1), sealed)
    return sealed


def test_old_library_without_into_gives_the_same_bytes(seal: Seal) -> None:
    modern, plain = record(), page_of(0)
    seal.seal_into(2, page_of(4), modern)
    seal.decrypt_into = seal._decrypt_and_copy
    seal._encrypt_into = seal._encrypt_and_copy
    seal.open_into(2, modern, plain)
    assert plain == page_of(4)
    seal.versions[2] -= 1  # same nonce again, only to compare
    again = record()
    seal.seal_into(2, page_of(4), again)
    assert again == modern
