import os
import signal
import subprocess
from pathlib import Path

import pytest
from client_program import deaf_pager, heard, program, run
from conftest import StartPager
from live_pager import LivePager, wait_until

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("userfaultfd_here")]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
NOBODY = 65534


def test_memory_of_four_times_the_epc_keeps_its_data(live_pager: LivePager) -> None:
    code = """
with Enclave("16Mi") as enclave:
    memory = enclave.memory
    assert (len(enclave), enclave.pages, memory.format, memory.readonly) == (2**24, 4096, "B", False)
    assert not any(bytes(memory[page * 4096:(page + 1) * 4096]).strip(b"\\0") for page in range(0, 4096, 5))
    for turn in range(2):
        for page in range(4096):
            place = memory[page * 4096:(page + 1) * 4096]
            if turn:
                assert bytes(place) == page.to_bytes(2, "little") * 2048, page
            place[:] = page.to_bytes(2, "little") * 2048
say("good")
"""
    assert run(code, live_pager.socket) == "good"
    assert live_pager.statistics()["nr_evictions"] > 4096
    wait_until(live_pager.is_empty)


def test_numpy_arrays_share_the_memory(live_pager: LivePager) -> None:
    code = """
assert "numpy" not in sys.modules
with Enclave("1Mi") as enclave:
    whole = enclave.array("u4")
    assert whole.shape == (2**18,)
    part = enclave.array("f8", (4, 8), offset=4096)
    part[:] = 1.5
    assert enclave.memory[4096 + 7] == 0x3F
    assert part.sum() == 48
    for wrong in (dict(shape=2**20), dict(offset=-1), dict(shape=1, offset=2**20)):
        try:
            enclave.array("u1", **wrong) if "shape" not in wrong else enclave.array("u2", **wrong)
        except UsageError as error:
            assert "does not fit" in str(error)
        else:
            raise AssertionError(wrong)
    del whole, part
say("good")
"""
    assert run(code, live_pager.socket) == "good"


def test_closing_again_is_fine_and_a_closed_enclave_says_so(live_pager: LivePager) -> None:
    code = """
enclave = Enclave(5000)
assert len(enclave) == 8192
enclave.check()
assert not enclave.closed
before = len(os.listdir("/proc/self/fd"))
enclave.close()
enclave.close()
assert enclave.closed
assert len(os.listdir("/proc/self/fd")) == before - 3  # socket, userfaultfd, event
for use in (enclave.check, lambda: enclave.memory, enclave.array):
    try:
        use()
    except EnclaveClosedError as error:
        assert "is closed" in str(error)
    else:
        raise AssertionError(use)
say("good", threading.active_count())
"""
    assert run(code, live_pager.socket) == "good 1"


def test_several_enclaves_and_threads_in_a_program(live_pager: LivePager) -> None:
    code = """
made = []
def make(number):
    enclave = Enclave("256Ki")
    enclave.memory[:] = bytes([number]) * len(enclave)
    made.append((enclave, number))
threads = [threading.Thread(target=make, args=(number,)) for number in range(1, 6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
for enclave, number in made:
    assert bytes(enclave.memory) == bytes([number]) * len(enclave)
assert len({enclave.number for enclave, _ in made}) == 5
for enclave, _ in made[::2]:
    enclave.close()
say("good", sum(enclave.closed for enclave, _ in made))
"""
    assert run(code, live_pager.socket) == "good 3"
    wait_until(live_pager.is_empty)


@pytest.mark.parametrize("way", ["end", "kill", "exit", "exec"])
def test_however_it_ends_everything_is_returned(way: str, live_pager: LivePager) -> None:
    code = """
enclave = Enclave("8Mi")
for page in range(2048): enclave.memory[page * 4096] = 1
say("full")
wait()
"""
    code += {
        "end": "enclave.close()",
        "kill": "",
        "exit": "os._exit(3)",
        "exec": "os.execv('/bin/true', ['true'])",
    }[way]
    with program(code, live_pager.socket) as process:
        heard(process, "full")
        assert not live_pager.is_empty()
        if way == "kill":
            process.kill()
        process.communicate("\n")
        wait_until(live_pager.is_empty)


