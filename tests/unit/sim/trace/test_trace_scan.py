"""The compiled reader of columns against Python's own, and what it says of a line that is wrong."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace import scan, words
from epcgroup.sim.trace.scan import Column, Layout
from epcgroup.sim.trace.source import Block

FOUR = Layout(
    ",",
    (
        Column(2, scan.DECIMAL, "time"),
        Column(0, scan.NUMBER, "page"),
        Column(3, scan.HEX, "address"),
        Column(1, scan.KEY, "key"),
    ),
    digits=2,
)


def read(text: bytes, layout: Layout) -> list[list[int]]:
    """Return the values of every line, and check the numbers of the lines."""
    found = []
    lines = text.split(b"\n")
    for rows in scan.rows("f", [Block(text, 1)], layout):
        for values, line in zip(rows.values.tolist(), rows.lines.tolist(), strict=True):
            assert lines[line - 1].strip() not in (b"", b"#")
            found.append(values)
    return found


number = st.integers(0, 2**64 - 1)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(number, st.text("abc xyz_-", min_size=1).filter(str.strip), st.integers(0, 10**15), number)
    ),
    st.booleans(),
)
def test_columns_are_pythons(lines: list[tuple[int, str, int, int]], is_marked: bool) -> None:
    text = "# a comment\n\n"
    for page, key, cents, address in lines:
        text += f"{page},{key}, {cents // 100}.{cents % 100:02d}7 ,{'0x' * is_marked}{address:x},more\r\n\n"
    found = read(text.encode(), FOUR)
    assert [row[:3] for row in found] == [[cents, page, address] for page, _, cents, address in lines]
    hashes: dict[str, set[int]] = {}
    for (_, key, _, _), row in zip(lines, found, strict=True):
        hashes.setdefault(key.strip(), set()).add(row[3])
    assert all(len(values) == 1 for values in hashes.values())
    assert len({value for values in hashes.values() for value in values}) == len(hashes)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 10**9), min_size=2, max_size=4), max_size=30), st.data())
def test_blanks_as_delimiter(lines: list[list[int]], data: st.DataObject) -> None:
    blank = st.text(" \t", min_size=1, max_size=3)
    text = "".join(
        data.draw(st.text(" \t", max_size=2)) + "".join(f"{value}{data.draw(blank)}" for value in line) + "\n"
        for line in lines
    )
    layout = Layout(" ", (Column(1, scan.NUMBER, "b"), Column(0, scan.NUMBER, "a")))
    assert read(text.encode(), layout) == [[line[1], line[0]] for line in lines]


def test_more_rows_than_one_piece_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_ROWS", 3)
    layout = Layout(",", (Column(0, scan.NUMBER, "page"),))
    text = b"".join(b"%d\n" % value for value in range(10))
    assert read(text, layout) == [[value] for value in range(10)]


def test_numbers_with_a_sign_of_hexadecimal() -> None:
    layout = Layout(",", (Column(0, scan.NUMBER, "page"),))
    assert read(b"0x10\n0XfF\n0\n", layout) == [[16], [255], [0]]


def test_decimals_are_cut_off_not_rounded() -> None:
    layout = Layout(",", (Column(0, scan.DECIMAL, "time"),), digits=3)
    assert read(b"1.2345\n1.\n0.0009\n7\n", layout) == [[1234], [1000], [0], [7000]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x,k,1,2", "the page (column 1) is no number: 'x'; allowed: a whole number, decimal or 0x…"),
        ("1x,k,1,2", "the page (column 1) is no number: '1x'"),
        ("0x,k,1,2", "the page (column 1) is no number: '0x'"),
        ("-1,k,1,2", "the page (column 1) is no number: '-1'"),
        (",k,1,2", "the page (column 1) is empty: ''"),
        ("18446744073709551616,k,1,2", "the page (column 1) does not fit 64 bits: '18446744073709551616'"),
        ("99999999999999999999,k,1,2", "does not fit 64 bits"),
        ("1,,1,2", "the key (column 2) is empty: ''; allowed: any text"),
        ("1,k,1e5,2", "the time (column 3) is no number: '1e5'; allowed: a decimal number, not negative"),
        ("1,k,1.x,2", "the time (column 3) is no number"),
        ("1,k,999999999999999999999,2", "the time (column 3) does not fit 64 bits"),
        ("1,k,999999999999999999,2", "the time (column 3) does not fit 64 bits"),
        ("1,k,1,2g", "the address (column 4) is no number: '2g'; allowed: hexadecimal digits"),
        ("1,k,1,1ffffffffffffffff", "the address (column 4) does not fit 64 bits"),
        ("1,k", "2 columns in '1,k': column 4 is the address"),
        ("1,\x00\x01\xff", "2 columns in '1,\\x00\\x01"),
        ("x" * 500, "the page (column 1) is no number: 'xxxxxxxx"),
    ],
)
def test_a_line_that_is_wrong(line: str, message: str) -> None:
    with pytest.raises(TraceFormatError) as caught:
        read(b"1,k,1.0,a\n\n" + line.encode("latin-1") + b"\n1,k,1,2\n", FOUR)
    assert str(caught.value).startswith("f, line 3: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_header_is_skipped_and_counted() -> None:
    layout = Layout(",", (Column(0, scan.NUMBER, "page"),), nr_skipped=1)
    assert read(b"page\n7\n", layout) == [[7]]
    assert read(b"page\n", layout) == []
    with pytest.raises(TraceFormatError, match="f, line 2: "):
        read(b"page\nx\n", layout)


def outcome(text: bytes, layout: Layout) -> tuple[list[list[int]], str]:
    """Return the rows of a text and what is wrong with the line behind them."""
    found: list[list[int]] = []
    try:
        for rows in scan.rows("f", [Block(text, 1)], layout):
            found += [[*values, line] for values, line in zip(rows.values.tolist(), rows.lines, strict=True)]
    except TraceFormatError as error:
        return found, str(error)
    return found, ""


field = st.one_of(
    st.integers(0, 10**9).map(str),
    st.integers(10**15, 2**64 + 10**19).map(str),
    st.sampled_from(
        ["", "0", "#1", "0x1f", "00000000000000000000000001", "1\r", "1 ", " 1", "1\t", "x", "k" * 8]
    ),
)
TWO = Layout(",", (Column(0, scan.NUMBER, "page"), Column(2, scan.KEY, "key")))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(field, min_size=2, max_size=5), max_size=12), st.sampled_from([",", ", "]), st.data()
)
def test_by_words_or_by_bytes_is_the_same(
    lines: list[list[str]], separator: str, data: st.DataObject
) -> None:
    """Most lines are read eight bytes at a time, others and the last ones byte by byte."""
    good = [["12", "3", f"key {number}"] for number in range(data.draw(st.integers(0, 9)))]
    text = "".join(separator.join(line) + "\n" for line in (*good, *lines)).encode()
    by_words = outcome(text, TWO)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "last_line", lambda _: -1)
        assert outcome(text, TWO) == by_words


def test_a_number_is_not_looked_for_in_the_next_line() -> None:
    layout = Layout(",", (Column(0, scan.NUMBER, "a"), Column(1, scan.NUMBER, "b")))
    for last in (b"", b"9, 9\n" * 4):
        with pytest.raises(TraceFormatError, match=r"line 3: the b .column 2. is empty"):
            read(b"1, 2\n3, 4\n5,\n6, 7\n" + last, layout)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([",", " ", ";", "\t"]))
def test_any_bytes_are_rows_or_an_error(content: bytes, delimiter: str) -> None:
    layout = Layout(delimiter, FOUR.columns, digits=2)
    try:
        read(content + b"\n", layout)
    except TraceFormatError as error:
        assert str(error).startswith("f, line ")  # noqa: PT017 - any other error fails the test


def test_a_space_may_stand_around_fields(tmp_path: Path) -> None:
    layout = Layout(",", (Column(0, scan.NUMBER, "a"), Column(1, scan.NUMBER, "b")))
    assert read(b" 1 ,\t2 \r\n", layout) == [[1, 2]]
