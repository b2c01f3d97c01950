"""Peers that break the protocol, or that are strangers, get an error and nothing else changes."""

import contextlib
import ctypes
import fcntl
import os
import random
import socket
import sys
import threading
from pathlib import Path
from subprocess import run

import pytest
from conftest import StartPager
from live_pager import LivePager, wait_until
from raw_client import RawClient

from epcgroup.abi import protocol
from epcgroup.errors import ProtocolError

pytestmark = pytest.mark.live
NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")


def refusal_of(client: RawClient) -> protocol.Refusal:
    answer = client.answer()
    assert isinstance(answer, protocol.Refusal), answer
    assert client.receive() == b""
    return answer


def nr_descriptors(pager: LivePager) -> int:
    return len(os.listdir(f"/proc/{pager.process.pid}/fd"))


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"x", "shorter than its header"),
        (b"\0" * 32, "expected 0x47435045"),
        (protocol.Go().pack(), "expected HELLO"),
        (protocol.Hello(10).pack()[:-1], "bytes of body"),
        (protocol.Hello(10).pack() + b"x", "bytes of body"),
        (protocol.Hello(10).pack().replace(b"\x01\x00\x01\x00", b"\x63\x00\x01\x00", 1), "version 99"),
        (protocol.Hello(0).pack(), "0 pages"),
        (protocol.Hello(2**40).pack(), "1 to"),
        (protocol.Hello(10, page_size=65536).pack(), "pages of 65536 bytes"),
        (b"x" * 70_000, "more than the protocol allows"),
    ],
)
def test_bad_hello_is_refused(live_pager: LivePager, packet: bytes, words: str) -> None:
    with RawClient(live_pager.socket) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        client.socket.send(packet)
        assert words in refusal_of(client).text
    assert live_pager.statistics()["nr_protocol_errors"] == 1
    assert live_pager.is_empty()


def test_bad_mapped_is_refused(live_pager: LivePager) -> None:
    def refused(make_fd: str, size: int = 10 * 4096, shift: int = 0) -> str:
        with RawClient(live_pager.socket) as client:
            welcome = client.hello(10)
            base, _ = client.map(welcome)
            fds = []
            if make_fd != "none":
                fds = [client.open_uffd() if make_fd != "null" else os.open("/dev/null", os.O_RDWR)]
                client.fds += fds if make_fd == "null" else []
            if make_fd == "blocking":
                fcntl.fcntl(fds[0], fcntl.F_SETFL, 0)
            client.send_mapped(base + shift, size, fds)
            return refusal_of(client).text

    assert "no userfaultfd" in refused("null")
    assert "carries 0 descriptors" in refused("none")
    assert "not O_NONBLOCK" in refused("blocking")
    assert "not ready" in refused("without api")
    assert "is not the enclave's" in refused("uffd", size=4096)
    assert "is not the enclave's" in refused("uffd", shift=8)
    wait_until(live_pager.is_empty)


def test_unwanted_descriptors_are_closed(live_pager: LivePager) -> None:
    before = nr_descriptors(live_pager)
    for count in (1, 2, 20):
        with RawClient(live_pager.socket) as client, open("/dev/null", "rb") as null:
            socket.send_fds(client.socket, [protocol.Hello(4).pack()], [null.fileno()] * count)
            answer = client.answer()
            # More than the protocol allows is an error, fewer are only closed.
            assert isinstance(answer, protocol.Refusal if count > 2 else protocol.Welcome)
    wait_until(lambda: nr_descriptors(live_pager) == before)


def test_talk_after_the_handshake_ends_the_enclave(live_pager: LivePager) -> None:
    with RawClient(live_pager.socket) as client:
        client.connect_region(10)
        client.socket.send(b"hello?")
        assert "nothing may be sent" in refusal_of(client).text
        wait_until(live_pager.is_empty)


def test_userfaultfd_made_blocking_later_ends_the_enclave(live_pager: LivePager) -> None:
    with RawClient(live_pager.socket) as client:
        base = client.connect_region(10)
        fcntl.fcntl(client.fds[-1], fcntl.F_SETFL, 0)
        # The call drops the GIL while it sleeps on the page; closing the userfaultfd sets it free.
        toucher = threading.Thread(target=ctypes.memset, args=(base, 1, 1))
        toucher.start()
        try:
            assert "its userfaultfd polls" in refusal_of(client).text
        finally:
            client.close()
            toucher.join()
    wait_until(live_pager.is_empty)


def test_silence_is_timed_out(start_pager: StartPager) -> None:
    pager = start_pager("--handshake-seconds", "0.1")
    with RawClient(pager.socket) as silent, RawClient(pager.socket) as half:
        half.hello(10)
        assert "within 0.1 s" in refusal_of(silent).text
        assert "within 0.1 s" in refusal_of(half).text
    with pager.control() as control:
        wait_until(lambda: control.statistics()["nr_protocol_errors"] == 2)
    wait_until(pager.is_empty)


