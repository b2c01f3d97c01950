"""What the engine answers. Values only; no rule lives here."""

from enum import IntEnum


class Outcome(IntEnum):
    """The answer of one step of an operation.

    ``EVICT``, ``BUSY`` and ``KILL`` ask the machine to do something and to ask again; all others end the
    operation.
    """

    #: The page is resident already.
    HIT = 0
    #: A new zero page was charged and put on the LRU (EADD, EAUG), or an enclave was created.
    CREATED = 1
    #: An evicted page was charged again and put on the LRU (ELDU).
    LOADED = 2
    #: A batch has been isolated: evict it, call ``finish``, ask again.
    EVICT = 3
    #: Cannot be had now; background work is queued: run its passes, ask again.
    BUSY = 4
    #: Nothing is reclaimable under the limit (ENOMEM): a fault becomes SIGBUS.
    REFUSED = 5
    #: A signal is pending (ERESTARTSYS).
    INTERRUPTED = 6
    #: There is no such page and none may be made (EFAULT): a fault becomes SIGBUS.
    NO_PAGE = 7
    #: The operation would never return (series v2 only); the kernel loops for ever here.
    LIVELOCK = 8
    #: No room, and the level's ``epc.oom`` is ``kill``: end the enclave in ``Epc.victim``, call
    #: ``Epc.finish_kill``, ask again.
    KILL = 9


class PageState(IntEnum):
    """Where the contents of a page of an enclave are."""

    #: Nowhere: never touched, removed or lost.
    ABSENT = 0
    #: In EPC, charged to a group.
    RESIDENT = 1
    #: Written out, not charged.
    EVICTED = 2


class Written(IntEnum):
    """What a machine did with one page of an isolated batch."""

    #: The contents are in the backing store; the EPC page can be freed.
    WRITTEN = 0
    #: The page was used since the last look; it goes to the tail of its list.
    YOUNG = 1
    #: No backing store; the page goes to the tail of its list.
    FAILED = 2
