"""What a program sees when its pager is killed: an error, at once, and never zeros where its data was."""

import signal
import subprocess
from pathlib import Path

import pytest
from client_program import deaf_pager, heard, program
from live_pager import LivePager, wait_until

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("userfaultfd_here")]
REASON = "epcgroup: the pager died, enclave memory cannot be served any more: ending this program"
SERVED = 4
#: Ends within this many seconds; it takes milliseconds, but machines are slow sometimes.
SOON = 10
DEAF = "deaf 8"
TOUCH = "enclave.memory[8 * 4096]"
READ = "r, w = os.pipe(); os.write(w, b'x'); os.readv(r, [enclave.memory[8 * 4096:8 * 4096 + 1]])"


def ended(process: "subprocess.Popen[str]", more: str = "") -> tuple[int, str, str]:
    said, complaint = process.communicate(more, timeout=SOON)
    return process.returncode, said, complaint


def orphaned(code: str, folder: Path, word: str, more: str = "") -> tuple[int, str, str]:
    """Run a program until it says a word, or its pager says what page it does not serve; kill the pager."""
    with deaf_pager(folder, SERVED) as (pager, path), program(code, path) as process:
        heard(pager if word == DEAF else process, word)
        pager.kill()
        pager.wait()
        return ended(process, more)


@pytest.mark.parametrize("way", [TOUCH, READ], ids=["touch", "system call"])
def test_a_thread_waiting_for_a_page_ends_the_program(way: str, tmp_path: Path) -> None:
    code = (
        f"enclave = Enclave('1Mi')\nenclave.memory[0] = 1\ndef blocked():\n    {way}\nblocked()\nsay('zeros')"
    )
    code_, said, complaint = orphaned(code, tmp_path, DEAF)
    assert (code_, said) == (-signal.SIGIO, "")
    assert REASON in complaint
    assert "in blocked" in complaint  # where the program stood


@pytest.mark.parametrize("way", [TOUCH, READ], ids=["touch", "system call"])
def test_other_threads_end_with_it(way: str, tmp_path: Path) -> None:
    code = f"""
def blocked():
    {way}
def start():
    global enclave
    enclave = Enclave('1Mi')
threading.Thread(target=start).start()
threading.Thread(target=blocked).start()
time.sleep(1000)
"""
    code = code.replace("    " + way, "    while 'enclave' not in globals(): time.sleep(0.01)\n    " + way)
    code_, _, complaint = orphaned(code, tmp_path, DEAF)
    assert code_ == -signal.SIGIO
    assert REASON in complaint


def test_a_program_that_waits_for_nothing_ends_too(tmp_path: Path) -> None:
    code = "enclave = Enclave('1Mi')\nsay('up')\nwhile True: enclave.memory[0] = 1"
    code_, _, complaint = orphaned(code, tmp_path, "up")
    assert code_ == -signal.SIGIO
    assert REASON in complaint


def test_a_parent_that_ignores_the_signal_does_not_matter(tmp_path: Path) -> None:
    code = f"signal.signal(signal.SIGIO, signal.SIG_IGN)\nenclave = Enclave('1Mi')\n{TOUCH}"
    assert orphaned(code, tmp_path, DEAF)[0] == -signal.SIGIO


def test_a_handler_set_later_does_not_save_the_program(tmp_path: Path) -> None:
    code = """
enclave = Enclave('1Mi')
signal.signal(signal.SIGIO, lambda *_: None)
say('up')
time.sleep(1000)
"""
    code_, _, complaint = orphaned(code, tmp_path, "up")
    assert code_ == -signal.SIGKILL
    assert REASON in complaint


def test_a_closed_enclave_is_no_reason_to_end(tmp_path: Path) -> None:
    code = "enclave = Enclave('1Mi')\nenclave.close()\nsay('up')\nwait()\nsay('alive')"
    assert orphaned(code, tmp_path, "up", "\n")[:2] == (0, "alive\n")


def test_raise_a_waiting_touch_is_a_bus_error(tmp_path: Path) -> None:
    code = f"enclave = Enclave('1Mi', on_pager_death='raise')\n{TOUCH}\nsay('zeros')"
    code_, said, complaint = orphaned(code, tmp_path, DEAF)
    assert (code_, said) == (-signal.SIGBUS, "")
    assert "the pager died; 1048576 bytes of enclave memory are lost" in complaint


def test_raise_a_waiting_system_call_fails(tmp_path: Path) -> None:
    code = f"""
enclave = Enclave('1Mi', on_pager_death='raise')
try:
    {READ}
except OSError as error:
    say(error.strerror)
"""
    assert orphaned(code, tmp_path, DEAF)[:2] == (0, "Bad address\n")


def test_raise_a_program_that_asks_lives_on_with_what_is_there(tmp_path: Path) -> None:
    code = """
enclave = Enclave('1Mi', on_pager_death='raise')
enclave.memory[0] = 7
enclave.check()
assert not enclave.closed
say('up')
wait()
assert enclave.closed
try:
    enclave.check()
except PagerDiedError as error:
    say(enclave.memory[0], 'is gone' in str(error))
enclave.close()
say('closed')
"""
    assert orphaned(code, tmp_path, "up", "\n")[:2] == (0, "7 True\nclosed\n")


def test_raise_the_second_process_ends_with_the_program(tmp_path: Path) -> None:
    code = """
enclave = Enclave('1Mi', on_pager_death='raise')
say(enclave._lease._watchdog._process.pid)
wait()
"""
    with deaf_pager(tmp_path, SERVED) as (_, path), program(code, path) as process:
        assert process.stdout is not None
        undertaker = int(process.stdout.readline())
        # Between fork and the end of exec the new process has no command line yet.
        wait_until(lambda: "undertaker" in Path(f"/proc/{undertaker}/cmdline").read_text())
        process.kill()
        process.wait()
        wait_until(lambda: not Path(f"/proc/{undertaker}/exe").exists())


@pytest.mark.parametrize("policy", ["end", "raise"])
def test_the_real_pager_killed_under_load_never_gives_zeros(policy: str, live_pager: LivePager) -> None:
    # Twice the EPC, swept for ever: some pages are always away, and every value read is checked.
    code = f"""
enclave = Enclave('8Mi', on_pager_death={policy!r})
memory = enclave.memory
for page in range(2048): memory[page * 4096] = 1 + page % 255
say('up')
while True:
    for page in range(2048):
        if memory[page * 4096] != 1 + page % 255:
            say('wrong', page)
            os._exit(0)
"""
    with program(code, live_pager.socket) as process:
        heard(process, "up")
        live_pager.process.kill()
        code_, said, complaint = ended(process)
    assert said == ""
    assert code_ == (-signal.SIGIO if policy == "end" else -signal.SIGBUS)
    assert "the pager died" in complaint
