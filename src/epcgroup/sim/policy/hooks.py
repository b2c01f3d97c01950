"""Where a loop meets the policy: three calls. As they stand here they are the kernel's second chance.

A loop imports them by name and calls them; ``bind`` makes the copy of the loop in which they are those of a
policy (``under.py``). The loop as written has no policy in it: ``touch`` is one store, ``arrive`` nothing.
"""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined
from epcgroup.engine import background
from epcgroup.state import layout as at
from epcgroup.state.layout import State


@inlined
def touch(s: State, memory: NDArray[np.uint8], element: int) -> None:
    """A resident page was used; ``element``: its index in ``s.pages``."""
    s.marks[element] |= np.uint8(at.PAGE_ACCESSED)


@inlined
def arrive(s: State, memory: NDArray[np.uint8], element: int) -> None:
    """A page was created or loaded."""


@inlined
def answer(s: State, memory: NDArray[np.uint8], outcomes: NDArray[np.uint8]) -> None:
    """Decide about the isolated batch: one ``Written`` a row, for ``background.finish``."""
    background.age(s, outcomes)
