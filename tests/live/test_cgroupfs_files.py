"""The mounted tree behaves as a real kernel's misc controller: vectors recorded there, by their numbers."""

import ctypes
import errno
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_pager import SEV, SEV_ES, EnginePager

from epcgroup.cgroupfs import libfuse
from epcgroup.cgroupfs.mount import Mount
from epcgroup.errors import NotSupportedError

pytestmark = pytest.mark.live

IN, PRI, OUT, ERR = select.POLLIN, select.POLLPRI, select.POLLOUT, select.POLLERR
ALL = IN | PRI | OUT | select.POLLRDNORM | select.POLLWRNORM
FILES_BELOW = ["misc.current", "misc.peak", "misc.max", "misc.events", "misc.events.local"]
NOBODY = 65534


def mountable() -> str | None:
    """Why no tree can be mounted here, None if it can."""
    try:
        libfuse.check()
    except NotSupportedError as reason:
        return str(reason)
    return None


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EnginePager]:
    if reason := mountable():
        pytest.skip(reason)
    with EnginePager(tmp_path) as engine:
        engine.set_capacity(SEV, 100)
        yield engine


@pytest.fixture
def root(engine: EnginePager, tmp_path: Path) -> Iterator[Path]:
    with Mount(engine.socket, tmp_path / "mnt") as mount:
        yield mount.mountpoint


@pytest.fixture
def a(root: Path) -> Path:
    (root / "a").mkdir()
    return root / "a"


@pytest.fixture
def b(a: Path) -> Path:
    (a / "b").mkdir()
    return a / "b"


def code(action: Callable[[], object]) -> str:
    """The name of the errno an action fails with, "ok" if it does not."""
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "ok"


def write(path: Path, data: bytes, flags: int = 0) -> int:
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


