"""Reading groups and reports, from a tree of plain directories."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from epcgroup.abi.histogram import Histogram
from epcgroup.cgroupfs.directory import DirectoryTree
from epcgroup.client.report import Report
from epcgroup.observe.sample import Kill, Recording, Target
from epcgroup.observe.sampler import ReportFile, Sampler, read_group, read_kills
from epcgroup.units import LIMIT_MAX

FILES = {
    "epc.current": "8192\n",
    "epc.peak": "12288\n",
    "epc.stat": "resident 4096\nevicted 0\nfaults 7\ncreated 2\nloaded 3\nreclaimed 4\n",
    "epc.reclaimed_by": "/kubepods/a b 9\n/ 1\n",
    "misc.max": "sgx_epc 65536\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "kubepods" / "kv"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_text(content)
    return tmp_path


def test_a_group_of_ours(root: Path) -> None:
    group = read_group(DirectoryTree(root), "/kubepods/kv")
    assert group is not None
    assert (group.limit_bytes, group.current_bytes, group.peak_bytes) == (65536, 8192, 12288)
    assert (group.faults, group.granted, group.evictions) == (7, 5, 4)
    assert group.reclaimed_by == {"/kubepods/a b": 9, "/": 1}


def test_a_kernels_group_has_no_files_of_ours(root: Path) -> None:
    folder = root / "kubepods" / "kv"
    for name in FILES:
        (folder / name).unlink()
    for name, content in (("max", "max"), ("current", "8192"), ("peak", "8192")):
        (folder / f"misc.{name}").write_text(f"sgx_epc {content}\n")
    group = read_group(DirectoryTree(root), "/kubepods/kv")
    assert group is not None
    assert (group.limit_bytes, group.current_bytes, group.faults) == (LIMIT_MAX, 8192, 0)


def test_a_group_that_is_not_there(root: Path) -> None:
    tree = DirectoryTree(root)
    assert read_group(tree, "/kubepods/gone") is None
    recording = Recording((Target("kv", 1, "/kubepods/kv", {"/kubepods/kv/main": root / "r"}),), 0)
    sample = Sampler(tree, recording).look(5, {"kv": "Running"})
    assert set(sample.groups) == {"/kubepods/kv"}
    assert recording.samples == [sample]


def test_reports_are_read_as_they_grow_and_half_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "report"
    file = ReportFile(path)
    assert file.read() == []
    line = Report(5, 3).to_json()
    path.write_text(line + "\n" + line[:20])
    assert [report.operations for report in file.read()] == [3]
    assert file.read() == []
    with path.open("a") as grown:
        grown.write(line[20:] + "\n")
    assert [report.t_ns for report in file.read()] == [5]
    assert file.nr_bad_lines == 0


BEYOND_COUNTING = Report(1).to_json().replace('"errors":0', '"errors":1e400')


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "1",
        "[" * 100_000,
        BEYOND_COUNTING,
        '{"t_ns": 1}',
        "\xff",
        '{"t_ns":' + " " * (1 << 20) + "1}",
    ],
)
def test_what_is_no_report_is_counted_and_skipped(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "report"
    path.write_text(f"{bad}\n{Report(5, 3).to_json()}\n", encoding="latin-1")
    file = ReportFile(path)
    assert [report.operations for report in file.read()] == [3]
    assert file.nr_bad_lines == 1


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero"),
                                  lambda path: path.symlink_to(path)])  # fmt: skip
def test_what_is_no_file_is_neither_waited_for_nor_read(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "report")
    file = ReportFile(tmp_path / "report")
    assert (file.read(), file.read()) == ([], [])
    assert file.nr_bad_lines == 1


@pytest.mark.parametrize(
    "second", [Report(6, 2), Report(4, 9), Report(6, 9, latency=Histogram.from_dict({8: 1}))]
)
def test_totals_that_go_down_are_no_report_of_the_same_program(tmp_path: Path, second: Report) -> None:
    first = Report(5, 3, latency=Histogram.from_dict({8: 2}))
    last = Report(7, 9, latency=Histogram.from_dict({8: 2, 9: 1}))
    path = tmp_path / "report"
    path.write_text("".join(report.to_json() + "\n" for report in (first, second, last)))
    file = ReportFile(path)
    assert [report.t_ns for report in file.read()] == [5, 7]
    assert file.nr_bad_lines == 1


def test_an_endless_line_does_not_hide_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("x" * (9 << 20) + "\n" + Report(5, 3).to_json() + "\n")
    file = ReportFile(path)
    assert [report.t_ns for _ in range(4) for report in file.read()] == [5]
    assert file.nr_bad_lines == 1


def test_kills_of_a_group(root: Path) -> None:
    tree = DirectoryTree(root)
    assert read_kills(tree, "/kubepods/kv") == []  # a kernel's group, or an older series
    line = "17 enclave=3 group=/kubepods/kv/a\\040b level=/kubepods pages=12 over=4\n"
    (root / "kubepods" / "kv" / "epc.kills").write_text(line)
    (root / "kubepods" / "kv" / "epc.events").write_text("low 0\noom 3\noom_kill 2\n")
    (kill,) = read_kills(tree, "/kubepods/kv")
    assert kill == Kill("/kubepods/kv/a b", "/kubepods", 12, 4)
    assert str(kill) == (
        "an enclave of 12 EPC pages, 4 above a limit of its own, was killed: nothing below /kubepods was"
        " reclaimable (epc.oom)"
    )
    group = read_group(tree, "/kubepods/kv")
    assert group is not None
    assert group.oom_kills == 2
