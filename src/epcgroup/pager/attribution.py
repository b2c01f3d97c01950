"""Who evicted whom: pages of one group written out on behalf of another.

A pass that serves a limit counts for the group of the limit. A pass of ksgxd serves the machine: its pages
count for those whose allocations used up the free pages, in the order in which they did.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

#: Allocations that count: the most ksgxd frees in one refill (high watermark) and a batch.
_MAX_DEBTS: Final = 96
#: Entries of the log that are kept between two passes of ksgxd.
MAX_LOG: Final = 1024
_GROUP_BITS: Final = 32
#: Key of evictions nobody can be named for.
MACHINE: Final = 0


class Attribution:
    """Counts by victim group and cause; a cause is a group, or the path of a group that was removed.

    ``note_charge`` is called for every page charged and only writes a log; what it means is worked out
    when ksgxd has evicted. In the log a group stands for a page it was charged; a negative entry says how
    many pages of a group its own limit made free. ``log``: int64, how many entries there were, then the last
    of them in a ring; compiled code notes charges in it too.
    """

    def __init__(self, log: "memoryview[int] | None" = None) -> None:
        self._pages: dict[int, Counter[int | str]] = {}
        self._log = memoryview(bytearray(8 * (1 + MAX_LOG))).cast("q") if log is None else log
        self._nr_settled = 0
        self._debts: deque[int] = deque(maxlen=_MAX_DEBTS)
        self._credits: Counter[int] = Counter()

    def note_charge(self, group: int) -> None:
        """A page was charged to a group."""
        log = self._log
        log[1 + log[0] % MAX_LOG] = group
        log[0] += 1

    def take_back_charge(self) -> None:
        """The last page charged could not be put in place."""
        self._log[0] -= 1

    def note_written(self, victims: Mapping[int, int], cause: int) -> None:
        """Pages were written out, so many of each group, for a limit of ``cause``, or 0: for ksgxd."""
        if not cause:
            self._settle()
        for victim, nr_pages in victims.items():
            counts = self._pages.get(victim)
            if counts is None:
                counts = self._pages[victim] = Counter()
            if cause:
                counts[cause] += nr_pages
                self.note_charge(-(nr_pages << _GROUP_BITS | victim))
                continue
            for _ in range(nr_pages):
                counts[self._debts.popleft() if self._debts else MACHINE] += 1

    def _settle(self) -> None:
        """Work the log off: a page charged is a debt, unless the group's own limit had just made one free."""
        log, end = self._log, self._log[0]
        for index in range(max(self._nr_settled, end - MAX_LOG), end):
            entry = log[1 + index % MAX_LOG]
            if entry < 0:
                nr_pages, victim = divmod(-entry, 1 << _GROUP_BITS)
                self._credits[victim] = min(self._credits[victim] + nr_pages, _MAX_DEBTS)
            elif self._credits[entry] > 0:
                self._credits[entry] -= 1
            else:
                self._debts.append(entry)
        self._nr_settled = end

    def forget_group(self, group: int, path: str) -> None:
        """A group is removed: what it suffered goes with it, what it caused stays under its path."""
        self._settle()
        self._pages.pop(group, None)
        self._credits.pop(group, None)
        self._debts = deque((g for g in self._debts if g != group), maxlen=_MAX_DEBTS)
        for counts in self._pages.values():
            if group in counts:
                counts[path] += counts.pop(group)

    def of_victim(self, victim: int, path_of: Callable[[int], str]) -> dict[str, int]:
        """Return pages of a group by the path of who caused their eviction."""
        named: Counter[str] = Counter()
        for cause, pages in self._pages.get(victim, {}).items():
            named[cause if isinstance(cause, str) else _name(cause, path_of)] += pages
        return dict(named)

    def text(self, victim: int, path_of: Callable[[int], str]) -> str:
        """Return the text of ``epc.reclaimed_by``: a line ``<path> <pages>`` for every cause."""
        lines = (f"{path} {pages}\n" for path, pages in sorted(self.of_victim(victim, path_of).items()))
        return "".join(lines)


def _name(cause: int, path_of: Callable[[int], str]) -> str:
    return "ksgxd" if cause == MACHINE else path_of(cause)
