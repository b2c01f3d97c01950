"""The control client against a socket that answers what a test says."""

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from epcgroup import errors
from epcgroup.abi import protocol
from epcgroup.abi.control import ControlClient, error_from_reply


@contextmanager
def answering(path: Path, replies: list[tuple[bytes, bytes | None]]) -> Iterator[None]:
    """Serve one connection: every request gets the next (packet, content of a file to send along)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for packet, content in replies:
                if not connection.recv(protocol.MAX_PACKET_BYTES):
                    return
                if content is None:
                    connection.send(packet)
                    continue
                fd = os.memfd_create("reply")
                os.write(fd, content)
                socket.send_fds(connection, [packet], [fd])
                os.close(fd)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        listener.close()


def test_reply_in_a_packet_and_in_a_file(tmp_path: Path) -> None:
    content = protocol.encode_control({"ok": True, "paths": ["/", "/a"]})
    pointer = protocol.encode_control({"ok": True, "in_file": len(content)})
    with (
        answering(tmp_path / "s", [(content, None), (pointer, content), (pointer, None)]),
        ControlClient(tmp_path / "s") as client,
    ):
        assert client.paths() == ["/", "/a"]
        assert client.paths() == ["/", "/a"]
        with pytest.raises(errors.ProtocolError, match="without its file"):
            client.paths()


def test_end_of_file_and_rubbish(tmp_path: Path) -> None:
    with answering(tmp_path / "s", [(b"rubbish", None)]), ControlClient(tmp_path / "s") as client:
        with pytest.raises(errors.ProtocolError):
            client.hello()
        with pytest.raises(errors.PagerDiedError):
            client.hello()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(errors.PagerDiedError, match="no pager answers"):
        ControlClient(tmp_path / "s")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("NoSuchGroupError", errors.NoSuchGroupError),
        ("InvalidSizeError", errors.InvalidSizeError),
        ("EpcError", errors.EpcError),
        ("Sequence", errors.PlatformError),
        ("nothing", errors.PlatformError),
        ("_errno", errors.PlatformError),
    ],
)
def test_errors_come_back_as_their_class(kind: str, expected: type[errors.EpcError]) -> None:
    error = error_from_reply({"ok": False, "kind": kind, "error": "because"})
    assert type(error) is expected
    assert str(error) == "because"
    assert errno.errorcode[error.errno]
