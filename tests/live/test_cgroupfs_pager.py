"""The mounted tree of a real pager, with a real program in a group: figures, limits, notifications."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_cgroupfs_files import mountable

from epcgroup.cgroupfs.mount import Mount
from epcgroup.cgroupfs.pagertree import PagerTree
from epcgroup.cgroupfs.texts import parse_flat_keyed, parse_misc

pytestmark = pytest.mark.live

MIB = 1 << 20
#: Joins the group of a directory, fills and checks 4 MiB of enclave memory, says so, waits for end of input.
PROGRAM = """
import sys
open(sys.argv[2] + "/epc.procs", "w").write("0")
from epcgroup.client import Enclave
with Enclave("4Mi", socket=sys.argv[1]) as enclave:
    for start in range(0, len(enclave.memory), 4096):
        enclave.memory[start : start + 8] = start.to_bytes(8, "little")
    for start in range(0, len(enclave.memory), 4096):
        assert bytes(enclave.memory[start : start + 8]) == start.to_bytes(8, "little"), start
    print("filled", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def pager(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Socket and process id of a pager with 16 MiB of EPC."""
    if reason := mountable():
        pytest.skip(reason)
    socket = tmp_path / "pager.sock"
    words = [sys.executable, "-m", "epcgroup.pager", "--socket", str(socket), "--epc", "16Mi",
             "--log", str(tmp_path / "pager.log")]  # fmt: skip
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline() or b"{}")
            if "pid" not in ready:
                pytest.skip("the pager does not run on this host")
            yield socket, process.pid
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


@pytest.fixture
def root(pager: tuple[Path, int], tmp_path: Path) -> Iterator[Path]:
    with Mount(pager[0], tmp_path / "mnt") as mount:
        yield mount.mountpoint


def program(socket: Path, group: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(socket), str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def epc(path: Path) -> int:
    return parse_misc(path.read_text())["sgx_epc"]


def test_a_limited_program(pager: tuple[Path, int], root: Path) -> None:
    group = root / "pods" / "small"
    group.parent.mkdir()
    group.mkdir()
    (group / "misc.max").write_text(f"sgx_epc {MIB}\n")
    with program(pager[0], group) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"filled\n"
        assert (group / "epc.procs").read_text() == f"{process.pid}\n"
        with pytest.raises(OSError, match="busy"):
            group.rmdir()
        assert 0 < epc(group / "misc.current") <= MIB
        assert epc(group / "misc.peak") <= MIB
        stat = parse_flat_keyed((group / "epc.stat").read_text())
        assert stat["created"] == 4 * MIB // 4096
        assert stat["loaded"] >= 3 * MIB // 4096
        by = parse_flat_keyed((group / "epc.reclaimed_by").read_text())
        assert by.keys() == {"/pods/small"}
        assert (root / "pods" / "misc.current").read_text() == (group / "misc.current").read_text()
        process.stdin.close()
        assert process.wait(20) == 0
    with PagerTree(pager[0]) as tree:
        wait_for_empty(tree, "/pods/small")
    group.rmdir()


def wait_for_empty(tree: PagerTree, path: str) -> None:
    """Wait until the pager has seen the end of the program."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if parse_misc(tree.read(path, "misc.current"))["sgx_epc"] == 0 and tree.read(path, "epc.procs") == "":
            return
    raise AssertionError(f"{path} still holds {tree.read(path, 'misc.current')}")


@pytest.mark.parametrize(
    ("limit_pages", "file", "key", "code"),
    [(0, "epc.events", "max", 1), (5, "misc.events", "sgx_epc.max", 0)],
)
def test_a_refusal_wakes_a_watcher(
    pager: tuple[Path, int], root: Path, limit_pages: int, file: str, key: str, code: int
) -> None:
    """Limit 0: the enclave is not admitted. Limit 5: it just is (SECS, 3 VA pages, a page), and is served."""
    group = root / "tight"
    group.mkdir()
    (group / "misc.max").write_text(f"sgx_epc {limit_pages * 4096}\n")
    fd = os.open(group / file, os.O_RDONLY)
    os.read(fd, 100)
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    assert poll.poll(0) == []
    with program(pager[0], group) as process:
        assert poll.poll(30_000) == [(fd, select.POLLPRI | select.POLLERR)]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == code
    assert parse_flat_keyed(os.pread(fd, 100, 0).decode())[key] > 0
    os.close(fd)


def test_readers_do_not_wait_for_the_pager(pager: tuple[Path, int], root: Path) -> None:
    (root / "a").mkdir()
    os.kill(pager[1], signal.SIGSTOP)
    assert epc(root / "misc.capacity") == 16 * MIB
    assert epc(root / "a" / "misc.current") == 0
    assert sorted(name for name in os.listdir(root) if not name.startswith(("misc.", "epc."))) == ["a"]
