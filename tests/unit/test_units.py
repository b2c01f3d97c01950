"""Sizes: what is accepted, what it means, what the error says."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup import units
from epcgroup.errors import EpcError, InvalidSizeError, SizeRangeError


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("4096", 4096),
        ("64Mi", 64 << 20),
        ("1.5Gi", 3 << 29),
        ("2k", 2000),
        ("1G", 10**9),
        (" 8Ki ", 8192),
    ],
)
def test_quantities_mean_bytes(text: str, size_bytes: int) -> None:
    assert units.parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mi",
        "64 Mi",
        "64mi",
        "-1",
        "1e3",
        "0x10",
        "1.0001Ki",
        "64MiB",
        "ki",
        "1.",
        "٣",
        "9" * 5000,
        "1." + "0" * 5000,
    ],
)
def test_other_texts_are_refused_and_named(text: str) -> None:
    with pytest.raises(InvalidSizeError) as caught:
        units.parse_size(text)
    assert repr(text) in str(caught.value)
    assert "(k, M, G, T, Ki, Mi, Gi, Ti)" in str(caught.value)
    assert caught.value.errno == errno.EINVAL


def test_a_size_beyond_64_bits_is_out_of_range() -> None:
    assert units.parse_size("16777215Ti") == 2**64 - 2**40
    with pytest.raises(SizeRangeError) as caught:
        units.parse_size("16777216Ti")
    assert caught.value.errno == errno.ERANGE


@given(st.integers(min_value=0, max_value=2**60))
def test_pages_round_up(size_bytes: int) -> None:
    pages = units.nr_pages(size_bytes)
    assert pages * units.PAGE_SIZE >= size_bytes > (pages - 1) * units.PAGE_SIZE or size_bytes == 0


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(units.LIMIT_MAX, "max"), (0, "0"), (4096, "4Ki"), (64 << 20, "64Mi"), (3 << 29, "1.5Gi"), (100, "100")],
)
def test_sizes_for_people(size_bytes: int, text: str) -> None:
    assert units.format_size(size_bytes) == text


def test_every_error_has_an_errno() -> None:
    families = [EpcError]
    while families:
        family = families.pop()
        assert family.errno > 0
        families += family.__subclasses__()
