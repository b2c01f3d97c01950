"""Put a policy through its paces: a random machine, with the laws of the engine checked after every step.

``check("my_module:MyPolicy")`` is what the project's own policies go through.
"""

from dataclasses import replace
from random import Random
from typing import Final, NamedTuple

import numpy as np

from epcgroup.engine import invariants
from epcgroup.face.epc import Epc
from epcgroup.sim.policy.steps import Steps
from epcgroup.state.outcome import Outcome
from epcgroup.state.series import SERIES, Series
from epcgroup.units import PAGE_SIZE

#: Series by name; V2 without the fault for which it never scans pages made on demand (B1).
WORLDS: Final[dict[str, Series]] = SERIES | {"v2": replace(SERIES["v2"], sgx2=1, unmarked_blocks=0)}
_NR_FRAMES: Final = 160
_NR_PAGES: Final = 100
_NR_AT_FIRST: Final = 3
_PATHS: Final = ("/a", "/a/x", "/b", "/c")


class _Player:
    """Does one random thing after the other."""

    def __init__(self, policy: str, series: str, seed: int, nr_steps: int) -> None:
        self.random = Random(seed)
        self.series = series
        epc = Epc.create(
            _NR_FRAMES, series=WORLDS[series], nr_groups=8, nr_enclaves=8, nr_enclave_pages=8 * _NR_PAGES
        )
        self.steps = Steps(epc, policy, nr_references=(nr_steps + _NR_AT_FIRST) * _NR_PAGES)
        self.groups = [epc.mkdir(path) for path in _PATHS]
        self.enclaves: list[tuple[int, int]] = []
        self.limit()
        for _ in range(_NR_AT_FIRST):
            self.create()

    def create(self) -> None:
        """Start a program; what it is said to refer to is not what it will, which must do no harm."""
        if len(self.enclaves) >= len(_PATHS):
            return
        group = self.random.choice(self.groups)
        outcome, enclave = self.steps.epc.enclave_create(group, _NR_PAGES)
        while outcome is Outcome.EVICT:
            self.steps.act()
            outcome, enclave = self.steps.epc.enclave_create(group, _NR_PAGES)
        if outcome is Outcome.CREATED:
            self.steps.epc.enclave_init(enclave)
            future = [self.random.randrange(_NR_PAGES) for _ in range(_NR_PAGES)]
            self.steps.foresee(enclave, np.array(future, np.uint32), repeats=True)
            self.enclaves.append((enclave, group))

    def refer(self) -> None:
        """Touch some pages: hot ones, or a range."""
        if not self.enclaves:
            return
        enclave, group = self.random.choice(self.enclaves)
        first, nr = self.random.randrange(_NR_PAGES), self.random.randrange(1, 40)
        span = self.random.choice((10, _NR_PAGES))
        pages = [(first + self.random.randrange(span)) % _NR_PAGES for _ in range(nr)]
        for page in pages:
            if self.steps.refer(enclave, page, self.random.choice((group, group, self.groups[0]))) in (
                Outcome.REFUSED,
                Outcome.LIVELOCK,
            ):
                break

    def end(self) -> None:
        """End a program, sometimes while a batch holds pages of it."""
        if not self.enclaves:
            return
        isolated = self.random.random() < 0.5 and self.steps.epc.isolate()
        enclave, _ = self.enclaves.pop(self.random.randrange(len(self.enclaves)))
        self.steps.epc.enclave_release(enclave)
        if isolated:
            invariants.check(self.steps.epc.state)
            self.steps.act()

    def limit(self) -> None:
        """Change a limit."""
        if self.series != "mainline":
            pages = self.random.choice((20, 40, 60, 1000))
            self.steps.epc.write(self.random.choice(_PATHS), "misc.max", f"sgx_epc {pages * PAGE_SIZE}")

    def lose(self) -> None:
        """Lose a page."""
        if self.enclaves:
            enclave, _ = self.random.choice(self.enclaves)
            residents = self.steps.epc.residents(enclave)
            if len(residents):
                self.steps.epc.forget(enclave, int(self.random.choice(residents.tolist())))

    def step(self) -> None:
        """Do one of them."""
        actions = (self.refer, self.create, self.end, self.limit, self.lose, self.steps.background)
        self.random.choices(actions, (60, 14, 4, 6, 6, 10))[0]()


class Report(NamedTuple):
    """What happened in a check.

    Attributes:
        written: pages written out.
        declined: those of them that left by the engine's choice, as the policy named none that could.
    """

    written: int
    declined: int


def check(policy: str, *, series: str = "fair", seed: int = 0, nr_steps: int = 200) -> Report:
    """Run a random machine of a few groups and programs under a policy.

    Args:
        policy: name, see ``policy.names()``.
        series: one of ``WORLDS``.
        seed: of everything random.
        nr_steps: things that happen: references, starts, ends, limits, background work.

    Raises:
        UsageError: no such policy.
        InvariantError: a law is broken after a step.
    """
    player = _Player(policy, series, seed, nr_steps)
    for _ in range(nr_steps):
        player.step()
        invariants.check(player.steps.epc.state)
        player.steps.check()
    return Report(len(player.steps.left), player.steps.nr_declined)
