import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from epcgroup.client import Reporter
from epcgroup.workloads.kv.generator import Generator, Load, ServerGoneError
from epcgroup.workloads.kv.server import Server
from epcgroup.workloads.kv.slab import SLAB_BYTES
from epcgroup.workloads.kv.store import Store
from epcgroup.workloads.program import Run, corrupt


class Running:
    """A server in a thread of its own."""

    def __init__(self, path: str) -> None:
        self.memory = memoryview(bytearray(16 * SLAB_BYTES))
        self.path = path
        self.server = Server(Store(self.memory), path)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.server.serve, args=(lambda: not self.ended.is_set(),))
        self.thread.start()

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(20)
        connection.connect(self.path)
        return connection

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()
        self.server.__exit__()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(str(tmp_path / "kv"))
    yield running
    running.stop()
    assert not (tmp_path / "kv").exists()


def until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = connection.recv(1 << 20)
        assert piece, f"closed after {data[-60:]!r}"
        data += piece
    return data


def test_two_clients_share_the_store(running: Running) -> None:
    with running.connect() as one, running.connect() as two:
        one.sendall(b"set a 0 0 1\r\nx\r\n")
        assert until(one, b"\r\n") == b"STORED\r\n"
        two.sendall(b"get a\r\n")
        assert until(two, b"END\r\n") == b"VALUE a 0 1\r\nx\r\nEND\r\n"
    assert running.server.nr_commands == 2


def test_quit_and_garbage_close_the_connection(running: Running) -> None:
    for request in (b"quit\r\n", b"set a 0 0 x\r\n"):
        with running.connect() as connection:
            connection.sendall(request)
            data = b""
            while piece := connection.recv(1000):
                data += piece
            assert data in (b"", b"CLIENT_ERROR bad command line format\r\n")


def test_a_client_that_does_not_read_does_not_stop_the_others(running: Running) -> None:
    with running.connect() as lazy, running.connect() as other:
        lazy.sendall(b"set a 0 0 60000\r\n%s\r\n" % bytes(60000))
        assert until(lazy, b"\r\n") == b"STORED\r\n"
        lazy.sendall(b"get a\r\n" * 100)  # six million bytes of answers, not read
        other.sendall(b"get a\r\n")
        assert len(until(other, b"END\r\n")) > 60000
        total = 0
        while total < 100 * (60000 + len(b"VALUE a 0 60000\r\n\r\nEND\r\n")):
            total += len(lazy.recv(1 << 20))


def generate(running: Running, seconds: float, rate: float = 2000, damage: bool = False) -> Reporter:
    reporter = Reporter("/dev/null")
    load = Load(nr_items=300, value_bytes=500, rate=rate, zipf=0.9, set_ratio=0.2, seed=4)
    run = Run(memoryview(b""), reporter)
    with running.connect() as connection:
        generator = Generator(connection, load, run)
        generator.fill()
        assert reporter.operations == 0
        if damage:
            corrupt(running.memory)
        timed = Run(memoryview(b""), reporter, seconds)
        generator._run = timed
        generator.work()
    return reporter


def test_the_generator_measures_and_verifies(running: Running) -> None:
    reporter = generate(running, 1.0)
    assert reporter.operations > 500
    assert (reporter.errors, reporter.checksum_errors) == (0, 0)
    assert reporter.verified_bytes > 0.5 * reporter.operations * 500
    assert len(reporter.latency) >= reporter.operations


def test_the_generator_sees_damage(running: Running) -> None:
    assert generate(running, 0.5, damage=True).checksum_errors > 0


class Standstill:
    """A server that answers what fills it, then stands still and never answers again."""

    def __init__(self, path: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()


def test_a_standstill_shows_in_the_latency_of_all_that_waited(tmp_path: Path) -> None:
    still = Standstill(str(tmp_path / "kv"))
    reporter = Reporter("/dev/null")
    load = Load(nr_items=1, value_bytes=100, rate=1000, zipf=0, set_ratio=0, seed=4)
    with still.listener, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(tmp_path / "kv"))
        generator = Generator(connection, load, Run(memoryview(b""), reporter, 0.5))
        generator.work()
    assert reporter.operations == 0
    # About 500 requests arrived in half a second and waited for between 0 and 0.5 s.
    assert 300 < len(reporter.latency) < 700
    middle, longest = reporter.latency.percentile(50), reporter.latency.percentile(100)
    assert middle is not None
    assert longest is not None
    assert 150e6 < middle < 350e6
    assert longest > 400e6


def test_a_server_that_goes_away_is_an_error(tmp_path: Path) -> None:
    still = Standstill(str(tmp_path / "kv"))
    load = Load(nr_items=5, value_bytes=100, rate=1000, zipf=0, set_ratio=0, seed=4)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(tmp_path / "kv"))
        still.listener.accept()[0].close()
        still.listener.close()
        generator = Generator(connection, load, Run(memoryview(b""), Reporter("/dev/null"), 20))
        with pytest.raises(ServerGoneError):
            generator.fill()