def test_a_child_of_fork_cannot_use_it_and_does_not_keep_it(live_pager: LivePager) -> None:
    code = """
enclave = Enclave("1Mi")
enclave.memory[0] = 7
view = enclave.memory[0:4096]
child = os.fork()
if child == 0:
    try:
        enclave.memory
    except ForkedEnclaveError as error:
        assert "belongs to the parent" in str(error) and enclave.closed
        enclave.close()
        with Enclave("64Ki") as own:
            own.memory[0] = 1
        view[0]  # must not read anything
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGSEGV
assert enclave.memory[0] == 7
if os.fork() == 0:
    say(os.getpid())
    wait()
    os._exit(0)
time.sleep(1000)
"""
    with program(code, live_pager.socket) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        os.kill(child, 0)  # alive, and yet:
        wait_until(live_pager.is_empty)
        os.kill(child, signal.SIGKILL)


def test_programs_started_by_it_do_not_keep_it(live_pager: LivePager) -> None:
    code = """
import subprocess
enclave = Enclave("1Mi")
enclave.memory[0] = 7
other = subprocess.Popen(["sleep", "1000"], close_fds=False)
say(other.pid)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with program(code, live_pager.socket) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait()
        wait_until(live_pager.is_empty)
        os.kill(child, signal.SIGKILL)


SYSTEM_CALL = """
with Enclave("1Mi") as enclave:
    enclave.memory[0] = 1
    reader, writer = os.pipe()
    os.write(writer, b"hello")
    try:
        os.readv(reader, [enclave.memory[40960:40965]])
        say(enclave.kernel_faults, repr(enclave.note), bytes(enclave.memory[40960:40965]).decode())
    except OSError as error:
        say(enclave.kernel_faults, "system call" in enclave.note, error.strerror)
"""


def test_system_calls_may_fault(live_pager: LivePager) -> None:
    assert run(SYSTEM_CALL, live_pager.socket) == "True '' hello"


@AS_ROOT
def test_an_unprivileged_program_gets_the_device(start_pager: StartPager, tmp_path: Path) -> None:
    pager = start_pager("--allow-uid", str(NOBODY))
    open_up(tmp_path)
    assert run(SYSTEM_CALL, pager.socket, user=NOBODY) == "True '' hello"


@AS_ROOT
def test_without_the_device_it_works_in_user_mode_and_says_what_that_costs(tmp_path: Path) -> None:
    if Path("/proc/sys/vm/unprivileged_userfaultfd").read_text().strip() != "0":
        pytest.skip("this host allows everybody full userfaultfds")
    open_up(tmp_path)
    with deaf_pager(tmp_path, 256, device=False) as (_, path):
        assert run(SYSTEM_CALL, path, user=NOBODY) == "False True Bad address"


@AS_ROOT
def test_a_user_who_is_not_allowed_is_refused(live_pager: LivePager, tmp_path: Path) -> None:
    open_up(tmp_path)
    code = "try: Enclave('1Mi')\nexcept PeerRefusedError as error: say('refused', len(str(error)) > 20)"
    assert run(code, live_pager.socket, user=NOBODY) == "refused True"


def open_up(folder: Path) -> None:
    """Let everybody reach a folder of pytest, whose parents are private."""
    for part in (folder, *folder.parents):
        if part == Path("/tmp") or part == part.parent:
            return
        part.chmod(part.stat().st_mode | 0o711)


def test_a_leaked_enclave_warns_and_is_given_back(live_pager: LivePager) -> None:
    code = """
import gc, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    memory = Enclave("1Mi").memory[100:]
    memory[0] = 1  # a buffer keeps all of it alive
    assert not caught
    del memory
    gc.collect()
assert [item.category for item in caught] == [ResourceWarning], caught
say("good")
wait()
"""
    with program(code, live_pager.socket) as process:
        heard(process, "good")
        wait_until(live_pager.is_empty)


def test_importing_the_client_is_light() -> None:
    import sys

    code = "import sys, epcgroup.client; print(sorted({'numpy', 'numba', 'cryptography'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
