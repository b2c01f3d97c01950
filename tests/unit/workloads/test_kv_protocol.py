import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.workloads.kv.protocol import Session
from epcgroup.workloads.kv.slab import SLAB_BYTES
from epcgroup.workloads.kv.store import Store
from epcgroup.workloads.program import corrupt


@pytest.fixture
def session() -> Session:
    return Session(Store(memoryview(bytearray(4 * SLAB_BYTES))))


def test_set_get_delete(session: Session) -> None:
    assert session.feed(b"set a 7 0 5\r\nhello\r\n") == b"STORED\r\n"
    assert session.feed(b"get a b\r\n") == b"VALUE a 7 5\r\nhello\r\nEND\r\n"
    assert session.feed(b"delete a\r\ndelete a\r\nget a\r\n") == b"DELETED\r\nNOT_FOUND\r\nEND\r\n"


def test_a_value_may_hold_line_ends(session: Session) -> None:
    session.feed(b"set a 0 0 9\r\n\r\nget a\r\n\r\n")
    assert session.feed(b"get a\r\n") == b"VALUE a 0 9\r\n\r\nget a\r\n\r\nEND\r\n"


def test_noreply_says_nothing(session: Session) -> None:
    assert session.feed(b"set a 0 0 1 noreply\r\nx\r\ndelete b noreply\r\nget a\r\n").startswith(b"VALUE a")


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30)))
def test_how_the_bytes_are_cut_does_not_matter(cuts: list[int]) -> None:
    whole = b"set a 1 0 12\r\nhello\r\nworld\r\nget a c\r\nbogus\r\ndelete a\r\nstats\r\nversion\r\nget a\r\n"
    session = Session(Store(memoryview(bytearray(4 * SLAB_BYTES))))
    expected = Session(Store(memoryview(bytearray(4 * SLAB_BYTES)))).feed(whole)
    answers, position = b"", 0
    for cut in cuts:
        answers += session.feed(whole[position : position + cut])
        position += cut
    assert answers + session.feed(whole[position:]) == expected


def test_stats_and_version(session: Session) -> None:
    session.feed(b"set a 0 0 1\r\nx\r\n")
    assert session.feed(b"stats\r\n") == b"STAT curr_items 1\r\nSTAT bytes 65536\r\nEND\r\n"
    assert session.feed(b"version\r\n").startswith(b"VERSION epcgroup-kv")


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"\r\n", b"ERROR\r\n"),
        (b"incr a 1\r\n", b"ERROR\r\n"),
        (b"get\r\n", b"CLIENT_ERROR bad command line format\r\n"),
        (b"delete\r\n", b"CLIENT_ERROR bad command line format\r\n"),
        (b"get " + b"k" * 251 + b"\r\n", b"CLIENT_ERROR key of 251 bytes, the longest is 250\r\n"),
        (b"set a 0 60 1\r\nx\r\n", b"CLIENT_ERROR expiry is not supported, use 0\r\n"),
        (
            b"set a 0 0 70000\r\n" + bytes(70000) + b"\r\n",
            b"SERVER_ERROR object of 70033 bytes, the largest is 65536\r\n",
        ),
    ],
)
def test_wrong_commands_are_answered_and_the_next_one_works(
    request_: bytes, answer: bytes, session: Session
) -> None:
    assert session.feed(request_ + b"get a\r\n") == answer + b"END\r\n"
    assert not session.closed


@pytest.mark.parametrize(
    "request_",
    [
        b"set a 0 0 2\r\nxyz\r\n",
        b"set a 0 0 x\r\n",
        b"set a 0 0 -1\r\n",
        b"set a -1 0 1\r\n",
        b"set a 0 0 9999999999\r\n",
        b"set a 0 0\r\n",
        b"g" * 9000,
    ],
)
def test_what_cannot_be_told_from_a_value_closes_the_session(request_: bytes, session: Session) -> None:
    assert session.feed(request_).startswith(b"CLIENT_ERROR")
    assert session.closed
    assert session.feed(b"get a\r\n") == b""


def test_quit_closes_without_a_word(session: Session) -> None:
    assert session.feed(b"quit\r\nget a\r\n") == b""
    assert session.closed


def test_a_full_store_says_so(session: Session) -> None:
    answers = [session.feed(b"set k%d 0 0 60000\r\n%s\r\n" % (n, bytes(60000))) for n in range(5)]
    assert answers[0] == b"STORED\r\n"
    assert answers[-1].startswith(b"SERVER_ERROR all")


def test_damage_is_told_and_counted() -> None:
    memory = memoryview(bytearray(4 * SLAB_BYTES))
    session = Session(Store(memory))
    for number in range(50):
        session.feed(b"set k%d 0 0 4000\r\n%s\r\n" % (number, bytes(4000)))
    corrupt(memory)
    answers = [session.feed(b"get k%d\r\n" % number) for number in range(50)]
    wrong = [answer for answer in answers if answer.startswith(b"SERVER_ERROR checksum")]
    assert len(wrong) == session.nr_wrong > 20


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"set a 0 0 3\r\n", b"get a\r\n", b"\r\n"])))
)
def test_no_bytes_make_it_fail(pieces: list[bytes]) -> None:
    session = Session(Store(memoryview(bytearray(4 * SLAB_BYTES))))
    for piece in pieces:
        answer = session.feed(piece)
        assert not answer or answer.endswith(b"\r\n")
