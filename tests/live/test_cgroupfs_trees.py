"""Every tree keeps the same contract: the pager's, and the same one seen through its mount."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import check_output

import pytest
from engine_pager import SEV, EnginePager
from test_cgroupfs_files import mountable

from epcgroup.cgroupfs.directory import DirectoryTree
from epcgroup.cgroupfs.mount import Mount
from epcgroup.cgroupfs.pagertree import PagerTree
from epcgroup.cgroupfs.served import GONE, ServedTree
from epcgroup.cgroupfs.shared import SharedState
from epcgroup.cgroupfs.texts import parse_flat_keyed, parse_misc
from epcgroup.cgroupfs.tree import Tree, if_there
from epcgroup.errors import (
    GroupBusyError,
    GroupExistsError,
    InvalidLimitError,
    InvalidPathError,
    LimitRangeError,
    NoSuchFileError,
    NoSuchGroupError,
    PagerDiedError,
    TooLongError,
    UsageError,
)
from epcgroup.units import LIMIT_MAX

pytestmark = pytest.mark.live


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EnginePager]:
    with EnginePager(tmp_path, "fair") as engine:
        yield engine


@pytest.fixture
def pager_tree(engine: EnginePager) -> Iterator[PagerTree]:
    with PagerTree(engine.socket) as tree:
        yield tree


@pytest.fixture(params=["pager", "mount"])
def tree(request: pytest.FixtureRequest, engine: EnginePager, tmp_path: Path) -> Iterator[Tree]:
    if request.param == "pager":
        with PagerTree(engine.socket) as tree:
            yield tree
        return
    if reason := mountable():
        pytest.skip(reason)
    with Mount(engine.socket, tmp_path / "mnt") as mount, DirectoryTree(mount.mountpoint) as directory:
        yield directory


class TestContract:
    def test_groups(self, tree: Tree) -> None:
        for path in ("/a", "/a/x", "/a/y", "/b c"):
            tree.mkdir(path)
        assert tree.paths() == ["/", "/a", "/a/x", "/a/y", "/b c"]
        tree.rmdir("/a/x")
        assert tree.paths() == ["/", "/a", "/a/y", "/b c"]

    def test_limits(self, tree: Tree) -> None:
        tree.mkdir("/a")
        assert parse_misc(tree.read("/a", "misc.max")) == {"sgx_epc": LIMIT_MAX}
        assert tree.write("/a", "misc.max", "sgx_epc 0x2000\n") == 15
        assert tree.read("/a", "misc.max") == "sgx_epc 8192\n"
        assert parse_misc(tree.read("/", "misc.capacity")) == {"sgx_epc": 256 * 4096}

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("sgx_epc 4K\n", InvalidLimitError),
            ("", None),
            ("sgx_epc 18446744073709551616", LimitRangeError),
            ("sgx_epc 1".ljust(4097), TooLongError),
        ],
    )
    def test_refused_texts(self, tree: Tree, text: str, error: type[UsageError] | None) -> None:
        tree.mkdir("/a")
        if error is not None:
            with pytest.raises(error):
                tree.write("/a", "misc.max", text)
        assert tree.read("/a", "misc.max") == "sgx_epc max\n"

    def test_absence(self, tree: Tree) -> None:
        tree.mkdir("/a")
        with pytest.raises(NoSuchGroupError):
            tree.read("/x", "misc.max")
        with pytest.raises(NoSuchGroupError):
            tree.mkdir("/x/y")
        with pytest.raises(NoSuchGroupError):
            tree.rmdir("/x")
        with pytest.raises(NoSuchFileError):
            tree.read("/", "misc.max")
        with pytest.raises(NoSuchFileError):
            tree.write("/a", "misc.nothing", "1")
        assert if_there(lambda: tree.read("/x", "misc.max")) is None

    def test_conflicts(self, tree: Tree) -> None:
        tree.mkdir("/a")
        tree.mkdir("/a/b")
        with pytest.raises(GroupExistsError):
            tree.mkdir("/a")
        with pytest.raises(GroupExistsError):
            tree.mkdir("/a/misc.max")
        with pytest.raises(GroupBusyError):
            tree.rmdir("/a")
        with pytest.raises(GroupBusyError):
            tree.rmdir("/")

    @pytest.mark.parametrize("path", ["a", "/..", "/a/", "//a", "/x\ny", "/" + "x" * 256])
    def test_paths_that_are_none(self, tree: Tree, path: str) -> None:
        for ask in (tree.mkdir, tree.rmdir, lambda p: tree.write(p, "misc.max", "")):
            with pytest.raises(InvalidPathError):
                ask(path)

    def test_files_without_a_handler(self, tree: Tree) -> None:
        tree.mkdir("/a")
        with pytest.raises(UsageError):
            tree.write("/a", "misc.current", "1")
        with pytest.raises(UsageError):
            tree.read("/a", "epc.reclaim")

    def test_our_files(self, tree: Tree) -> None:
        tree.mkdir("/a")
        assert parse_flat_keyed(tree.read("/a", "epc.stat"))["resident"] == 0
        assert parse_flat_keyed(tree.read("/a", "epc.reclaimed_by")) == {"/greedy pod": 32}
        assert tree.read("/", "epc.procs") == ""


class TestPagerTree:
    def test_both_say_the_same(self, pager_tree: PagerTree, engine: EnginePager) -> None:
        pager_tree.mkdir("/a")
        engine.set_capacity(SEV, 10)
        assert engine.charge("/a", 7)
        for path in pager_tree.paths():
            for file, mode in pager_tree.files(path).items():
                if mode & 0o444 and file != "epc.reclaimed_by":
                    assert pager_tree.read(path, file) == engine.epc.read(path, file)

    def test_identities_are_never_used_twice(self, pager_tree: PagerTree) -> None:
        seen = {pager_tree.identity("/")}
        for _ in range(5):
            pager_tree.mkdir("/a")
            assert pager_tree.identity("/a") not in seen
            seen.add(pager_tree.identity("/a"))
            pager_tree.rmdir("/a")
        with pytest.raises(NoSuchGroupError):
            pager_tree.identity("/a")

    def test_changes(self, pager_tree: PagerTree, engine: EnginePager) -> None:
        engine.set_capacity(SEV, 10)
        for path in ("/a", "/a/b"):
            pager_tree.mkdir(path)
        identity = pager_tree.identity("/a")
        assert pager_tree.changed_files() == []
        before = pager_tree.event_count("/a", identity, "misc.events")
        assert not engine.charge("/a/b", 11)
        expected = {("/a", "misc.events"), ("/a/b", "misc.events"), ("/a/b", "misc.events.local")}
        assert set(pager_tree.changed_files()) == expected
        assert pager_tree.changed_files() == []
        assert pager_tree.event_count("/a", identity, "misc.events") != before
        assert pager_tree.event_count("/a", identity, "misc.max") == 0
        assert pager_tree.event_count("/a", identity + 100, "misc.events") == GONE
        assert pager_tree.event_count("/x", identity, "misc.events") == GONE

    def test_a_new_group_with_events_has_changed(self, pager_tree: PagerTree, engine: EnginePager) -> None:
        engine.set_capacity(SEV, 10)
        pager_tree.mkdir("/a")
        assert not engine.charge("/a", 11)
        assert ("/a", "misc.events") in pager_tree.changed_files()

    def test_a_reader_never_sees_half_a_tree(self, pager_tree: PagerTree, engine: EnginePager) -> None:
        stop = threading.Event()

        def change() -> None:
            while not stop.is_set():
                for path in ("/a", "/a/b", "/a/b/c"):
                    engine.epc.mkdir(path)
                for path in ("/a/b/c", "/a/b", "/a"):
                    engine.epc.rmdir(path)

        changer = threading.Thread(target=change)
        changer.start()
        whole = ["/", "/a", "/a/b", "/a/b/c"]
        try:
            seen = {tuple(pager_tree.paths()) for _ in range(2000)}
        finally:
            stop.set()
            changer.join()
        assert seen <= {tuple(whole[:count]) for count in range(1, 5)}

    def test_no_pager(self, tmp_path: Path) -> None:
        with pytest.raises(PagerDiedError):
            PagerTree(tmp_path / "none")

    def test_it_is_served_until_the_pager_ends(self, pager_tree: PagerTree) -> None:
        assert pager_tree.is_served()
        pager_tree.close()
        pager_tree.close()
        assert not pager_tree.is_served()

    @pytest.mark.parametrize("content", [b"", b"x", bytes(10_000)])
    def test_a_state_that_is_none(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(UsageError):
            SharedState(tmp_path / "file")

    def test_a_state_that_is_cut_short(self, engine: EnginePager, tmp_path: Path) -> None:
        (tmp_path / "short").write_bytes(engine.state.read_bytes()[:-4096])
        with pytest.raises(UsageError, match="cut short"):
            SharedState(tmp_path / "short")


def test_a_reader_is_light() -> None:
    heavy = {"numba", "llvmlite", "cryptography"}
    program = f"import sys, epcgroup.cgroupfs.__main__; print({heavy} & {{*sys.modules}})"
    assert check_output([sys.executable, "-c", program], text=True) == "set()\n"


def served(tree: PagerTree) -> ServedTree:
    """Only to be checked by mypy: the class fulfils the protocol."""
    return tree
