"""What the naive model is made of: groups, enclaves, passes. Plain objects that hold lists and dicts."""

from collections.abc import Iterator
from dataclasses import dataclass, field

PAGE = 4096
NO_LIMIT = 2**64 - 1


@dataclass(eq=False)
class Group:
    name: str
    parent: "Group | None"
    children: list["Group"] = field(default_factory=list)
    usage: int = 0  # pages
    peak: int = 0
    max: int = NO_LIMIT  # bytes
    high: int = NO_LIMIT
    low: int = 0
    events: int = 0
    local: int = 0
    refused: int = 0  # allocations, not attempts
    forced: int = 0
    kills: bool = False  # epc.oom
    oom_kills: int = 0
    dead: bool = False
    lru: list[tuple["Enclave", int]] = field(default_factory=list)
    cursor: "Group | None" = None

    def up(self, stop: "Group | None" = None) -> Iterator["Group"]:
        group: Group | None = self
        while group is not None and group is not stop:
            yield group
            group = group.parent

    def tree(self) -> Iterator["Group"]:
        yield self
        for child in self.children:
            yield from child.tree()

    def listed(self) -> int:
        return sum(len(group.lru) for group in self.tree())

    def after(self, root: "Group") -> "Group":
        """The next in pre-order below ``root``, cyclically."""
        order = list(root.tree())
        return order[(order.index(self) + 1) % len(order)]

    @property
    def own(self) -> int:
        """Pages charged to the group itself."""
        return self.usage - sum(child.usage for child in self.children)

    def add_page(self) -> None:
        self.usage += 1
        self.peak = max(self.peak, self.usage)

    def try_charge(self, capacity: int) -> "Group | None":
        """None when one page was charged up to the root, else the group that refused."""
        done: list[Group] = []
        for level in self.up():
            if (level.usage + 1) * PAGE > min(level.max, capacity * PAGE):
                for below in done:
                    below.usage -= 1
                level.local += 1
                for above in level.up():
                    above.events += above.parent is not None
                return level
            level.add_page()
            done.append(level)
        return None

    def uncharge(self) -> None:
        for level in self.up():
            level.usage -= 1

    # Series fair, in pages.

    @property
    def room(self) -> int:
        return min(32, self.max // PAGE // 8)

    @property
    def target(self) -> int:
        return min(self.max // PAGE - self.room, self.high // PAGE)

    @property
    def trigger(self) -> int:
        return min(self.max // PAGE - self.room // 2, self.high // PAGE)

    @property
    def is_low(self) -> bool:
        return bool(self.low // PAGE) and self.usage <= self.low // PAGE


@dataclass(eq=False)
class Enclave:
    size: int
    home: Group
    pages: dict[int, Group | None] = field(default_factory=dict)  # charged group, None = evicted
    loaded: set[int] = field(default_factory=set)
    secs: Group | None = None
    secs_out: bool = False
    va: list[Group] = field(default_factory=list)
    count: int = 0
    held: Group | None = None
    ready: bool = False
    killed: bool = False
    asked: int = -1  # page whose allocation was refused and is being asked again

    @property
    def nr_pages(self) -> int:
        """EPC pages it holds."""
        return sum(map(bool, [*self.pages.values(), *self.va, self.secs, self.held]))

    def rank(self, level: Group) -> tuple[int, int, int]:
        """How much it deserves to be killed for the room of a level; see docs/series.md."""
        between = list(self.home.up(level))
        over = [up.usage - min(up.max, up.high) // PAGE for up in between]
        unprotected = [max(up.usage - up.low // PAGE, 0) for up in between]
        return max([0, *over]), min([self.home.own, *unprotected]), self.nr_pages


@dataclass
class Pass:
    root: Group
    want: int
    done: int = 0
