"""Engine and naive model do the same random things and must agree about everything after each."""

from collections.abc import Callable
from functools import partial
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from epcgroup.engine import invariants
from epcgroup.errors import AdmissionError, GroupBusyError
from epcgroup.face.epc import Epc
from epcgroup.state import kills
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome, PageState
from epcgroup.state.series import SERIES
from tests.property.model import Model
from tests.property.model_parts import PAGE, Enclave, Group

_NR_PAGES = 100
_ATTEMPTS = 40
_NR_ENCLAVES = 5
_LIMITS = st.one_of(st.integers(0, 60), st.integers(10, 40), st.just(2**52))
_INDEX = st.integers(0, 10**6)
_SEED = st.integers(0, 2**32)


class Lockstep(RuleBasedStateMachine):
    """Every rule acts on both; ``agree`` compares them."""

    series = "fair"
    #: How many isolated batches were compared, over all examples.
    nr_batches = 0

    def __init__(self) -> None:
        super().__init__()
        self.epc = Epc.create(
            _NR_PAGES, series=self.series, nr_groups=24, nr_enclaves=8, nr_enclave_pages=4096
        )
        self.model = Model(_NR_PAGES, SERIES[self.series])
        self.groups: dict[str, tuple[Group, int]] = {"/": (self.model.root, at.ROOT)}
        self.enclaves: list[tuple[Enclave, int]] = []
        self.serial = 0
        self.kills: list[str] = []

    def _group(self, index: int) -> tuple[str, Group, int]:
        path = sorted(self.groups)[index % len(self.groups)]
        return path, *self.groups[path]

    @initialize(limits=st.lists(_LIMITS, min_size=3, max_size=3), seed=_SEED)
    def populate(self, limits: list[int], seed: int) -> None:
        """Three groups, each with a ready enclave that wants more than the limit."""
        for index, pages in enumerate(limits):
            self.mkdir(seed + index)
            self.write_max(1 + index, pages)
            self.write_oom(1 + index, "kill" if (seed + index) % 2 else "deny")
        for index in range(3):
            self.create(seed // 7 + index, 40, seed)
            self.fault(index, seed // 7 + index, 0, 40, seed)

    @rule(index=_INDEX)
    def mkdir(self, index: int) -> None:
        path, parent, _ = self._group(index)
        if len(self.groups) < 7:
            self.serial += 1
            made = f"{path.rstrip('/')}/g{self.serial}"
            self.groups[made] = (self.model.mkdir(parent, f"g{self.serial}"), self.epc.mkdir(made))

    @rule(index=_INDEX)
    def rmdir(self, index: int) -> None:
        path, group, _ = self._group(index)
        if self.model.rmdir(group):
            self.epc.rmdir(path)
            del self.groups[path]
        else:
            with pytest.raises(GroupBusyError):
                self.epc.rmdir(path)

    @rule(index=_INDEX, pages=_LIMITS)
    def write_max(self, index: int, pages: int) -> None:
        path, group, _ = self._group(index)
        if path == "/" or not self.model.on.has_resource:
            return
        self.epc.write(path, "misc.max", f"sgx_epc {pages * PAGE if pages < 2**52 else 'max'}\n")
        group.max = min(pages * PAGE, 2**64 - 1)
        if self.model.on.write_queues:
            self.model.request(group)

    @rule(index=_INDEX, pages=_LIMITS, file=st.sampled_from(["high", "low", "reclaim"]))
    def write_soft(self, index: int, pages: int, file: str) -> None:
        path, group, _ = self._group(index)
        if path == "/" or not self.model.on.has_soft_limits:
            return
        size = min(pages * PAGE, 2**64 - 1)
        self.epc.write(path, f"epc.{file}", str(size))
        if file == "high":
            group.high = size
        elif file == "low":
            group.low = size
            return
        else:
            group.forced += min(pages, _NR_PAGES)
        self.model.request(group)

    @rule(index=_INDEX, policy=st.sampled_from(["deny", "kill"]))
    def write_oom(self, index: int, policy: str) -> None:
        path, group, _ = self._group(index)
        if path != "/" and self.model.on.has_soft_limits:
            self.epc.write(path, "epc.oom", policy)
            group.kills = policy == "kill"

    @rule(index=_INDEX, size=st.integers(2, 60), seed=_SEED)
    def create(self, index: int, size: int, seed: int) -> None:
        _, group, number = self._group(index)
        if len(self.enclaves) >= _NR_ENCLAVES:
            return
        enclave = Enclave(size, group)
        made = [0]

        def step() -> Outcome:
            try:
                outcome, made[0] = self.epc.enclave_create(number, size)
            except AdmissionError:
                return Outcome.NO_PAGE  # as the model says it
            return outcome

        outcome = self._drive(step, lambda: self.model.create(enclave), Random(seed))
        if outcome is Outcome.CREATED:
            self.enclaves.append((enclave, made[0]))
            if seed % 4:
                enclave.ready = True
                self.epc.enclave_init(made[0])

    @rule(index=_INDEX, where=_INDEX, first=_INDEX, nr=st.integers(1, 60), seed=_SEED)
    def fault(self, index: int, where: int, first: int, nr: int, seed: int) -> None:
        if not self.enclaves:
            return
        random = Random(seed)
        enclave, number = self.enclaves[index % len(self.enclaves)]
        _, group, charged = self._group(where)
        for step in range(nr):
            page = (first + step) % enclave.size
            outcome = self._drive(
                partial(self.epc.fault, number, page, charged),
                partial(self.model.fault, enclave, page, group),
                random,
            )
            if outcome is Outcome.BUSY or random.random() < 0.02:
                self._run_background(random.randrange(8), random)
            if outcome in (Outcome.REFUSED, Outcome.NO_PAGE):
                break
            if (
                outcome in (Outcome.CREATED, Outcome.LOADED)
                and self.epc.page_state(number, page) is (PageState.RESIDENT)
                and random.random() < 0.05
            ):
                self.epc.undo_fault(number, page)
                self.model.undo(enclave, page)

    @precondition(lambda self: self.enclaves)
    @rule(index=_INDEX, where=_INDEX, pages=st.integers(0, 5), high=st.integers(0, 3), seed=_SEED)
    def squeeze(self, index: int, where: int, pages: int, high: int, seed: int) -> None:
        """Hardly any room for a level above an enclave, which wants pages, and may kill for them."""
        home = self.enclaves[index % len(self.enclaves)][0].home
        places = {id(self.groups[path][0]): place for place, path in enumerate(sorted(self.groups))}
        levels = [places[id(level)] for level in home.up() if level.parent and id(level) in places]
        if not levels or id(home) not in places:
            return
        level = levels[where % len(levels)]
        self.write_oom(level, "kill")
        self.write_max(level, pages)
        self.write_soft(levels[0], high, "high")
        self.fault(index, levels[0], seed, 12, seed)
        self.write_soft(levels[0], 2**52, "high")
        self.write_max(level, 2**52)

    @precondition(lambda self: self.enclaves)
    @rule(index=_INDEX)
    def init(self, index: int) -> None:
        enclave, number = self.enclaves[index % len(self.enclaves)]
        enclave.ready = True
        self.epc.enclave_init(number)

    @precondition(lambda self: self.enclaves)
    @rule(index=_INDEX, page=_INDEX)
    def forget(self, index: int, page: int) -> None:
        enclave, number = self.enclaves[index % len(self.enclaves)]
        self.epc.forget(number, page % enclave.size)
        self.model.forget(enclave, page % enclave.size)

    @precondition(lambda self: self.enclaves)
    @rule(index=_INDEX)
    def release(self, index: int) -> None:
        enclave, number = self.enclaves.pop(index % len(self.enclaves))
        self.epc.enclave_release(number)
        self.model.release(enclave)

    @rule(nr=st.integers(1, 6), seed=_SEED)
    def background(self, nr: int, seed: int) -> None:
        self._run_background(nr, Random(seed))

    def _run_background(self, nr: int, random: Random) -> None:
        for _ in range(nr):
            size = self.epc.isolate()
            assert size == self.model.isolate()
            if not size:
                break
            self._act(random)

    def _drive(self, engine: Callable[[], Outcome], model: Callable[[], Outcome], random: Random) -> Outcome:
        for _ in range(_ATTEMPTS):
            outcome = engine()
            assert outcome is model()
            if outcome is Outcome.KILL:
                self._kill()
            elif outcome is Outcome.EVICT:
                self._act(random)
            else:
                break
        return outcome

    def _kill(self) -> None:
        """Compare the victims, then end them."""
        assert self.model.victim
        victim, nr_pages, over = self.model.victim
        number = next(number for enclave, number in self.enclaves if enclave is victim)
        assert self.epc.victim == number
        self.kills.append(f"{len(self.kills) + 1} enclave={number} pages={nr_pages} over={over}")
        assert self.epc.finish_kill() == number
        self.model.finish_kill()
        invariants.check(self.epc.state)

    def _act(self, random: Random) -> None:
        """Compare the isolated batch, then answer it at random."""
        numbers = {id(enclave): number for enclave, number in self.enclaves}
        type(self).nr_batches += 1
        expected = [(numbers[id(enclave)], page) for enclave, page, _ in self.model.batch]
        assert [(row[0], row[1]) for row in self.epc.batch.tolist()] == expected
        invariants.check(self.epc.state)
        young = random.choice([0.0, 0.1, 0.8])
        outcomes = [int(random.random() < young) for _ in expected]
        self.epc.finish(np.array(outcomes, np.uint8))
        self.model.finish(outcomes)

    @invariant()
    def agree(self) -> None:
        invariants.check(self.epc.state)
        assert self.epc.nr_free == self.model.free
        assert self.epc.has_work() == bool(self.model.queue or self.model.current or self.model.awake)
        numbers = {id(enclave): number for enclave, number in self.enclaves}
        for group, number in self.groups.values():
            row = self.epc.state.groups[number]
            assert (row[at.GROUP_USAGE], row[at.GROUP_PEAK]) == (group.usage * PAGE, group.peak * PAGE)
            assert row[at.GROUP_EVENTS_LOCAL] == group.local
            assert group is self.model.root or row[at.GROUP_EVENTS] == group.events
            assert row[at.STAT_EVENT_MAX] == group.refused
            assert row[at.STAT_EVENT_OOM_KILL] == group.oom_kills
            if not self.model.one_list or group is self.model.root:
                expected = [[numbers[id(enclave)], page] for enclave, page in group.lru]
                assert self.epc.oldest(number, 2 * _NR_PAGES).tolist() == expected
        if self.model.on.has_soft_limits:
            lines = [line.split() for line in self.epc.read("/", "epc.kills").splitlines()]
            assert [" ".join(words[:2] + words[4:]) for words in lines] == self.kills[-kills.NR_KEPT :]
        for enclave, number in self.enclaves:
            resident = sorted(page for page, charged in enclave.pages.items() if charged)
            assert self.epc.residents(number).tolist() == resident

    def teardown(self) -> None:
        """After every enclave has gone, nothing is charged anywhere."""
        for enclave, number in self.enclaves:
            self.epc.enclave_release(number)
            self.model.release(enclave)
        self.enclaves = []
        self.agree()
        assert self.epc.nr_free == _NR_PAGES


@pytest.mark.parametrize("series", ["mainline", "v17", "fair"])
def test_engine_agrees_with_the_naive_model(series: str) -> None:
    machine: type[Lockstep] = type("Lockstep" + series, (Lockstep,), {"series": series})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
    assert machine.nr_batches > 60, "the examples hardly reclaim: what agrees is little"
