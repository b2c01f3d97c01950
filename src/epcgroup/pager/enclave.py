"""What the pager knows of one enclave: descriptors, addresses, the state of every page.

Only between two messages may a state change; one thread owns everything here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from epcgroup.abi.peer import Peer
from epcgroup.pager.seal import Seal
from epcgroup.pager.store import Slab


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
    pidfd: int
    #: Ends the connection; the argument says what rule the client broke, None: none, its process has ended.
    on_end: Callable[[str | None], None]
    uffd: int = -1
    base: int = 0
    state: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.state = bytearray(self.nr_pages)

    @property
    def nr_mapped(self) -> int:
        """Pages that should be in the backing file."""
        return self.state.count(State.MAPPED) + self.state.count(State.YOUNG)

    @property
    def nr_parked(self) -> int:
        """Pages kept in plain while the ager tries them."""
        return self.state.count(State.PARKED)

    def __str__(self) -> str:
        return f"enclave {self.number} (pid {self.peer.pid})"
