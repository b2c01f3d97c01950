"""Who is blamed for pages that ksgxd writes out: the one rule, of groups (pager) and of pods (simulator).

A batch that serves a limit counts for the owner of the limit. A batch of ksgxd serves the machine: its pages
count for those whose allocations used up the free pages, in the order in which they did. A page charged is a
debt, unless the owner's own limit had just made one free. No decision depends on it: it is not in the state.

Plain functions on an ``account``, int64 (``nr_words(owners)``,): an array where they are compiled in, a
memoryview where machine code would cost more than they do. Owners are numbers from 0 on.
"""

from typing import Final, TypeAlias

from numpy import int64
from numpy.typing import NDArray

Account: TypeAlias = "NDArray[int64] | memoryview[int]"

#: Debts that are remembered: the most ksgxd frees in one refill (high watermark) and a batch.
MAX_DEBTS: Final = 96
#: Nobody is known who used up the page.
NOBODY: Final = -1
# Words of an account: debts ever noted, ever settled; the last of those noted (a ring); credits by owner.
_NOTED, _SETTLED, _DEBTS = range(3)
_CREDITS: Final = _DEBTS + MAX_DEBTS


def nr_words(nr_owners: int) -> int:
    """Return the size of an account, at first all zeros."""
    return _CREDITS + nr_owners


def charge(account: Account, owner: int) -> None:
    """A page was charged to an owner."""
    credit = account[_CREDITS + owner]
    if credit:
        account[_CREDITS + owner] = credit - 1
        return
    noted = account[_NOTED]
    account[_DEBTS + noted % MAX_DEBTS] = owner
    account[_NOTED] = noted + 1


def free(account: Account, owner: int, nr_pages: int) -> None:
    """An owner's own limit made pages of it free: so many of its next charges are no debts."""
    account[_CREDITS + owner] = min(account[_CREDITS + owner] + nr_pages, MAX_DEBTS)


def settle(account: Account) -> int:
    """Ksgxd makes a page free: return who used up the one it stands for, or ``NOBODY``."""
    noted, settled = account[_NOTED], account[_SETTLED]
    if noted - settled > MAX_DEBTS:
        settled = noted - MAX_DEBTS
    if settled == noted:
        return NOBODY
    account[_SETTLED] = settled + 1
    return int(account[_DEBTS + settled % MAX_DEBTS])


def forget(account: Account, owner: int) -> None:
    """An owner is gone, its number may be another's: it has neither debts nor credits."""
    debts = []
    while (debtor := settle(account)) != NOBODY:
        debts.append(debtor)
    account[_CREDITS + owner] = 0
    noted = account[_NOTED]
    others = [debtor for debtor in debts if debtor != owner]
    for number, debtor in enumerate(others):
        account[_DEBTS + (noted + number) % MAX_DEBTS] = debtor
    account[_NOTED] = noted + len(others)
