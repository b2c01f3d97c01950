"""Open files with their waiters, and what stat says."""

import os
import subprocess
import sys

import pytest

from epcgroup.cgroupfs.handles import Handle, HandleTable
from epcgroup.cgroupfs.nodes import Nodes


class TestHandles:
    def test_numbers_are_never_used_twice(self) -> None:
        dropped: list[int] = []
        table = HandleTable(dropped.append)
        first = table.add(Handle("/", "misc.current", 1))
        table.remove(first)
        assert table.add(Handle("/", "misc.current", 1)) != first
        assert len(table) == 1

    def test_waiters_are_taken_when_the_count_moves(self) -> None:
        dropped: list[int] = []
        table = HandleTable(dropped.append)
        counts = {"/a": 3, "/b": 3}
        handles = {path: Handle(path, "misc.events", 1) for path in counts}
        numbers = {path: table.add(handle) for path, handle in handles.items()}
        table.wait(handles["/a"], 10, 3)
        table.wait(handles["/b"], 20, 3)
        assert table.take_waiters(lambda handle: counts[handle.path]) == []
        counts["/a"] = 4
        assert table.take_waiters(lambda handle: counts[handle.path]) == [10]
        assert table.take_waiters(lambda handle: counts[handle.path]) == []
        assert dropped == []
        table.remove(numbers["/a"])
        assert dropped == []
        table.remove(numbers["/b"])
        assert dropped == [20]

    def test_a_newer_waiter_replaces_the_older(self) -> None:
        dropped: list[int] = []
        table = HandleTable(dropped.append)
        handle = Handle("/a", "misc.events", 1)
        table.add(handle)
        table.wait(handle, 10, 3)
        table.wait(handle, 11, 4)
        assert dropped == [10]
        assert table.take_waiters(lambda _: 4) == []
        assert table.take_waiters(lambda _: 5) == [11]


class TestNodes:
    def test_what_changes_stays_until_the_group_goes(self) -> None:
        nodes = Nodes()
        nodes.change(5, "misc.max", 0o644, to_mode=0o100600)
        nodes.change(5, "misc.max", 0o644, to_uid=7)
        status = nodes.file(5, "misc.max", 0o644)
        assert (status["st_mode"], status["st_uid"], status["st_gid"]) == (0o100600, 7, os.getgid())
        assert nodes.file(6, "misc.max", 0o644)["st_mode"] == 0o100644
        nodes.forget(5)
        assert nodes.file(5, "misc.max", 0o644)["st_mode"] == 0o100644

    def test_inode_numbers(self) -> None:
        nodes = Nodes()
        numbers = {
            nodes.file(group, f"file{index}", 0o444)["st_ino"]
            for group in range(1, 20)
            for index in range(20)
        }
        numbers |= {nodes.directory(group, 0)["st_ino"] for group in range(1, 20)}
        assert len(numbers) == 19 * 21
        assert min(numbers) > 1


def test_a_host_without_libfuse_says_how_to_get_it() -> None:
    program = (
        "from epcgroup.cgroupfs import libfuse\nfrom epcgroup.errors import NotSupportedError\n"
        "try:\n libfuse.check()\nexcept NotSupportedError as error:\n print(error)"
    )
    environment = {**os.environ, "FUSE_LIBRARY_NAME": "no-such-library"}
    said = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert "libfuse3" in said
    assert "apt-get install fuse3" in said


@pytest.mark.parametrize("words", [["--help"], []])
def test_the_command_line(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "epcgroup.cgroupfs", *words], check=False, capture_output=True, text=True
    )
    assert done.returncode == (0 if words else 2)
    assert "usage: python -m epcgroup.cgroupfs" in done.stdout + done.stderr