def map_shared(fd: int) -> str:
    """Try a shared mapping; Python's own mmap refuses files of size 0 before it asks the kernel."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    arguments = (None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_SHARED, fd, ctypes.c_long(0))
    failed = libc.mmap(*arguments) == ctypes.c_void_p(-1).value
    return errno.errorcode[ctypes.get_errno()] if failed else "ok"


def sev(path: Path) -> str:
    """The value of the line of ``sev``."""
    return next(line.split()[1] for line in path.read_text().splitlines() if line.startswith("sev "))


def mask(fd: int, asked: int = ALL, timeout_ms: int = 0) -> int:
    poll = select.poll()
    poll.register(fd, asked)
    return dict(poll.poll(timeout_ms)).get(fd, 0)


class TestFilesAndFormats:
    """Chapters 1 and 2."""

    def test_which_exist_where(self, root: Path, a: Path) -> None:  # F1-F6
        assert {name for name in os.listdir(root) if name.startswith("misc.")} == {
            "misc.capacity", "misc.current", "misc.peak",
        }  # fmt: skip
        assert sorted(name for name in os.listdir(a) if name.startswith("misc.")) == sorted(FILES_BELOW)
        assert code((root / "misc.max").read_text) == "ENOENT"
        assert code((a / "misc.capacity").read_text) == "ENOENT"

    @pytest.mark.parametrize("name", FILES_BELOW)
    def test_modes(self, a: Path, name: str) -> None:  # F1-F7
        status = (a / name).stat()
        assert status.st_mode == 0o100000 | (0o644 if name == "misc.max" else 0o444)
        assert (status.st_size, status.st_nlink, status.st_blocks, status.st_blksize) == (0, 1, 0, 4096)
        assert status.st_uid == os.getuid()

    def test_directories(self, root: Path, a: Path, b: Path) -> None:  # F7
        for directory, nr_children in ((root, 1), (a, 1), (b, 0)):
            status = directory.stat()
            assert (status.st_mode, status.st_size) == (0o40755, 0)
            assert status.st_nlink == 2 + nr_children

    def test_texts(self, engine: EnginePager, root: Path, a: Path) -> None:  # O8, O9
        engine.set_capacity(SEV_ES, 50)
        engine.set_capacity(2, 0)
        assert (root / "misc.capacity").read_text() == "sev 100\nsev_es 50\n"
        assert (root / "misc.current").read_text() == "sev 0\nsev_es 0\n"
        assert (a / "misc.max").read_text() == "sev max\nsev_es max\n"
        assert (a / "misc.events").read_text() == "sev.max 0\nsev_es.max 0\n"

    def test_no_capacity_no_lines(self, engine: EnginePager, root: Path, a: Path) -> None:  # O7
        for resource in range(3):
            engine.set_capacity(resource, 0)
        assert (root / "misc.capacity").read_text() == ""
        assert [(a / name).read_text() for name in FILES_BELOW] == [""] * 5

    def test_pieces(self, a: Path) -> None:  # O14, O15
        write(a / "misc.max", b"sev 37\n")
        with (a / "misc.max").open("rb", buffering=0) as file:
            text = (a / "misc.max").read_bytes()
            assert b"".join(iter(lambda: file.read(2), b"")) == text
            assert os.pread(file.fileno(), 3, 4) == b"37\n"
            assert os.pread(file.fileno(), 10, 1000) == b""

    def test_content_is_fixed_at_the_first_read(self, a: Path) -> None:  # O16
        write(a / "misc.max", b"sev 37\n")
        fd = os.open(a / "misc.max", os.O_RDONLY)
        try:
            assert os.read(fd, 3) == b"sev"
            write(a / "misc.max", b"sev 44\n")
            assert os.read(fd, 4) == b" 37\n"
            os.lseek(fd, 0, os.SEEK_SET)
            assert os.read(fd, 7) == b"sev 44\n"
            assert os.lseek(fd, 0, os.SEEK_END) == 0  # O17
            assert map_shared(fd) == "ENODEV"  # O18
        finally:
            os.close(fd)

    def test_a_private_mapping_shows_nothing(self, a: Path) -> None:
        # kernfs refuses it as well; the kernel's FUSE grants it without asking the server.
        program = (
            "import ctypes, os, sys\n"
            "libc = ctypes.CDLL(None)\n"
            "libc.mmap.restype = ctypes.c_void_p\n"
            "fd = os.open(sys.argv[1], os.O_RDONLY)\n"
            f"place = libc.mmap(None, ctypes.c_size_t(4096), {mmap.PROT_READ}, {mmap.MAP_PRIVATE}, fd,"
            " ctypes.c_long(0))\n"
            "print(ctypes.string_at(place, 1))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(a / "misc.max")], capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (-signal.SIGBUS, b"")


class TestWrites:
    """Chapter 3: what reaches the file, byte for byte, and what comes back."""

    @pytest.mark.parametrize(
        ("data", "reads"),
        [
            (b"sev 10\n", "10"),
            (b"\tsev 12\n", "12"),
            (b"sev 010\n", "8"),
            (b"sev 1000000\n", "1000000"),
            (b"sev 18446744073709551615\n", "max"),
            (b"sev 7\0 8\n", "7"),
            (b"sev 9".ljust(4096), "9"),
        ],
    )
    def test_accepted(self, a: Path, data: bytes, reads: str) -> None:  # W1, W5, W13, W16, W18, W27, W28
        assert write(a / "misc.max", data) == len(data)
        assert sev(a / "misc.max") == reads

    def test_empty(self, a: Path) -> None:  # W20
        assert write(a / "misc.max", b"") == 0
        assert sev(a / "misc.max") == "max"

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            (b"sev  11\n", "EINVAL"),
            (b"sev\xa0 5\n", "EINVAL"),
            (b"\0sev 7", "EINVAL"),
            (b"foo 1\n", "EINVAL"),
            (b"sev_es 5\n", "EINVAL"),  # X11: no capacity
            (b"sev 18446744073709551616\n", "ERANGE"),
            (b"sev 99999999999999999999zz\n", "ERANGE"),
            (b"sev 1".ljust(4097), "E2BIG"),
            (b"sev 1".ljust(200_000), "E2BIG"),
        ],
    )
    def test_refused(self, a: Path, data: bytes, error: str) -> None:  # X1, X21, X22, X10, X12, X16, X14
        write(a / "misc.max", b"sev 3\n")
        assert code(lambda: write(a / "misc.max", data)) == error
        assert sev(a / "misc.max") == "3"

    def test_a_shell_writes(self, a: Path) -> None:
        done = subprocess.run(
            ["sh", "-c", f"echo sev 21 > {a}/misc.max && cat {a}/misc.max"], capture_output=True
        )
        assert done.stdout.startswith(b"sev 21\n")
        assert subprocess.run(["sh", "-c", f"echo sev 4k 2>&- > {a}/misc.max"], check=False).returncode != 0
        assert sev(a / "misc.max") == "21"


class TestDescriptor:
    """Chapter 3.3."""

    def test_offsets_and_flags(self, a: Path) -> None:  # D1-D3
        fd = os.open(a / "misc.max", os.O_WRONLY | os.O_TRUNC)
        try:
            assert os.pwrite(fd, b"sev 34\n", 3) == 7
            assert sev(a / "misc.max") == "34"
            for number in (b"35", b"36"):
                os.write(fd, b"sev " + number)
                assert sev(a / "misc.max") == number.decode()
        finally:
            os.close(fd)
        write(a / "misc.max", b"sev 37\n", os.O_APPEND)
        assert sev(a / "misc.max") == "37"

    def test_root_opens_read_only_files_for_writing(self, root: Path, a: Path) -> None:  # D4, D5
        if os.getuid() != 0:
            pytest.skip("only root may open them")
        for path in (a / "misc.current", a / "misc.events", a / "misc.peak", root / "misc.capacity"):
            for flags in (os.O_WRONLY, os.O_RDWR):
                fd = os.open(path, flags)
                assert code(lambda fd=fd: os.write(fd, b"sev 0")) == "EINVAL"  # type: ignore[misc]
                os.close(fd)
        assert code(lambda: os.open(root / "misc.max", os.O_WRONLY)) == "ENOENT"
        assert code(lambda: os.open(a / "misc.capacity", os.O_WRONLY)) == "ENOENT"

    def test_another_user(self, a: Path, tmp_path: Path) -> None:  # D6, D7
        if os.getuid() != 0:
            pytest.skip("needs root to become somebody else")
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(0o755)

        def as_nobody(words: str) -> str:
            program = (
                "import os,errno,sys;"
                f"os.setgroups([]);os.setgid({NOBODY});os.setuid({NOBODY});os.chdir({str(a)!r})\n"
                f"try:\n {words}\n print('ok')\nexcept OSError as e:\n print(errno.errorcode[e.errno])"
            )
            return subprocess.check_output([sys.executable, "-c", program], text=True).strip()

        assert as_nobody("os.open('misc.max', os.O_WRONLY)") == "EACCES"
        assert as_nobody("open('misc.max').read()") == "ok"
        assert as_nobody("os.open('misc.current', os.O_RDWR)") == "EACCES"
        assert as_nobody("os.mkdir('x')") == "EACCES"
        os.chown(a / "misc.max", NOBODY, -1)
        assert as_nobody("os.write(os.open('misc.max', os.O_WRONLY), b'sev 6')") == "ok"
        assert sev(a / "misc.max") == "6"
        assert (a / "misc.max").stat().st_uid == NOBODY

    def test_a_limit_below_the_usage(self, engine: EnginePager, a: Path) -> None:  # D8
        assert engine.charge("/a", 100)
        write(a / "misc.max", b"sev 5\n")
        assert (sev(a / "misc.max"), sev(a / "misc.current")) == ("5", "100")
        assert not engine.charge("/a", 1)

    def test_a_removed_group_under_open_files(self, a: Path) -> None:  # D9, N8
        fds = {name: os.open(a / name, os.O_RDWR) for name in ("misc.max", "misc.current", "misc.events")}
        os.read(fds["misc.events"], 100)
        a.rmdir()
        assert code(lambda: os.write(fds["misc.max"], b"sev 1")) == "ENODEV"
        assert code(lambda: os.read(fds["misc.current"], 10)) == "ENODEV"
        assert code(lambda: os.pread(fds["misc.events"], 10, 0)) == "ENODEV"
        assert mask(fds["misc.events"], PRI | IN) == 0x0B
        # Another group of the same name is another group.
        a.mkdir()
        assert code(lambda: os.write(fds["misc.max"], b"sev 1")) == "ENODEV"
        assert sev(a / "misc.max") == "max"
        for fd in fds.values():
            os.close(fd)


class TestDirectory:
    """Chapter 4 (R12 to R18 are about ``cgroup.subtree_control``, which this tree does not have)."""

    def test_nothing_but_groups_can_be_made(self, a: Path) -> None:  # R1
        assert code(lambda: os.open(a / "file", os.O_CREAT | os.O_WRONLY)) == "EACCES"
        assert code(lambda: os.mkfifo(a / "fifo")) == "EPERM"
        assert code(lambda: (a / "link").symlink_to("misc.max")) == "EPERM"
        assert code(lambda: os.link(a / "misc.max", a / "link")) == "EPERM"

    def test_unlink(self, a: Path) -> None:  # R2
        assert code((a / "misc.max").unlink) == "EPERM"
        with (a / "misc.max").open("rb"):
            assert code((a / "misc.max").unlink) == "EPERM"
        assert sev(a / "misc.max") == "max"

    def test_chmod_is_kept(self, a: Path) -> None:  # R3
        (a / "misc.max").chmod(0o666)
        a.chmod(0o700)
        assert ((a / "misc.max").stat().st_mode, a.stat().st_mode) == (0o100666, 0o40700)
        a.rmdir()
        a.mkdir()
        assert ((a / "misc.max").stat().st_mode, a.stat().st_mode) == (0o100644, 0o40755)

    def test_truncate_and_times(self, a: Path) -> None:  # R4
        write(a / "misc.max", b"sev 5")
        os.truncate(a / "misc.max", 0)
        os.truncate(a / "misc.max", 100)
        os.utime(a / "misc.max")
        assert sev(a / "misc.max") == "5"

    def test_rename(self, root: Path, a: Path) -> None:  # R5
        assert code(lambda: a.rename(root / "c")) == "EPERM"
        assert code(lambda: (a / "misc.max").rename(a / "max")) == "EPERM"

    def test_mkdir(self, root: Path, a: Path) -> None:  # R6, R7
        assert code(a.mkdir) == "EEXIST"
        assert code((root / "x\ny").mkdir) == "EINVAL"
        assert code((a / "misc.max").mkdir) == "EEXIST"
        assert code((root / ("x" * 256)).mkdir) == "ENAMETOOLONG"
        assert code((root / "none" / "x").mkdir) == "ENOENT"

    def test_names_of_other_scripts(self, root: Path) -> None:
        name = b"caf\xc3\xa9 \xff"
        os.mkdir(os.fsencode(root) + b"/" + name)
        assert name in os.listdir(os.fsencode(root))
        assert os.path.exists(os.fsencode(root) + b"/" + name + b"/misc.max")
        os.rmdir(os.fsencode(root) + b"/" + name)

    def test_rmdir(self, root: Path, a: Path, b: Path) -> None:  # R8
        assert code(a.rmdir) == "EBUSY"
        b.rmdir()
        a.rmdir()
        assert code(a.rmdir) == "ENOENT"
        assert not a.exists()

    def test_a_charged_group_goes_and_comes_fresh(self, engine: EnginePager, root: Path, a: Path) -> None:
        # R9, R10, R11
        assert engine.charge("/a", 10)
        write(a / "misc.max", b"sev 10\n")
        assert not engine.charge("/a", 1)
        before = a.stat().st_ino
        a.rmdir()
        assert sev(root / "misc.current") == "10"
        a.mkdir()
        assert a.stat().st_ino != before
        values = {name: (a / name).read_text().split("\n")[0] for name in FILES_BELOW}
        assert values == {
            "misc.current": "sev 0", "misc.peak": "sev 0", "misc.max": "sev max",
            "misc.events": "sev.max 0", "misc.events.local": "sev.max 0",
        }  # fmt: skip

    def test_groups_made_elsewhere_are_seen_at_once(self, engine: EnginePager, root: Path) -> None:
        for _ in range(3):
            with engine.lock:
                engine.epc.mkdir("/x")
            before = (root / "x").stat().st_ino
            assert "x" in os.listdir(root)
            write(root / "x" / "misc.max", b"sev 1")
            with engine.lock:
                engine.epc.rmdir("/x")
                engine.epc.mkdir("/x")
            assert sev(root / "x" / "misc.max") == "max"
            assert (root / "x").stat().st_ino != before
            with engine.lock:
                engine.epc.rmdir("/x")
            assert not (root / "x").exists()
            assert "x" not in os.listdir(root)


class TestNotification:
    """Chapter 6."""

    @pytest.fixture
    def limited(self, engine: EnginePager, b: Path) -> Path:
        """b may hold 5, and holds them: every further charge is a hit."""
        write(b / "misc.max", b"sev 5\n")
        assert engine.charge("/a/b", 5)
        return b

    @pytest.fixture
    def fds(self, limited: Path) -> Iterator[dict[str, int]]:
        paths = [limited / name for name in FILES_BELOW] + [limited.parent / name for name in FILES_BELOW]
        fds = {f"{path.parent.name}/{path.name}": os.open(path, os.O_RDONLY) for path in paths}
        yield fds
        for fd in fds.values():
            os.close(fd)

    def test_masks(self, engine: EnginePager, fds: dict[str, int]) -> None:  # N1-N6
        for fd in fds.values():
            assert mask(fd) == 0x14F
            os.read(fd, 100)
            assert mask(fd) == 0x145
            assert mask(fd, PRI) == 0
        assert not engine.charge("/a/b", 1)
        raised = {name for name, fd in fds.items() if mask(fd, PRI) == PRI | ERR}
        assert raised == {"b/misc.events", "b/misc.events.local", "a/misc.events"}
        assert mask(fds["b/misc.events"]) == 0x14F
        assert mask(fds["b/misc.current"]) == 0x145
        os.lseek(fds["b/misc.events"], 0, os.SEEK_SET)
        assert os.read(fds["b/misc.events"], 100).startswith(b"sev.max 1\n")
        assert os.pread(fds["a/misc.events"], 100, 0).startswith(b"sev.max 1\n")
        assert mask(fds["b/misc.events"], PRI) == mask(fds["a/misc.events"], PRI) == 0

    def test_a_sleeper_wakes(self, engine: EnginePager, fds: dict[str, int]) -> None:  # N2
        for name in ("b/misc.events", "a/misc.events", "b/misc.events.local"):
            fd = fds[name]
            os.read(fd, 100)
            woken: list[int] = []
            sleeper = threading.Thread(target=lambda fd=fd, to=woken: to.append(mask(fd, PRI, 20_000)))
            sleeper.start()
            wait_until_asleep(sleeper)
            assert not engine.charge("/a/b", 1)
            sleeper.join(20)
            assert woken == [PRI | ERR]

    def test_epoll_edge(self, engine: EnginePager, fds: dict[str, int]) -> None:  # N7
        fd = fds["b/misc.events"]
        os.read(fd, 100)
        with select.epoll() as poll:
            poll.register(fd, select.EPOLLPRI | select.EPOLLET)
            assert poll.poll(0) == []
            assert not engine.charge("/a/b", 1)
            assert poll.poll(20) == [(fd, PRI | ERR)]
            assert poll.poll(0.05) == []

    def test_a_burst_is_not_lost(self, engine: EnginePager, fds: dict[str, int]) -> None:  # N11, N12
        fd = fds["b/misc.events"]
        os.read(fd, 100)
        for _ in range(10):
            assert not engine.charge("/a/b", 1)
        nr_wakes = 0
        while mask(fd, PRI, 100):
            nr_wakes += 1
            text = os.pread(fd, 100, 0)
        assert text.startswith(b"sev.max 10\n")
        assert 1 <= nr_wakes <= 10

    def test_inotify(self, engine: EnginePager, root: Path, limited: Path) -> None:  # N9, N10, N13
        a = limited.parent
        with Inotify() as inotify:
            silent = [a / "misc.current", a / "misc.peak", a / "misc.events.local", limited / "misc.max",
                      root / "misc.current"]  # fmt: skip
            loud = [limited / "misc.events", limited / "misc.events.local", a / "misc.events"]
            for path in silent + loud:
                inotify.watch(path)
            (limited / "misc.max").read_text()
            assert not engine.charge("/a/b", 1)
            assert inotify.modified(len(loud)) == set(loud)
            write(limited / "misc.max", b"sev 6\n")
            assert inotify.modified(1) == {limited / "misc.max"}
        assert not engine.charge("/a/b", 2)
        # What the announcer writes into the file to raise the mark never becomes a command.
        assert (limited / "misc.events").read_text().startswith("sev.max 2\n")


class TestOurFiles:
    """epc.*: ours, served beside the kernel's."""

    def test_pager_files(self, root: Path, a: Path) -> None:
        assert (root / "epc.reclaimed_by").read_text() == "/greedy pod 32\n"
        assert (a / "epc.procs").read_text() == ""

    def test_zero_is_the_writer(self, a: Path) -> None:
        program = f"import os; open({str(a / 'epc.procs')!r}, 'w').write('0'); print(os.getpid())"
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        assert (a / "epc.procs").read_text() == done.stdout

    def test_epc_events_announce(self, tmp_path: Path) -> None:
        if reason := mountable():
            pytest.skip(reason)
        with EnginePager(tmp_path, "fair") as engine, Mount(engine.socket, tmp_path / "mnt") as mount:
            b = mount.mountpoint / "a" / "b"
            b.parent.mkdir()
            b.mkdir()
            with engine.lock:
                group = engine.epc.lookup("/a/b")
                _, enclave = engine.epc.enclave_create(group, 4)
                engine.epc.enclave_init(enclave)
            write(b / "misc.max", b"sgx_epc 0\n")
            fd = os.open(b.parent / "epc.events", os.O_RDONLY)
            before = os.read(fd, 200)
            assert mask(fd, PRI) == 0
            with engine.lock:
                assert engine.epc.fault(enclave, 0, group).name == "REFUSED"
            assert mask(fd, PRI, 20_000) == PRI | ERR
            assert os.pread(fd, 200, 0) != before
            os.close(fd)


