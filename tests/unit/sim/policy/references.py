"""Each policy once more, as short and slow as it can be said: lists of pages, nothing clever.

``refer`` takes one reference and returns the page that leaves for it, or None. ``missed`` counts.
"""

from collections.abc import Callable
from math import inf


class Reference:
    """A store of so many pages."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.missed = 0

    def holds(self, page: int) -> bool:
        raise NotImplementedError

    def touch(self, page: int) -> None:
        raise NotImplementedError

    def evict(self) -> int:
        raise NotImplementedError

    def insert(self, page: int) -> None:
        raise NotImplementedError

    def size(self) -> int:
        raise NotImplementedError

    def refer(self, page: int) -> int | None:
        if self.holds(page):
            self.touch(page)
            return None
        self.missed += 1
        victim = self.evict() if self.size() == self.capacity else None
        self.insert(page)
        return victim


class Fifo(Reference):
    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.pages: list[int] = []

    def holds(self, page: int) -> bool:
        return page in self.pages

    def touch(self, page: int) -> None:
        """Nothing."""

    def evict(self) -> int:
        return self.pages.pop(0)

    def insert(self, page: int) -> None:
        self.pages.append(page)

    def size(self) -> int:
        return len(self.pages)


class Lru(Fifo):
    def touch(self, page: int) -> None:
        self.pages.remove(page)
        self.pages.append(page)


class Clock(Fifo):
    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.used: set[int] = set()

    def touch(self, page: int) -> None:
        self.used.add(page)

    def evict(self) -> int:
        while self.pages[0] in self.used:
            self.used.remove(self.pages[0])
            self.pages.append(self.pages.pop(0))
        return self.pages.pop(0)


class TwoQ(Reference):
    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.a1in: list[int] = []
        self.am: list[int] = []
        self.a1out: list[int] = []

    def holds(self, page: int) -> bool:
        return page in self.a1in or page in self.am

    def touch(self, page: int) -> None:
        if page in self.am:
            self.am.remove(page)
            self.am.append(page)

    def evict(self) -> int:
        if len(self.a1in) > self.capacity // 4:
            self.a1out.append(self.a1in.pop(0))
            return self.a1out[-1]
        return self.am.pop(0)

    def insert(self, page: int) -> None:
        if page in self.a1out:
            self.a1out.remove(page)
            self.am.append(page)
        else:
            self.a1in.append(page)
        self.a1out = self.a1out[max(0, len(self.a1out) - self.capacity // 2) :]

    def size(self) -> int:
        return len(self.a1in) + len(self.am)


class S3Fifo(Reference):
    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.small: list[int] = []
        self.main: list[int] = []
        self.ghosts: list[int] = []
        self.uses: dict[int, int] = {}
        self.is_full = False

    def holds(self, page: int) -> bool:
        return page in self.small or page in self.main

    def touch(self, page: int) -> None:
        self.uses[page] = min(3, self.uses[page] + 1)

    def evict(self) -> int:
        self.is_full = True
        if len(self.small) >= max(1, self.capacity // 10):
            while self.small:
                page = self.small.pop(0)
                if self.uses[page] < 2:
                    self.ghosts.append(page)
                    return page
                self.uses[page] = 0
                self.main.append(page)
        while self.uses[self.main[0]]:
            self.uses[self.main[0]] -= 1
            self.main.append(self.main.pop(0))
        return self.main.pop(0)

    def insert(self, page: int) -> None:
        self.uses[page] = 0
        filling = not self.is_full and len(self.small) >= self.capacity // 10
        if page in self.ghosts:
            self.ghosts.remove(page)
            self.main.append(page)
        else:
            (self.main if filling else self.small).append(page)
        self.ghosts = self.ghosts[max(0, len(self.ghosts) - self.capacity * 9 // 10) :]

    def size(self) -> int:
        return len(self.small) + len(self.main)


class Generations(Reference):
    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.queues: dict[int, list[int]] = {0: []}
        self.period: dict[int, int] = {}
        self.youngest = self.oldest = 0

    def holds(self, page: int) -> bool:
        return page in self.period

    def touch(self, page: int) -> None:
        self.period[page] = self.youngest

    def is_new_due(self) -> bool:
        nr = self.youngest - self.oldest + 1
        ages = list(self.period.values())
        crowded = ages.count(self.youngest) * 2 > len(ages) or ages.count(self.oldest) * 4 < len(ages)
        return nr < 3 or (nr == 3 and crowded)

    def advance(self) -> None:
        if self.is_new_due():
            self.youngest += 1
            self.queues[self.youngest] = []
        while self.oldest < self.youngest and not self.queues[self.oldest]:
            self.oldest += 1

    def evict(self) -> int:
        while True:
            self.advance()
            page = self.queues[self.oldest].pop(0)
            if self.period[page] == self.oldest:
                del self.period[page]
                return page
            self.queues[self.period[page]].append(page)

    def insert(self, page: int) -> None:
        self.period[page] = self.youngest
        self.queues[self.youngest].append(page)

    def size(self) -> int:
        return len(self.period)


REFERENCES: dict[str, Callable[[int], Reference]] = {
    "fifo": Fifo,
    "lru": Lru,
    "clock": Clock,
    "second-chance": Clock,  # with batches of one page
    "2q": TwoQ,
    "s3-fifo": S3Fifo,
    "generations": Generations,
}


def next_use(trace: list[int], place: int) -> float:
    """Where the page of a reference is used next, infinity if never."""
    later = [step for step in range(place + 1, len(trace)) if trace[step] == trace[place]]
    return later[0] if later else inf


def fewest_misses(trace: list[int], capacity: int) -> int:
    """Belady's MIN."""
    held: dict[int, float] = {}
    missed = 0
    for place, page in enumerate(trace):
        if page not in held:
            missed += 1
            if len(held) == capacity:
                del held[max(held, key=lambda each: held[each])]
        held[page] = next_use(trace, place)
    return missed
