"""A machine under a policy, one reference at a time: for tests and for looking at a policy at work."""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit
from epcgroup.engine import reclaim
from epcgroup.errors import InvariantError
from epcgroup.face import entry as over
from epcgroup.face.epc import Epc
from epcgroup.sim.policy import SECOND_CHANCE, find
from epcgroup.sim.policy.hooks import answer, arrive, touch
from epcgroup.sim.policy.memory import FRAME_ELEMENT, FRAME_LIST, NR_DECLINED, Memory, views
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome, Written

_PATIENCE = 10_000


@jit
def _touch(buffer: NDArray[np.uint8], memory: NDArray[np.uint8], element: int) -> None:
    touch(over.state_over(buffer), memory, element)


@jit
def _arrive(buffer: NDArray[np.uint8], memory: NDArray[np.uint8], element: int) -> None:
    arrive(over.state_over(buffer), memory, element)


@jit
def _answer(buffer: NDArray[np.uint8], memory: NDArray[np.uint8], outcomes: NDArray[np.uint8]) -> None:
    answer(over.state_over(buffer), memory, outcomes)


class Steps:
    """The three calls of a policy, around the operations of an engine.

    Attributes:
        epc: the engine.
        memory: what the policy remembers.
        left: (enclave, page) of every page that was written out, in order.
    """

    def __init__(self, epc: Epc, policy: str = SECOND_CHANCE, nr_references: int = 0) -> None:
        self.epc = epc
        self.left: list[tuple[int, int]] = []
        state = epc.state
        sizes = at.Sizes(
            len(state.frames) - 1, len(state.groups) - 1, len(state.enclaves) - 1, len(state.pages)
        )
        self._buffer = over.buffer_of(state)
        self._memory = np.zeros(0, np.uint8)
        self._calls = _touch, _arrive, _answer
        self.policy = None if policy == SECOND_CHANCE else find(policy)
        if self.policy:
            self._memory = self.policy.memory(sizes, nr_references)
            self._calls = tuple(self.policy.bind_to(call) for call in self._calls)  # type: ignore[assignment]

    @property
    def memory(self) -> Memory:
        """The policy's tables; the default has none."""
        return views(self._memory)

    @property
    def nr_declined(self) -> int:
        """Pages that left by the engine's choice, as the policy named none that could."""
        return int(self.memory.words[NR_DECLINED]) if self.policy else 0

    def element(self, enclave: int, page: int) -> int:
        """Return the index of a page in the engine's ``pages``."""
        return int(self.epc.state.enclaves[enclave, at.ENCLAVE_OFFSET]) + page

    def foresee(self, enclave: int, references: NDArray[np.uint32], repeats: bool = False) -> None:
        """Tell the policy what an enclave's program will refer to."""
        if self.policy:
            self.policy.foresee(self._memory, self.element(enclave, 0), references, repeats)

    def act(self) -> None:
        """Answer the isolated batch."""
        outcomes = np.zeros(len(self.epc.batch), np.uint8)
        self._calls[2](self._buffer, self._memory, outcomes)
        for row, (enclave, page, _) in enumerate(self.epc.batch.tolist()):
            if outcomes[row] == Written.WRITTEN and reclaim.is_row_valid(self.epc.state, row):
                self.left.append((enclave, page))
        self.epc.finish(outcomes)

    def background(self) -> None:
        """Do background work until none is left.

        Raises:
            InvariantError: it does not end.
        """
        for _ in range(_PATIENCE):
            if not self.epc.isolate():
                return
            self.act()
        raise InvariantError(f"background work goes on after {_PATIENCE} batches")

    def refer(self, enclave: int, page: int, group: int) -> Outcome:
        """Refer to a page for a task of a group, reclaiming as long as it takes; the final outcome.

        Raises:
            InvariantError: it does not end.
        """
        for _ in range(_PATIENCE):
            outcome = self.epc.fault(enclave, page, group)
            if outcome is not Outcome.EVICT and not (outcome is Outcome.BUSY and self.epc.isolate()):
                break
            self.act()
        else:
            raise InvariantError(f"a fault goes on after {_PATIENCE} batches")
        if outcome is Outcome.HIT:
            self._calls[0](self._buffer, self._memory, self.element(enclave, page))
        elif outcome in (Outcome.CREATED, Outcome.LOADED):
            self._calls[1](self._buffer, self._memory, self.element(enclave, page))
        return outcome

    def check(self) -> None:
        """Check that the policy knows every reclaimable page, on the list it stands on.

        Raises:
            InvariantError: a page it does not know, or knows elsewhere.
        """
        if self.policy is None:
            return
        state, memory = self.epc.state, self.memory
        frames = np.nonzero(state.frames[:, at.FRAME_FLAGS] & at.FRAME_LISTED)[0]
        rows = state.frames[frames]
        elements = state.enclaves[rows[:, at.FRAME_ENCLAVE], at.ENCLAVE_OFFSET] + rows[:, at.FRAME_PAGE]
        unknown = frames[memory.frames[frames, FRAME_ELEMENT] != elements + 1]
        if len(unknown):
            raise InvariantError(
                f"policy {self.policy.name}: pages in frames {unknown[:5]} are unknown to it"
            )
        lists = memory.frames[frames, FRAME_LIST]
        owners = rows[:, at.FRAME_GROUP]
        if not (np.isin(lists, at.ROOT) | (lists == owners)).all():
            raise InvariantError(f"policy {self.policy.name}: pages are known on lists of other groups")