class TestLife:
    def test_it_ends_while_files_are_open(self, engine: EnginePager, tmp_path: Path) -> None:
        with Mount(engine.socket, tmp_path / "mnt") as mount:
            fd = os.open(mount.mountpoint / "misc.current", os.O_RDONLY)
            mount.close()
            assert str(mount.mountpoint) not in Path("/proc/mounts").read_text()
            assert code(lambda: os.read(fd, 10)) in ("ENOTCONN", "ECONNABORTED")
            # close(2) closes the descriptor whatever it answers.
            assert code(lambda: os.close(fd)) in ("ok", "ENOTCONN")

    def test_a_killed_server_leaves_no_mount(self, engine: EnginePager, tmp_path: Path) -> None:
        with Mount(engine.socket, tmp_path / "mnt") as mount:
            os.kill(mount.pid, 9)
        assert str(mount.mountpoint) not in Path("/proc/mounts").read_text()
        with Mount(engine.socket, tmp_path / "mnt") as mount:
            assert sev(mount.mountpoint / "misc.capacity") == "100"

    def test_it_ends_with_its_pager(self, engine: EnginePager, tmp_path: Path) -> None:
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as pager:
            engine.pid = pager.pid
            with Mount(engine.socket, tmp_path / "mnt") as mount:
                assert (mount.mountpoint / "misc.capacity").exists()
                pager.kill()
                pager.wait()
                with select.epoll() as poll:
                    server = os.pidfd_open(mount.pid)
                    poll.register(server, select.EPOLLIN)
                    assert poll.poll(20)
                    os.close(server)
                assert not (mount.mountpoint / "misc.capacity").exists()

    def test_no_pager(self, tmp_path: Path) -> None:
        done = run_server(tmp_path / "none.sock", tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("cgroupfs: no pager answers")

    def test_no_mount_point(self, engine: EnginePager, tmp_path: Path) -> None:
        done = run_server(engine.socket, tmp_path / "none")
        assert done.returncode == 1
        assert "mount point" in done.stderr


class Inotify:
    """Watches single files for IN_MODIFY."""

    IN_MODIFY = 2

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._paths: dict[int, Path] = {}

    def watch(self, path: Path) -> None:
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), self.IN_MODIFY)
        assert number >= 0, os.strerror(ctypes.get_errno())
        self._paths[number] = path

    def modified(self, nr_expected: int) -> set[Path]:
        """Wait until so many files were modified, then a little longer for those that should not be."""
        found: set[Path] = set()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            enough = len(found) >= nr_expected
            if not select.select([self._fd], [], [], 0.1 if enough else 1)[0]:
                if enough:
                    break
                continue
            data = os.read(self._fd, 65536)
            while data:
                number, bits, _, length = struct.unpack_from("iIII", data)
                assert bits == self.IN_MODIFY
                found.add(self._paths[number])
                data = data[16 + length :]
        return found

    def __enter__(self) -> "Inotify":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def wait_until_asleep(thread: threading.Thread) -> None:
    """Wait until the kernel says that a thread sleeps in poll."""
    deadline = time.monotonic() + 20
    assert thread.native_id is not None
    status = Path(f"/proc/self/task/{thread.native_id}/syscall")
    while time.monotonic() < deadline:
        call = status.read_text().split()[0]
        if call in ("7", "271"):  # poll, ppoll
            return
    raise AssertionError("the thread never slept in poll")


def run_server(socket: Path, mountpoint: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "epcgroup.cgroupfs", "--socket", str(socket), str(mountpoint)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
