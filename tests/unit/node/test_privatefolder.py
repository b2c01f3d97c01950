"""The private folder of a run: what a killed run has left goes with a later one, and nothing else does."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from epcgroup.node.privatefolder import private_folder

RUN = """
from epcgroup.node.privatefolder import private_folder
with private_folder() as folder:
    (folder / "pods").mkdir()
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The place for temporary files, empty; its path is short enough for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(name)


def _start() -> "tuple[subprocess.Popen[str], Path]":
    process = subprocess.Popen(
        [sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def _age(folder: Path) -> None:
    os.utime(folder, (0, 0), follow_symlinks=False)


def test_it_is_private_and_gone_afterwards(place: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == place
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(place.iterdir()) == []


def test_a_long_place_is_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with private_folder() as folder:
        assert folder.parent == Path("/tmp")


def test_what_a_killed_run_left_goes_and_a_living_one_keeps_its_own(place: Path) -> None:
    (killed, left), (living, kept) = _start(), _start()
    try:
        killed.kill()
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        with private_folder():
            assert left.exists()  # too young: its run may just be starting
            for folder in (left, kept):
                _age(folder)
        with private_folder():
            assert not left.exists()
            assert (kept / "pods").is_dir()
    finally:
        living.communicate("\n")
    assert living.returncode == 0
    assert list(place.iterdir()) == []


def test_nothing_else_is_touched(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (place / "epcg.link").symlink_to(target)
    (place / "epcg.file").touch()
    (place / "epcg-run-abc").mkdir()
    for path in (target, *place.iterdir()):
        _age(path)
    with private_folder():
        pass
    assert sorted(path.name for path in place.iterdir()) == ["epcg-run-abc", "epcg.file", "epcg.link"]
    assert target.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_the_folder_of_another_user_stays(place: Path) -> None:
    theirs = place / "epcg.theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    _age(theirs)
    with private_folder():
        assert theirs.is_dir()