@pytest.mark.parametrize(
    "packet",
    [b"{", b"{}", b'{"op":1}', b'{"op":"no"}', b'{"op":"read"}', b'{"op":"mkdir","path":7}', b"{" * 5000],
)
def test_bad_control_request_is_answered(live_pager: LivePager, packet: bytes) -> None:
    with RawClient(live_pager.socket) as client:
        client.socket.send(packet)
        reply = protocol.decode_control(client.receive())
        assert reply["ok"] is False
        assert reply["errno"] > 0
    assert live_pager.statistics()["nr_live_enclaves"] == 0


def mutate(generator: random.Random, packet: bytes) -> bytes:
    data = bytearray(packet)
    for _ in range(generator.randrange(4)):
        match generator.randrange(4):
            case 0 if data:
                data[generator.randrange(len(data))] = generator.randrange(256)
            case 1:
                del data[generator.randrange(len(data) + 1) :]
            case 2:
                data += generator.randbytes(generator.randrange(1, 40))
            case _:
                place = generator.randrange(len(data) + 1)
                data[place:place] = generator.randbytes(2)
    return bytes(data) or b"\0"


def test_fuzzed_packets_never_stop_the_pager(live_pager: LivePager) -> None:
    generator = random.Random(20240820)
    seeds = [
        protocol.Hello(3).pack(),
        protocol.Mapped(1 << 40, 3 * 4096).pack(),
        protocol.Go().pack(),
        protocol.Refusal(5, "no").pack(),
        b'{"op":"hello"}',
        b'{"op":"read","path":"/","file":"epc.stat"}',
        b'{"op":"write","path":"/","file":"epc.procs","text":"0"}',
    ]
    puppet = live_pager.puppet(1500)
    puppet.ask("fill", 0, 1500, 1)
    before = nr_descriptors(live_pager)
    for _ in range(400):
        with RawClient(live_pager.socket) as client, open("/dev/null", "rb") as null:
            for _ in range(generator.randrange(1, 4)):
                fds = [null.fileno()] * generator.randrange(4)
                packet = mutate(generator, generator.choice(seeds))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(client.socket, [packet], fds)
    assert puppet.ask("check", 0, 1500, 1) == 0
    wait_until(lambda: nr_descriptors(live_pager) <= before)
    assert live_pager.statistics()["nr_live_enclaves"] == 1
    assert live_pager.statistics()["nr_protocol_errors"] > 100


CONTROL_AS_NOBODY = """
import os, sys
from epcgroup.abi.control import ControlClient
from epcgroup.errors import PeerRefusedError
os.setuid(65534)
try:
    with ControlClient(sys.argv[1]) as control:
        control.mkdir("/mine")
except PeerRefusedError as error:
    sys.exit(str(error))
"""


@needs_root
def test_foreign_user_is_refused(start_pager: StartPager) -> None:
    pager = start_pager()
    pager.socket.chmod(0o666)
    puppet = pager.puppet(10, user=NOBODY)
    assert not puppet.is_connected
    assert puppet.wait() == 1
    assert "user 65534 may not have enclaves here" in puppet.error_text()
    assert pager.is_empty()


@needs_root
def test_foreign_user_cannot_even_reach_the_socket(live_pager: LivePager) -> None:
    assert live_pager.socket.stat().st_mode & 0o777 == 0o600


@needs_root
def test_allowed_user_gets_enclaves_but_no_control(start_pager: StartPager) -> None:
    pager = start_pager("--allow-uid", str(NOBODY))
    puppet = pager.puppet(1500, user=NOBODY)
    assert '"kernel_faults": true' in puppet.greeting
    puppet.ask("fill", 0, 1500, 1)
    assert puppet.ask("check", 0, 1500, 1) == 0
    control = run(
        [sys.executable, "-c", CONTROL_AS_NOBODY, str(pager.socket)], capture_output=True, text=True
    )
    assert control.returncode == 1
    assert "user 65534 may not control this pager" in control.stderr
    assert pager.read("/", "epc.stat")


@needs_root
def test_pager_without_privilege_serves_its_own_user(start_pager: StartPager) -> None:
    # The interpreted engine: compiling for a user without a place for code would take half a minute.
    program = (str(Path(__file__).with_name("pager_as.py")), str(NOBODY))
    environment = {"NUMBA_DISABLE_JIT": "1", "HOME": "/nonexistent"}
    pager = start_pager(program=program, environment=environment)
    assert pager.ready["backing"] == "memfd"
    assert pager.ready["kernel_faults"] is False
    puppet = pager.puppet(1300, user=NOBODY)
    assert '"kernel_faults": false' in puppet.greeting
    puppet.ask("fill", 0, 1300, 1)
    assert puppet.ask("check", 0, 1300, 1) == 0
    assert pager.statistics()["nr_evictions"] > 200


def test_tmpfs_that_cannot_be_mounted_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "epcgroup.pager", "--epc", "4Mi", "--backing", "tmpfs"]
    if os.getuid() == 0:
        pytest.skip("root can mount")
    result = run([*command, "--socket", str(tmp_path / "s")], capture_output=True, text=True)
    assert result.returncode == 1
    assert "--backing memfd" in result.stderr


def test_control_client_says_when_the_answer_is_no_control(live_pager: LivePager) -> None:
    with live_pager.control() as control, pytest.raises(ProtocolError):
        control.write("/", "epc.procs", "1" * 70_000)
