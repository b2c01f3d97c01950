"""A tree below a directory: real directories, and a real cgroup2 tree where one can be written."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epcgroup.cgroupfs.directory import DirectoryTree
from epcgroup.cgroupfs.tree import Tree, if_there
from epcgroup.errors import (
    GroupBusyError,
    GroupExistsError,
    GroupGoneError,
    InvalidLimitError,
    InvalidPathError,
    NoSuchFileError,
    NoSuchGroupError,
    UsageError,
)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[DirectoryTree]:
    root = tmp_path / "root"
    root.mkdir()
    with DirectoryTree(root) as tree:
        yield tree


def test_groups_come_and_go(tree: DirectoryTree) -> None:
    for path in ("/b", "/a", "/a/x", "/a-"):
        tree.mkdir(path)
    assert tree.paths() == ["/", "/a", "/a/x", "/a-", "/b"]
    tree.rmdir("/a/x")
    assert tree.paths() == ["/", "/a", "/a-", "/b"]


def test_files(tree: DirectoryTree) -> None:
    tree.mkdir("/a")
    (tree.root / "a" / "misc.max").write_text("")
    assert tree.write("/a", "misc.max", "sgx_epc 4096\n") == 13
    assert tree.read("/a", "misc.max") == "sgx_epc 4096\n"
    assert if_there(lambda: tree.read("/a", "misc.max")) == "sgx_epc 4096\n"


def test_a_long_file_is_read_whole(tree: DirectoryTree) -> None:
    text = "".join(f"/group/{number} {number}\n" for number in range(20_000))
    (tree.root / "epc.reclaimed_by").write_text(text)
    assert tree.read("/", "epc.reclaimed_by") == text


def test_bytes_that_are_no_utf8_survive(tree: DirectoryTree) -> None:
    (tree.root / "epc.stat").write_bytes(b"\xff 1\n")
    text = tree.read("/", "epc.stat")
    tree.write("/", "epc.stat", text)
    assert (tree.root / "epc.stat").read_bytes() == b"\xff 1\n"


def test_what_is_not_there(tree: DirectoryTree) -> None:
    tree.mkdir("/a")
    for ask in (lambda: tree.read("/x", "misc.max"), lambda: tree.rmdir("/x"), lambda: tree.mkdir("/x/y")):
        with pytest.raises(NoSuchGroupError):
            ask()
    with pytest.raises(NoSuchFileError, match=r"/a/misc\.max"):
        tree.read("/a", "misc.max")
    with pytest.raises(GroupExistsError):
        tree.mkdir("/a")
    assert if_there(lambda: tree.read("/x", "misc.max")) is None
    assert if_there(lambda: tree.read("/a", "misc.max")) is None


def test_busy_groups_stay(tree: DirectoryTree) -> None:
    tree.mkdir("/a")
    tree.mkdir("/a/b")
    with pytest.raises(GroupBusyError):
        tree.rmdir("/a")
    with pytest.raises(GroupBusyError):
        tree.rmdir("/")
    assert tree.paths() == ["/", "/a", "/a/b"]


@pytest.mark.parametrize(
    "path",
    ["", "a", "../outside", "/..", "/a/../../outside", "/.", "//", "/a/", "/a\0b", "/a\nb", "/" + "x" * 256],
)
def test_paths_that_are_none(tree: DirectoryTree, path: str) -> None:
    (tree.root.parent / "outside").mkdir(exist_ok=True)
    for operation in (tree.mkdir, tree.rmdir, lambda p: tree.read(p, "f"), lambda p: tree.write(p, "f", "")):
        with pytest.raises(InvalidPathError):
            operation(path)
    assert (tree.root.parent / "outside").is_dir()


@pytest.mark.parametrize("file", ["", ".", "..", "../outside", "a/b", "a\0", "a\n"])
def test_file_names_that_are_none(tree: DirectoryTree, file: str) -> None:
    with pytest.raises(InvalidPathError):
        tree.read("/", file)


def test_links_do_not_lead_out(tree: DirectoryTree) -> None:
    outside = tree.root.parent / "outside"
    outside.mkdir()
    (outside / "misc.max").write_text("secret")
    (tree.root / "link").symlink_to(outside)
    (tree.root / "misc.max").symlink_to(outside / "misc.max")
    for ask in (
        lambda: tree.read("/link", "misc.max"),
        lambda: tree.read("/", "misc.max"),
        lambda: tree.write("/", "misc.max", "changed"),
        lambda: tree.mkdir("/link/x"),
    ):
        with pytest.raises(UsageError):
            ask()
    assert (outside / "misc.max").read_text() == "secret"
    assert not (outside / "x").exists()
    assert tree.paths() == ["/"]


def test_the_root_may_be_moved(tree: DirectoryTree) -> None:
    tree.mkdir("/a")
    tree.root.rename(tree.root.parent / "moved")
    assert tree.paths() == ["/", "/a"]


def test_no_descriptor_is_lost(tree: DirectoryTree) -> None:
    tree.mkdir("/a")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        tree.paths()
        if_there(lambda: tree.read("/a", "misc.max"))
        if_there(lambda: tree.read("/a/b/c", "misc.max"))
        with pytest.raises(InvalidPathError):
            tree.read("/a", "..")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoSuchGroupError):
        DirectoryTree(tmp_path / "none")


@pytest.mark.parametrize(
    ("controllers", "handed_down", "written"),
    [("cpu misc\n", "cpu\n", "+misc"), ("cpu misc\n", "misc\n", "misc\n"), ("cpu\n", "cpu\n", "cpu\n")],
)
def test_children_of_a_kernel_group_get_the_controller(
    tree: DirectoryTree, controllers: str, handed_down: str, written: str
) -> None:
    (tree.root / "cgroup.controllers").write_text(controllers)
    control = tree.root / "cgroup.subtree_control"
    control.write_text(handed_down)
    tree.mkdir("/a")
    # An ordinary file keeps what was written over its beginning.
    assert control.read_text().startswith(written)


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    tree = DirectoryTree(tmp_path)
    root = tree._root
    tree.close()
    os.dup2(other := os.open(tmp_path, os.O_RDONLY), root)  # the number is somebody else's now
    tree.close()
    assert os.path.samestat(os.fstat(root), tmp_path.stat())
    for descriptor in {root, other}:
        os.close(descriptor)


def as_tree(tree: DirectoryTree) -> Tree:
    """Only to be checked by mypy: the class fulfils the protocol."""
    return tree


def _cgroup2() -> Path | None:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(where, os.W_OK):
            return Path(where)
    return None


@pytest.fixture
def kernel_tree() -> Iterator[DirectoryTree]:
    mount = _cgroup2()
    if mount is None:
        pytest.skip("no writable cgroup2 mount")
    name = f"epcgroup-test-{os.getpid()}"
    with DirectoryTree(mount) as tree:
        try:
            tree.mkdir(f"/{name}")
        except (PermissionError, UsageError) as refusal:
            pytest.skip(f"cgroup2 is not ours to write: {refusal}")
        try:
            with DirectoryTree(mount / name) as below:
                yield below
        finally:
            tree.rmdir(f"/{name}")


@pytest.mark.live
class TestKernel:
    def test_groups_are_the_kernels(self, kernel_tree: DirectoryTree) -> None:
        kernel_tree.mkdir("/a")
        kernel_tree.mkdir("/a/b")
        assert kernel_tree.paths() == ["/", "/a", "/a/b"]
        assert kernel_tree.read("/a/b", "cgroup.procs") == ""
        with pytest.raises(GroupBusyError):
            kernel_tree.rmdir("/a")
        kernel_tree.rmdir("/a/b")
        kernel_tree.rmdir("/a")

    def test_a_refused_write_changes_nothing(self, kernel_tree: DirectoryTree) -> None:
        before = kernel_tree.read("/", "cgroup.max.depth")
        with pytest.raises(InvalidLimitError):
            kernel_tree.write("/", "cgroup.max.depth", "many\n")
        assert kernel_tree.read("/", "cgroup.max.depth") == before
        assert kernel_tree.write("/", "cgroup.max.depth", "7\n") == 2
        assert kernel_tree.read("/", "cgroup.max.depth") == "7\n"

    def test_a_group_that_goes_under_an_open_file(self, kernel_tree: DirectoryTree) -> None:
        kernel_tree.mkdir("/gone")
        with kernel_tree._file("/gone", "cgroup.procs", os.O_RDONLY):
            kernel_tree.rmdir("/gone")
            assert if_there(lambda: kernel_tree.read("/gone", "cgroup.procs")) is None
        kernel_tree.mkdir("/gone")
        with pytest.raises(GroupGoneError):
            _read_while_removed(kernel_tree, "/gone")


def _read_while_removed(tree: DirectoryTree, path: str) -> bytes:
    with tree._file(path, "cgroup.procs", os.O_RDONLY) as fd:
        tree.rmdir(path)
        return os.read(fd, 10)
