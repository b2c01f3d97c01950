"""Who evicted whom: pages of a group written out on behalf of another, by the rule of ``engine/blame.py``."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from epcgroup.engine import blame
from epcgroup.engine.blame import NOBODY, charge, free, settle

#: Entries of the log that are kept between two passes of ksgxd.
MAX_LOG: Final = 1024
_GROUP_BITS: Final = 32
#: Key of evictions nobody can be named for.
MACHINE: Final = 0
_WORD_BYTES: Final = 8


def _words(nr: int) -> "memoryview[int]":
    return memoryview(bytearray(_WORD_BYTES * nr)).cast("q")


class Attribution:
    """Counts by victim group and cause; a cause is a group, or the path of a group that was removed.

    ``note_charge`` is called for every page charged and only writes a log; what it means is worked out
    when ksgxd has evicted. In the log a group stands for a page it was charged; a negative entry says how
    many pages of a group its own limit made free. ``log``: int64, how many entries there were, then the last
    of them in a ring; compiled code notes charges in it too.
    """

    def __init__(self, nr_groups: int, log: "memoryview[int] | None" = None) -> None:
        self._pages: dict[int, Counter[int | str]] = {}
        self._log = _words(1 + MAX_LOG) if log is None else log
        self._nr_settled = 0
        self._account = _words(blame.nr_words(nr_groups + 1))

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
        account = self._account
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
                debtor = settle(account)
                counts[MACHINE if debtor == NOBODY else debtor] += 1

    def _settle(self) -> None:
        """Work the log off."""
        log, end, account = self._log, self._log[0], self._account
        for index in range(max(self._nr_settled, end - MAX_LOG), end):
            entry = log[1 + index % MAX_LOG]
            if entry < 0:
                nr_pages, victim = divmod(-entry, 1 << _GROUP_BITS)
                free(account, victim, nr_pages)
            else:
                charge(account, entry)
        self._nr_settled = end

    def forget_group(self, group: int, path: str) -> None:
        """A group is removed: what it suffered goes with it, what it caused stays under its path."""
        self._settle()
        self._pages.pop(group, None)
        blame.forget(self._account, group)
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
