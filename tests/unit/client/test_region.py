import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from epcgroup.client.region import Region

SIZE = 4 * 4096


@pytest.fixture
def file() -> int:
    fd = os.memfd_create("region")
    os.ftruncate(fd, SIZE)
    return fd


def maps(address: int) -> str:
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if low <= address < high:
            return line
    return ""


def nr_open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_view_is_the_file(file: int) -> None:
    region = Region(file, SIZE)
    region.view[4096:4099] = b"abc"
    assert os.pread(file, 3, 4096) == b"abc"
    assert (region.view.format, region.view.nbytes, region.view.readonly) == ("B", SIZE, False)
    os.close(file)


def test_no_descriptor_of_the_file_is_kept(file: int) -> None:
    before = nr_open_files()
    region = Region(file, SIZE)
    os.close(file)
    assert nr_open_files() == before - 1
    region.view[0] = 1


def test_children_and_core_dumps_do_not_get_it(file: int) -> None:
    region = Region(file, SIZE)
    os.close(file)
    smaps = Path("/proc/self/smaps").read_text()
    part = smaps[smaps.index(f"{region.base:x}-") :]
    flags = part[part.index("VmFlags:") :].splitlines()[0].split()
    assert {"dc", "dd"} <= set(flags)  # dontcopy, dontdump


def test_a_retired_range_is_kept_as_long_as_a_buffer_of_it(file: int) -> None:
    region = Region(file, SIZE)
    os.close(file)
    base, part = region.base, region.view[10:20]
    region.retire()
    gc.collect()
    assert "---p" in maps(base)
    assert len(region.view) == 0
    part.release()
    gc.collect()
    assert "---p" not in maps(base)


def test_touching_a_retired_buffer_is_a_crash_not_other_memory() -> None:
    code = (
        "import os\nfrom epcgroup.client.region import Region\n"
        "fd = os.memfd_create('x'); os.ftruncate(fd, 8192)\n"
        "region = Region(fd, 8192); view = region.view; region.retire(); view[0]"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGSEGV


def test_a_file_that_cannot_be_mapped_is_named() -> None:
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="cannot map 4096 bytes"):
        Region(reader, 4096)
    os.close(reader)
    os.close(writer)
