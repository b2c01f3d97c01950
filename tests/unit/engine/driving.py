"""A small machine for tests: acts on batches at once; pages are old unless named young."""

from dataclasses import dataclass, field

import numpy as np

from epcgroup.engine import invariants
from epcgroup.face.epc import Epc
from epcgroup.state.outcome import Outcome, Written
from epcgroup.state.series import Series

PAGE = 4096


@dataclass
class Driver:
    """Wraps an engine; checks the laws after every step and notes what left."""

    epc: Epc
    young: set[tuple[int, int]] = field(default_factory=set)
    failing: bool = False
    written: list[tuple[int, int]] = field(default_factory=list)
    batches: list[list[tuple[int, int]]] = field(default_factory=list)
    causes: list[int] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)

    def act(self) -> None:
        """Answer the isolated batch: a young page loses its mark, a failing store takes nothing."""
        rows = [(int(row[0]), int(row[1])) for row in self.epc.batch]
        self.batches.append(rows)
        self.causes.append(self.epc.batch_cause)
        outcomes = [self._answer(row) for row in rows]
        self.written += [row for row, outcome in zip(rows, outcomes, strict=True) if not outcome]
        self.epc.finish(np.array(outcomes, np.uint8))
        invariants.check(self.epc.state)

    def carry_out(self, outcome: Outcome) -> bool:
        """Act on the batch or end the victim, whatever is asked for; False: neither is."""
        if outcome is Outcome.EVICT:
            self.act()
        elif outcome is Outcome.KILL:
            assert self.epc.victim
            self.killed.append(self.epc.finish_kill())
            invariants.check(self.epc.state)
        return outcome in (Outcome.EVICT, Outcome.KILL)

    def _answer(self, row: tuple[int, int]) -> int:
        if row in self.young:
            self.young.discard(row)
            return Written.YOUNG
        return Written.FAILED if self.failing else Written.WRITTEN

    def fault(self, enclave: int, page: int, group: int) -> Outcome:
        """Fault until an answer other than EVICT and KILL."""
        for _ in range(10_000):
            outcome = self.epc.fault(enclave, page, group)
            invariants.check(self.epc.state)
            if not self.carry_out(outcome):
                return outcome
        raise AssertionError("a fault never ends")

    def touch(self, enclave: int, pages: range, group: int) -> list[Outcome]:
        """Fault every page of a range; the distinct answers in order of appearance."""
        return list(dict.fromkeys(self.fault(enclave, page, group) for page in pages))

    def create(self, group: int, size: int, *, ready: bool = True) -> tuple[Outcome, int]:
        """Create an enclave, and initialise it."""
        while True:
            outcome, enclave = self.epc.enclave_create(group, size)
            if not self.carry_out(outcome):
                break
        if outcome is Outcome.CREATED and ready:
            self.epc.enclave_init(enclave)
        return outcome, enclave

    def background(self, limit: int = 10_000) -> int:
        """Run background passes until none is left; returns how many batches there were."""
        for done in range(limit):
            if not self.epc.isolate():
                return done
            self.act()
        raise AssertionError("background work never ends")

    def limit(self, path: str, pages: int | str) -> None:
        """Write misc.max in pages."""
        text = pages if isinstance(pages, str) else str(pages * PAGE)
        self.epc.write(path, "misc.max", f"sgx_epc {text}\n")

    def pages(self, path: str) -> int:
        """Usage of a group in pages."""
        return int(self.epc.read(path, "epc.current")) // PAGE

    def events(self, path: str) -> dict[str, int]:
        """The counters of epc.events."""
        return {
            key: int(value) for key, value in map(str.split, self.epc.read(path, "epc.events").splitlines())
        }

    def word(self, path: str, column: int) -> int:
        """A word of the group table."""
        return int(self.epc.state.groups[self.epc.lookup(path), column])


def machine(
    nr_pages: int, *paths: str, series: str | Series = "fair", nr_enclave_pages: int = 1 << 16
) -> Driver:
    """A machine with groups."""
    epc = Epc.create(nr_pages, series=series, nr_groups=32, nr_enclaves=16, nr_enclave_pages=nr_enclave_pages)
    for path in paths:
        epc.mkdir(path)
    return Driver(epc)


def enclave_in(driver: Driver, path: str, pages: int, size: int = 2048) -> int:
    """An initialised enclave of a group with ``pages`` pages touched."""
    group = driver.epc.lookup(path)
    outcome, enclave = driver.create(group, size)
    assert outcome is Outcome.CREATED
    driver.touch(enclave, range(pages), group)
    return enclave
