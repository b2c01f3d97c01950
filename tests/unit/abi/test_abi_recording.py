"""Events of a recording on their way from the pager."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.abi import recording
from epcgroup.abi.recording import Kind
from epcgroup.errors import ProtocolError


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))))
def test_words_arrive_as_they_were_sent(events: list[tuple[int, int]]) -> None:
    words = [word for event in events for word in event]
    assert recording.decode(recording.encode(words)).tolist() == words


def test_words_are_split_as_they_were_joined() -> None:
    for kind in Kind:
        assert recording.split(recording.prefix(kind, 77) | 123_456) == (kind, 77, 123_456)


@pytest.mark.parametrize("text", ["!", "AAAA", None, "é"])
def test_what_is_no_recording(text: str | None) -> None:
    with pytest.raises(ProtocolError, match=r"base64|multiple of 16"):
        recording.decode(text)
