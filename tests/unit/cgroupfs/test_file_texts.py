"""Texts of the files: parse and print are inverse, and nothing but the documented format passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.cgroupfs.texts import (
    format_flat_keyed,
    format_misc,
    format_value,
    parse_flat_keyed,
    parse_misc,
    parse_nested_keyed,
    parse_value,
)
from epcgroup.errors import FileFormatError
from epcgroup.units import LIMIT_MAX

VALUES = st.integers(0, LIMIT_MAX)
# What may stand in a path: anything without a newline, blanks included.
KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1)


@given(VALUES)
def test_value_round_trip(value: int) -> None:
    assert parse_value(format_value(value)) == value


@given(st.dictionaries(KEYS, VALUES))
def test_flat_keyed_round_trip(pairs: dict[str, int]) -> None:
    parsed = parse_flat_keyed(format_flat_keyed(pairs))
    assert parsed == pairs
    assert list(parsed) == list(pairs)


@given(st.dictionaries(KEYS, VALUES))
def test_misc_round_trip(values: dict[str, int]) -> None:
    assert parse_misc(format_misc(values)) == values


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        pairs = parse_flat_keyed(text)
    except FileFormatError:
        return
    # Only a text that our printer could have written (up to spelling of numbers) may pass.
    assert len(pairs) == len(text.removesuffix("\n").split("\n")) if text else pairs == {}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("sgx_epc 100\n", {"sgx_epc": 100}),
        ("sev 100\nsgx_epc 50\n", {"sev": 100, "sgx_epc": 50}),
        ("sgx_epc max\n", {"sgx_epc": LIMIT_MAX}),
        ("sgx_epc 18446744073709551614\n", {"sgx_epc": LIMIT_MAX - 1}),
        ("sgx_epc.max 3\n", {"sgx_epc.max": 3}),
        ("/kubepods/a pod/c 32\n/ 16\n", {"/kubepods/a pod/c": 32, "/": 16}),
    ],
)
def test_files_as_the_kernel_prints_them(text: str, values: dict[str, int]) -> None:
    assert parse_misc(text) == values


@pytest.mark.parametrize(
    "text",
    ["sgx_epc", "sgx_epc \n", " 5\n", "sgx_epc -1\n", "sgx_epc 0x10\n", "sgx_epc +1\n", "a 1\n\nb 2\n",
     "a 1\na 2\n", "sgx_epc MAX\n", "sgx_epc ٣\n", "sgx_epc ²\n", f"sgx_epc {LIMIT_MAX + 1}\n", "\n"],
)  # fmt: skip
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(FileFormatError):
        parse_misc(text)


def test_the_message_shows_the_line() -> None:
    with pytest.raises(FileFormatError, match="'middle' is not a value"):
        parse_flat_keyed("first 1\nthe middle\nlast 3\n")


def test_nested_keyed_files() -> None:
    text = "1 enclave=7 group=/a\\040b\\134c level=/ over=0\n2 empty= group=/x=y\n"
    assert parse_nested_keyed(text) == {
        "1": {"enclave": "7", "group": "/a b\\c", "level": "/", "over": "0"},
        "2": {"empty": "", "group": "/x=y"},
    }
    assert parse_nested_keyed("") == {}


@pytest.mark.parametrize("text", ["1\n", "1 \n", "1 group\n", " a=b\n", "1 =b\n", "1 a=b  c=d\n", "\n"])
def test_other_nested_texts_are_refused(text: str) -> None:
    with pytest.raises(FileFormatError, match="expected 'KEY SUB=VALUE"):
        parse_nested_keyed(text)
