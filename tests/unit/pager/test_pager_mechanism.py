"""Backing files, self-test, taking of runs, log, loop: the parts, on the running kernel."""

import errno
import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from epcgroup.abi import userfaultfd as uffd
from epcgroup.abi.peer import Peer
from epcgroup.errors import NotSupportedError, PlatformError
from epcgroup.pager import backing as backings
from epcgroup.pager import runs, selftest
from epcgroup.pager.backing import Backing, MemfdBacking, open_backing
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.evict import PagesLostError, SpliceEvictor
from epcgroup.pager.listener import remove_stale
from epcgroup.pager.log import Log
from epcgroup.pager.loop import SPIN_NS, Events, Loop, Urgency, spin_ns_for
from epcgroup.pager.seal import Seal
from epcgroup.pager.state_file import StateFile, default_path
from epcgroup.pager.store import Slab
from epcgroup.pager.table import runs_of
from epcgroup.pager.take import Taker, by_enclave

PAGE = 4096


@pytest.fixture(params=["tmpfs", "memfd"])
def backing(request: pytest.FixtureRequest) -> Iterator[Backing]:
    try:
        backing = open_backing(request.param, 1 << 20)
    except NotSupportedError as error:
        pytest.skip(str(error))
    yield backing
    backing.close()


@pytest.fixture
def enclave(backing: Backing) -> Iterator[Enclave]:
    fd = backing.create(64)
    state = memoryview(bytearray(64))
    enclave = Enclave(1, 1, Peer(1, 0, 0), 64, fd, Seal(1, 64), Slab(64), state, -1, lambda _: None)
    for page in range(64):
        os.pwrite(fd, bytes([page]) * PAGE, page * PAGE)
    yield enclave
    os.close(fd)


def test_backing_file_is_empty_and_sized(backing: Backing) -> None:
    fd = backing.create(10)
    assert os.fstat(fd).st_size == 10 * PAGE
    assert backings.nr_present(fd) == 0
    assert list(backings.present_runs(fd)) == []
    os.pwrite(fd, b"x", 2 * PAGE)
    os.pwrite(fd, b"x" * 2 * PAGE, 5 * PAGE)
    assert backings.nr_present(fd) == 3
    assert list(backings.present_runs(fd)) == [(2, 3), (5, 7)]
    assert [page for page in range(10) if backings.is_present(fd, page)] == [2, 5, 6]
    os.close(fd)


def test_memfd_cannot_change_its_size() -> None:
    fd = MemfdBacking().create(4)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    os.close(fd)


def test_tmpfs_leaves_no_mount_behind(backing: Backing) -> None:
    assert "epcgroup" not in Path("/proc/self/mountinfo").read_text()


def test_both_methods_pass_the_selftest_here(backing: Backing) -> None:
    try:
        uffd.offered_features()
    except NotSupportedError as error:
        pytest.skip(str(error))
    assert selftest.splice_is_reference(backing).ok
    assert selftest.write_protect_works(backing) == selftest.Verdict(
        True, "the page holds b'JELLO' at the end"
    )


def test_a_pipe_that_copies_is_found_out(backing: Backing, monkeypatch: pytest.MonkeyPatch) -> None:
    def copying(src: int, dst: int, pages: NDArray[np.int64], nr: int) -> int:
        os.write(dst, os.pread(src, nr * PAGE, int(pages[0]) * PAGE))
        return 0

    monkeypatch.setattr(runs, "refer", copying)
    verdict = selftest.splice_is_reference(backing)
    assert not verdict.ok
    assert "copy" in verdict.detail
    with pytest.raises(NotSupportedError, match="splice: the pipe holds a copy"):
        selftest.choose_evictor("splice", backing)
    assert selftest.choose_evictor("auto", backing).name == "wp"


@pytest.mark.parametrize("pages", [[10, 11, 12, 13, 14], [0, 2, 3, 40, 62, 63], list(range(64))])
def test_taken_pages_have_their_bytes_and_leave_holes(enclave: Enclave, pages: list[int]) -> None:
    taker = Taker(SpliceEvictor())
    taker.take(enclave, pages)
    for index, page in enumerate(pages):
        assert bytes(taker.pages[index]) == bytes([page]) * PAGE
    left = [page for page in range(64) if backings.is_present(enclave.file, page)]
    assert left == [page for page in range(64) if page not in pages]


def test_run_outside_the_file_changes_nothing_and_the_next_works(enclave: Enclave) -> None:
    taker = Taker(SpliceEvictor())
    with pytest.raises(OSError, match="shorter"):
        taker.take(enclave, [5, 62, 63, 64, 65])
    assert backings.nr_present(enclave.file) == 64
    taker.take(enclave, [63])
    assert bytes(taker.pages[0]) == bytes([63]) * PAGE  # the pipe holds nothing of the run before


