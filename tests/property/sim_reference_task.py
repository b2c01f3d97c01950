"""One container of the plain simulator: what it refers to and when its requests come."""

from dataclasses import dataclass, field

import numpy as np

from epcgroup.sim import draws
from epcgroup.sim.scenario import Component, Program

_MASK = 2**64 - 1
ROOM = 64
IDLE, PRODUCTIVE, STALLED = range(3)


def end_at_first(part: Component) -> int:
    """Return where the pages a component has in use at first end."""
    return part.first_page + (part.nr_pages if part.grows_from_pages is None else part.grows_from_pages)


class Rng:
    """SplitMix64 on Python's integers."""

    def __init__(self, state: int) -> None:
        self.state = state

    def bits(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        bits = self.state
        bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & _MASK
        return bits ^ bits >> 31

    def below(self, size: int) -> int:
        return ((self.bits() >> 32) * size) >> 32


@dataclass
class Task:
    """One container at work."""

    number: int
    pod: int
    program: Program
    rng: Rng
    spread_rng: Rng
    group: int = 0
    enclave: int = 0
    what: str = "off"
    clock: int = 0
    since: int = 0
    mood: int = IDLE
    moods: list[tuple[int, int]] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    to_populate: list[int] = field(default_factory=list)
    to_build: list[int] = field(default_factory=list)
    step: int = 0
    owed: int = 0
    draws_left: int = 0
    request: str = "loading"
    arrived: int = 0
    burst_left: int = 0
    started: int = 0
    seen: int = 0
    last_try: bool = False
    walked: dict[int, int] = field(default_factory=dict)

    def become(self, mood: int, time: int) -> None:
        if mood != self.mood:
            self.mood = mood
            self.moods.append((time, mood))

    # What it refers to.

    def draw(self) -> None:
        """Draw pages of the request, as many as fit a window."""
        parts = self.program.components
        room = max(ROOM, *(part.span for part in parts))
        while self.draws_left:
            number = self._choose(parts)
            part = parts[number]
            if len(self.pages) + part.span > room:
                break
            in_order = self.program.requests.draws == 0
            if in_order and part.chance < 1 and self.rng.bits() & 0xFFFFFFFF >= round(part.chance * 2**32):
                self.draws_left -= 1
                continue
            page = self._page(number, part)
            self.pages += [part.first_page + (page + k) % part.nr_pages for k in range(part.span)]
            self.draws_left -= 1

    def _choose(self, parts: tuple[Component, ...]) -> int:
        if self.program.requests.draws == 0:
            return len(parts) - self.draws_left
        if len(parts) == 1:
            return 0
        point = self.rng.bits() & 0xFFFFFFFF
        total = sum(part.weight for part in parts)
        upto = 0.0
        for number, part in enumerate(parts):
            upto += part.weight
            if point < round(upto / total * 2**32):
                return number
        raise AssertionError("the weights do not add up")

    def _page(self, number: int, part: Component) -> int:
        elapsed = self.clock - self.started
        if part.kind == "phases":
            place = self.rng.below(part.set_pages // part.span) * part.span
            return (elapsed // (part.phase_ns * 1000) * part.set_pages + place) % part.nr_pages
        in_use = part.nr_pages if part.grows_from_pages is None else part.grows_from_pages
        if part.grows_from_pages is not None and part.growth_pages_per_s:
            in_use += elapsed // max(1, round(10**12 / part.growth_pages_per_s))
        in_use = min(in_use, part.nr_pages)
        if part.kind in ("scan", "loop"):
            page = self.walked.get(number, 0)
            if page + part.span > in_use:
                page = 0 if part.kind == "loop" else page - part.span
            self.walked[number] = page + part.span
            return page
        if part.kind == "zipf":
            return self._zipf(part, in_use // part.span) * part.span
        return self.rng.below(in_use // part.span) * part.span

    def _zipf(self, part: Component, nr_in_use: int) -> int:
        nr_places = part.nr_pages // part.span
        table = draws.zipf_table(nr_places, part.exponent, part.items or nr_places)
        for _ in range(64):
            bits = self.rng.bits()
            limit, below, above = table[(bits >> 32) * len(table) >> 32].tolist()
            place = below if bits & 0xFFFFFFFF < limit else above
            if place < nr_in_use:
                return int(place)
        return self.rng.below(nr_in_use)

    # When its requests come.

    def expect(self) -> None:
        """Set the arrival of the next request."""
        requests = self.program.requests
        first = self.request == "loading"
        if first:
            self.arrived = self.started = self.clock
        self.request = "waiting"
        closed = requests.arrivals == "closed"
        if self.burst_left and not first:
            self.burst_left -= 1
            self.arrived = self.clock if closed else self.arrived
            return
        self.burst_left = requests.burst - 1
        if closed:
            self.arrived = self.clock + (0 if first else requests.think_ns * 1000)
            return
        interval = round(requests.burst * 10**12 / requests.rate_per_s)
        if requests.arrivals == "poisson":
            interval = int(draws.exponential(np.uint64(self.rng.bits())) * interval)
        self.arrived += interval
