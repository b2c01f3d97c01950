"""The part of the Python face that deals with reclaim: batches, and the last resort."""

import numpy as np
from numpy.typing import NDArray

from epcgroup.engine import background, oom, reclaim
from epcgroup.errors import UsageError
from epcgroup.face import entry
from epcgroup.face.groups import GroupFace
from epcgroup.state import layout as at
from epcgroup.state.layout import Names, State


class ReclaimFace(GroupFace):
    """What a machine does with ``EVICT`` and ``KILL``, and when it has time."""

    __slots__ = ("_batch", "_buffer", "_words")

    def __init__(self, state: State, names: Names) -> None:
        super().__init__(state, names)
        self._buffer = entry.buffer_of(state)
        self._words = state.machine.data  # three times faster to index than an array
        words = state.machine[at.BATCH : at.BATCH + at.BATCH_ROWS * at.BATCH_COLUMNS]
        self._batch = words.view(np.int32)[::2].reshape(at.BATCH_ROWS, at.BATCH_COLUMNS)

    def has_work(self) -> bool:
        """Return whether ``isolate`` has anything to look at; cheap."""
        words = self._words
        return bool(words[at.WORK_HEAD] or words[at.KSGXD_AWAKE] or words[at.WORK_CURRENT])

    def isolate(self) -> int:
        """Isolate the batch of the next background pass; returns its size, 0 when no work is left.

        Order: the item that is running, queued items, ksgxd.

        Raises:
            UsageError: a batch is waiting for ``finish``.
        """
        if self.state.machine[at.BATCH_NR]:
            raise UsageError("a batch is waiting for finish")
        return int(entry.isolate(self._buffer))

    @property
    def batch(self) -> NDArray[np.int32]:
        """The isolated pages, int32 (n, 3): enclave, page, group charged. A view: valid until ``finish``."""
        return self._batch[: self.state.machine[at.BATCH_NR], :3]

    @property
    def batch_cause(self) -> int:
        """The group on whose behalf the batch was isolated, 0 = ksgxd."""
        return int(self.state.machine[at.BATCH_CAUSE])

    def finish(self, outcomes: NDArray[np.uint8]) -> int:
        """Account for the batch; returns the pages written out. ``outcomes``: a ``Written`` a row, uint8.

        Written pages are uncharged and freed; the SECS of an initialised enclave leaves with its last page.

        Raises:
            UsageError: the number of outcomes is not that of the batch.
        """
        nr = int(self.state.machine[at.BATCH_NR])
        if len(outcomes) != nr:
            raise UsageError(f"{len(outcomes)} outcomes for a batch of {nr} pages")
        return int(entry.finish(self._buffer, outcomes))

    def age(self) -> NDArray[np.uint8]:
        """Return outcomes for the batch from the engine's own marks (machines without page tables)."""
        outcomes = np.zeros(int(self.state.machine[at.BATCH_NR]), np.uint8)
        background.age(self.state, outcomes)
        return outcomes

    def put_back_batch(self) -> None:
        """Undo ``isolate``: every page goes back to the tail of its list."""
        for row in range(int(self.state.machine[at.BATCH_NR])):
            if reclaim.is_row_valid(self.state, row):
                reclaim.put_back(self.state, row)
        reclaim.close_batch(self.state)

    # The last resort.

    @property
    def victim(self) -> int:
        """The enclave that the last ``KILL`` is about, 0 when it has ended; valid until ``finish_kill``."""
        return int(self.state.machine[at.VICTIM])

    def finish_kill(self) -> int:
        """Account for the end of the victim: its pages and charges come back, ``epc.kills`` names it.

        It stays known, its faults are ``NO_PAGE``, until ``enclave_release``. It may be the one that asked.

        Returns:
            The enclave; 0: it was released meanwhile, there is nothing to account for.
        """
        return int(oom.finish_kill(self.state))