def test_pages_lost_between_punch_and_read_are_told(
    enclave: Enclave, monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = Taker(SpliceEvictor())
    monkeypatch.setattr(runs, "drain", lambda *_: -errno.EIO)
    with pytest.raises(PagesLostError, match="Input/output"):
        taker.take(enclave, [3, 4])
    monkeypatch.undo()
    taker.take(enclave, [8])
    assert bytes(taker.pages[0]) == bytes([8]) * PAGE


@pytest.mark.parametrize(
    ("answer", "error"), [(runs.UNTOUCHED - errno.ENOSPC, OSError), (-errno.ENOSPC, PagesLostError)]
)
def test_hole_that_cannot_be_punched(
    enclave: Enclave, monkeypatch: pytest.MonkeyPatch, answer: int, error: type[Exception]
) -> None:
    taker = Taker(SpliceEvictor())
    monkeypatch.setattr(runs, "punch", lambda *_: answer)
    with pytest.raises(error, match="No space"):
        taker.take(enclave, [3, 9])
    monkeypatch.undo()
    taker.take(enclave, [20])
    assert bytes(taker.pages[0]) == bytes([20]) * PAGE


def test_runs_and_shares() -> None:
    assert runs_of([1, 2, 3, 4, 5, 9, 11, 12]) == [(1, 5), (9, 1), (11, 2)]
    assert runs_of([0]) == [(0, 1)]
    assert runs_of([]) == []
    rows = [(1, 4), (1, 5), (1, 6), (2, 7)]
    assert list(by_enclave(rows, 2)) == [(1, [4, 5]), (1, [6]), (2, [7])]
    assert list(by_enclave([], 2)) == []


def test_log_limits_its_lines(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"))
    for number in range(500):
        log(f"line {number}")
    log.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert 100 <= len(lines) <= 300
    assert len(lines) + log.nr_dropped == 500
    assert lines[0].endswith("line 0")


def test_log_never_blocks_on_a_full_pipe() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, bytes(65536)):
            continue
    os.set_blocking(writer, True)
    log = Log(f"/proc/self/fd/{writer}")
    log("nobody reads this")
    assert log.nr_dropped == 1
    log.close()
    os.close(reader)
    os.close(writer)


def test_spin_only_with_cpus_to_spare() -> None:
    assert [spin_ns_for(n) for n in (1, 2, 3, 64)] == [0, 0, SPIN_NS, SPIN_NS]


def test_loop_serves_events_works_when_idle_and_sleeps_until_stopped() -> None:
    loop = Loop(0)
    reader, writer = os.pipe()
    seen: list[str] = []

    def readable(mask: int) -> None:
        assert mask == select.EPOLLIN
        seen.append(os.read(reader, 1).decode())

    def urgency_of() -> int:
        return Urgency.WHEN_IDLE if seen.count("work") < 2 else Urgency.NONE

    def work(is_busy: bool) -> None:
        assert not is_busy
        seen.append("work")

    def tick() -> None:
        if seen.count("work") == 2:
            seen.append("tick")
            loop.stop()

    os.write(writer, b"ab")
    loop.add(reader, readable)
    loop.every(0.001, tick)
    loop.run(urgency_of, work)
    assert seen == ["a", "b", "work", "work", "tick"]
    loop.remove(reader)
    loop.remove(reader)
    loop.close()
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(("urgency", "expected"), [(Urgency.WHEN_IDLE, 64), (Urgency.NOW, 1)])
def test_events_never_starve_background_work(urgency: Urgency, expected: int) -> None:
    loop = Loop(0)
    reader, writer = os.pipe()
    os.write(writer, b"x")  # never read: an event in every round
    rounds = 0

    def readable(_: int) -> None:
        nonlocal rounds
        rounds += 1

    def work(is_busy: bool) -> None:
        assert is_busy
        loop.stop()

    loop.add(reader, readable)
    loop.run(lambda: urgency, work)
    assert rounds == expected
    os.close(reader)
    os.close(writer)
    loop.close()


def test_poll_that_serves_itself_is_told_how_long_and_how_often() -> None:
    loop = Loop(0)
    asked: list[tuple[int, int]] = []
    answers = iter([(3, ()), (60, ()), (1, ()), (1, ()), (0, ())])
    urgencies = iter([0, 1, 1, 1, 2, 2, 0, 0])
    busy: list[bool] = []

    def poll(timeout_ms: int, most: int) -> tuple[int, Events]:
        asked.append((timeout_ms, most))
        answer = next(answers)
        if not answer[0]:
            loop.stop()
        return answer

    loop.run(lambda: next(urgencies), busy.append, poll)
    # Asleep; then with work that waits until 64 rounds were busy; then with work to be done in every round.
    assert asked == [(-1, 64), (0, 61), (0, 1), (0, 1), (-1, 64)]
    assert busy == [True, True]
    loop.close()


def test_handler_that_was_removed_by_another_is_not_called() -> None:
    loop = Loop(0)
    pipes = [os.pipe() for _ in range(2)]
    called: list[int] = []

    def make(index: int) -> None:
        def readable(_: int) -> None:
            called.append(index)
            loop.remove(pipes[1 - index][0])
            loop.stop()

        loop.add(pipes[index][0], readable)

    for index, (_, writer) in enumerate(pipes):
        make(index)
        os.write(writer, b"x")
    loop.run(lambda: 0, lambda _: None)
    assert len(called) == 1
    loop.close()
    for fd in (fd for pair in pipes for fd in pair):
        os.close(fd)


def test_loop_ends_by_signal() -> None:
    loop = Loop(0)
    before = signal.getsignal(signal.SIGUSR2)
    loop.watch_signals(signal.SIGUSR2)
    sent = []

    def send() -> None:
        sent.append(signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGUSR2)

    loop.every(0.001, send)
    try:
        loop.run(lambda: 0, lambda _: None)
    finally:
        loop.close()
        signal.signal(signal.SIGUSR2, before)
    assert sent == [signal.SIGUSR2]


def test_a_file_that_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(PlatformError, match="is no socket"):
        remove_stale(str(path))
    assert path.read_text() == "mine"
    remove_stale(str(tmp_path / "gone"))


def test_a_state_file_that_cannot_be_had_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(PlatformError, match=r"cannot make the state file .*: a file of"):
        StateFile(str(path), 1 << 62)
    assert not path.exists()


def test_state_file_is_new_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("left over")
    state = StateFile(str(path), 1 << 20)
    assert path.stat().st_size == 1 << 20
    assert state.map[:9] == bytes(9)
    state.close()
    assert not path.exists()
    assert default_path("a/b") == default_path(f"{os.getcwd()}/a/b")
