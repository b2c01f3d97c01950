"""What a replacement policy is: four small compiled functions and a name.

The engine decides *how many* pages leave *which list*: that is isolation, and the same for every policy. A
policy decides *which pages* of the list. It never sees limits, batches or enclaves that end.

What must not live here: a policy, and how a loop calls one (``bind.py``).
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from epcgroup.sim.policy.memory import Memory
from epcgroup.state.layout import Sizes, State


class Policy(ABC):
    """A replacement policy; subclass it, fill in four static methods, name it.

    The methods are compiled: they see arrays and integers only, and cannot allocate. ``s`` is the engine's
    state, to be read, never written; ``m`` is the policy's own memory (``memory.Memory``), all zero at the
    start. ``group`` is the row of ``m.lists`` of the list (the group that owns it), ``frame`` the row of
    ``m.frames`` of an EPC page. The layer between promises: each ``inserted`` is followed by exactly one
    ``removed`` for the same list before the next ``inserted`` of that frame.
    """

    #: What ``--policy`` is given.
    name: ClassVar[str]
    #: One sentence for people.
    sentence: ClassVar[str]
    #: Paper or code that defines it.
    source: ClassVar[str]
    #: Whether it must know the references to come (``foresee``).
    needs_future: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        """A page was created or loaded in ``frame`` and stands on the list of ``group``."""

    @staticmethod
    @abstractmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        """The page in ``frame`` was used."""

    @staticmethod
    @abstractmethod
    def victim(s: State, m: Memory, group: int) -> int:
        """Return the frame whose page is to leave ``group``'s list; 0: leave it to the engine.

        ``removed`` follows; the answer may be the frame of a page that vanished, then it is asked again.
        """

    @staticmethod
    @abstractmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        """The page in ``frame`` left: ``evicted``, or gone with its enclave (then ``s`` knows it no more)."""

    @classmethod  # noqa: B027  (most policies have nothing to do here)
    def prepare(cls, m: Memory, sizes: Sizes) -> None:
        """Fill a new memory with what is not zero at the start; here nothing."""

    @classmethod  # noqa: B027
    def foresee(cls, m: Memory, first_element: int, references: NDArray[np.uint32], repeats: bool) -> None:
        """Take note of what a program will refer to; here nothing.

        Args:
            m: the memory, with room for the references.
            first_element: index of the enclave's first page in the engine's ``pages``.
            references: pages in order of use, uint32; bit 31 is no part of the page.
            repeats: it begins again at the end.
        """
