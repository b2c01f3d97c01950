"""``epc.oom`` and ``epc.kills`` as people see them, after an allocation that killed three enclaves."""

from pathlib import Path

from epcgroup.state.outcome import Outcome
from tests.unit.engine.driving import PAGE, machine

_GOLDEN = Path(__file__).with_name("epc-kills.txt")
_SHOWN = (
    ("/pod", "epc.oom"),
    ("/pod/a", "epc.oom"),
    ("/", "epc.kills"),
    ("/pod/b", "epc.kills"),
    ("/pod/a", "epc.kills"),
    ("/pod", "epc.events"),
)


def test_texts_after_three_kills() -> None:
    driver = machine(500, "/pod", "/pod/two words", "/pod/a", "/pod/b")
    for path in ("/pod/two words", "/pod/a", "/pod/b", "/pod/b"):
        outcome, _ = driver.create(driver.epc.lookup(path), 64, ready=path.endswith("words"))
        assert outcome is Outcome.CREATED
    driver.touch(1, range(20), driver.epc.lookup("/pod/two words"))
    driver.epc.write("/pod/b", "epc.high", str(PAGE))
    driver.epc.write("/pod", "epc.oom", "kill\n")
    driver.failing = True  # the store is full: nothing can leave
    driver.limit("/pod", 20)  # of 28
    outcome, _ = driver.create(driver.epc.lookup("/pod/a"), 64)
    assert (outcome, driver.killed) == (Outcome.CREATED, [4, 3, 1])
    text = "".join(f"# {file} {path}\n{driver.epc.read(path, file)}" for path, file in _SHOWN)
    assert text == _GOLDEN.read_text()
