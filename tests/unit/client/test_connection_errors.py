import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from epcgroup.abi import protocol
from epcgroup.client import Enclave
from epcgroup.errors import (
    EpcExhaustedError,
    InvalidSizeError,
    PagerDiedError,
    PagerUnreachableError,
    PeerRefusedError,
    PlatformError,
    ProtocolError,
    UsageError,
)

Answer = Callable[[socket.socket], object]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Callable[[Answer], str]]:
    """Return a function that makes a peer at a path, which answers the first packet of one connection."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path = str(tmp_path / "s")
    threads: list[threading.Thread] = []

    def start(answer: Answer) -> str:
        listener.bind(path)
        listener.listen()

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(protocol.MAX_PACKET_BYTES)
                answer(connection)

        threads.append(threading.Thread(target=run))
        threads[0].start()
        return path

    yield start
    for thread in threads:
        thread.join()
    listener.close()


def refusal(number: int) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.send(protocol.Refusal(number, "because of a test").pack())

    return answer


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (13, PeerRefusedError),
        (12, EpcExhaustedError),
        (71, ProtocolError),
        (22, UsageError),
        (28, PlatformError),
    ],
)
def test_a_refusal_becomes_the_error_of_its_errno(
    number: int, kind: type[Exception], peer: Callable[[Answer], str]
) -> None:
    with pytest.raises(kind, match="because of a test"):
        Enclave("1Mi", socket=peer(refusal(number)))


def test_an_end_in_the_middle_is_a_dead_pager(peer: Callable[[Answer], str]) -> None:
    with pytest.raises(PagerDiedError, match="during the handshake"):
        Enclave("1Mi", socket=peer(lambda connection: None))


def test_garbage_is_a_protocol_error(peer: Callable[[Answer], str]) -> None:
    with pytest.raises(ProtocolError):
        Enclave("1Mi", socket=peer(lambda connection: connection.send(b"x" * 40)))


def test_a_welcome_without_a_file_is_a_protocol_error(peer: Callable[[Answer], str]) -> None:
    welcome = protocol.Welcome(1, 0, 1, 0, 256).pack()
    with pytest.raises(ProtocolError, match="0 files"):
        Enclave("1Mi", socket=peer(lambda connection: connection.send(welcome)))


def test_too_many_files_are_refused_and_closed(peer: Callable[[Answer], str]) -> None:
    before = len(os.listdir("/proc/self/fd"))

    def answer(connection: socket.socket) -> None:
        socket.send_fds(connection, [protocol.Welcome(1, 0, 1, 0, 256).pack()], [0, 0, 0, 0, 0, 0])

    with pytest.raises(ProtocolError, match="cut"):
        Enclave("1Mi", socket=peer(answer))
    # The peer's listener is still open.
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_nobody_there_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(PagerUnreachableError, match="epcg run"):
        Enclave("1Mi", socket=tmp_path / "none")


def test_no_path_at_all_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EPCG_SOCKET", raising=False)
    with pytest.raises(PagerUnreachableError, match="EPCG_SOCKET"):
        Enclave("1Mi")


@pytest.mark.parametrize("size", [0, -1, "0"])
def test_a_size_of_nothing_is_refused_before_anything_else(size: int | str) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Enclave(size, socket="/nowhere")


def test_a_size_that_is_none_is_named() -> None:
    with pytest.raises(InvalidSizeError, match="1MB"):
        Enclave("1MB", socket="/nowhere")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="'end' or 'raise'"):
        Enclave(1, socket="/nowhere", on_pager_death="ignore")  # type: ignore[arg-type]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_a_pager_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    # A socket's owner is who calls listen.
    code = (
        "import os, socket, sys\n"
        "listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "listener.bind(sys.argv[1]); os.setuid(65534); listener.listen()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(PeerRefusedError, match="runs as user 65534"):
            Enclave("1Mi", socket=path)
