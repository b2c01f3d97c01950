"""What the pager knows of one enclave: descriptors, addresses, the state of every page.

Only between two messages may a state change; one thread owns everything here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from epcgroup.abi.peer import Peer
from epcgroup.pager.seal import Seal
from epcgroup.pager.store import Slab

# The row of an enclave in the table of descriptors served, int64; number 0: none of ours.
(
    ROW_NUMBER,
    ROW_GROUP,
    ROW_BASE,
    ROW_NR_PAGES,
    ROW_OFFSET,  # of its pages in the engine's tables
    ROW_IS_WATCHED,
    # Addresses of its versions (u64 a page), slots (u32), free slots (u32) and their number (u64).
    ROW_VERSIONS,
    ROW_SLOTS,
    ROW_FREE,
    ROW_NR_FREE,
) = range(10)
ROW_COLUMNS: Final = 10


class State(IntEnum):
    """State of a page in the pager; one byte a page.

    ========  ============  ====================  =======
    state     backing file  slab                  charged
    ========  ============  ====================  =======
    ABSENT    hole          none                  no
    MAPPED    page          none                  yes
    YOUNG     page          none                  yes      (touched since the ager tried it)
    PARKED    hole          plain copy            yes      (the ager tries whether it is touched)
    EVICTED   hole          sealed copy           no
    POISONED  hole          none                  no       (a touch is SIGBUS)
    ========  ============  ====================  =======
    """

    ABSENT = 0
    MAPPED = 1
    YOUNG = 2
    PARKED = 3
    EVICTED = 4
    POISONED = 5


def _no_row() -> "memoryview[int]":
    return memoryview(bytearray(8 * ROW_COLUMNS)).cast("q")


@dataclass(slots=True, eq=False)
class Enclave:
    """One enclave; ``number`` and ``group`` are the engine's, ``base`` is an address in the client."""

    number: int
    group: int
    peer: Peer
    nr_pages: int
    file: int
    seal: Seal
    slab: Slab
    #: A ``State`` a page.
    state: "memoryview[int]"
    pidfd: int
    #: Ends the connection; the argument says what rule the client broke, None: none, its process has ended.
    on_end: Callable[[str | None], None]
    uffd: int = -1
    base: int = 0
    #: Its row in the table of descriptors served (``desk``).
    row: "memoryview[int]" = field(default_factory=_no_row)

    def charge_to(self, group: int) -> None:
        """From now on another group pays; what is charged stays charged where it is."""
        self.group = group
        self.row[ROW_GROUP] = group

    def count(self, *states: State) -> int:
        """Return how many pages are in one of some states."""
        now = bytes(self.state)
        return sum(now.count(state) for state in states)

    @property
    def nr_mapped(self) -> int:
        """Pages that should be in the backing file."""
        return self.count(State.MAPPED, State.YOUNG)

    @property
    def nr_parked(self) -> int:
        """Pages kept in plain while the ager tries them."""
        return self.count(State.PARKED)

    @property
    def nr_sealed(self) -> int:
        """Pages whose sealed copy is in the store."""
        return self.slab.nr_used - self.nr_parked

    def __str__(self) -> str:
        return f"enclave {self.number} (pid {self.peer.pid})"
