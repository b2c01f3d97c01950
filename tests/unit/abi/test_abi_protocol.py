"""Packets: what is packed is unpacked; everything else is refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.abi import protocol
from epcgroup.errors import ProtocolError

U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
MESSAGES = st.one_of(
    st.builds(protocol.Hello, U64, U32),
    st.builds(protocol.Welcome, U32, U32, U64, U64, U64),
    st.builds(protocol.Mapped, U64, U64),
    st.just(protocol.Go()),
    st.builds(protocol.Refusal, U32, st.text(max_size=200)),
)


@given(MESSAGES)
def test_round_trip(message: protocol.Message) -> None:
    assert protocol.unpack(message.pack()) == message
    assert not protocol.is_control(message.pack())


@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_a_protocol_error(packet: bytes) -> None:
    try:
        message = protocol.unpack(packet)
    except ProtocolError:
        return
    assert protocol.unpack(message.pack()) == message


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"", "shorter than its header"),
        (b"EPCX" + bytes(12), "begins with"),
        (b"EPCG\x02\x00\x01\x00", "version 2"),
        (b"EPCG\x01\x00\x63\x00", "kind 99"),
        (b"EPCG\x01\x00\x05\x00", "too short"),
        (protocol.Go().pack() + b"!", "1 bytes of body"),
    ],
)
def test_reasons(packet: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        protocol.unpack(packet)


def test_layout_is_fixed() -> None:
    # Two processes of different builds must agree: a change of these bytes needs a new VERSION.
    assert protocol.Hello(3).pack().hex() == "455043470100010000100000000000000300000000000000"
    assert protocol.Mapped(1, 2).pack().hex() == "455043470100030001000000000000000200000000000000"


def test_long_refusal_is_cut_to_a_packet() -> None:
    packet = protocol.Refusal(5, "é" * 5000).pack()
    assert len(packet) < 2048
    assert isinstance(protocol.unpack(packet), protocol.Refusal)


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none(), st.booleans())))
def test_control_round_trip(fields: dict[str, object]) -> None:
    packet = protocol.encode_control(fields)
    assert protocol.is_control(packet)
    assert protocol.decode_control(packet) == fields


@pytest.mark.parametrize("packet", [b"{", b"\xff", b"[1]", b"7", b"{" * 100_000, b'{"a":' * 100_000])
def test_bad_control_packets(packet: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.decode_control(packet)
