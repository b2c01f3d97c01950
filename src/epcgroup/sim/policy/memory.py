"""What policies remember: four tables over one buffer, laid out like the engine's state.

========= ====================================== =====================================================
table     shape, all int64                        holds
========= ====================================== =====================================================
words     (NR_WORDS,)                             sizes of the others, then words of the policy
frames    (nr_frames + 1, FRAME_COLUMNS)          one row an EPC page, one cache line
lists     (nr_groups + 1, LIST_COLUMNS)           one row a reclaimable list (that of a group)
pages     (nr_pages, PAGE_COLUMNS)                one row a page of an enclave: also those not on EPC
future    (nr_references,)                        what is known of the references to come
========= ====================================== =====================================================

All zero beyond the sizes is the valid empty memory. Compiled code cannot allocate: whatever a policy needs
has its place here. A new buffer costs no memory before it is used.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled import native
from epcgroup.compiled.jit import inlined
from epcgroup.state.layout import Sizes

# Words of ``words``.
(
    NR_FRAMES,
    NR_LISTS,
    NR_PAGES,
    NR_FUTURE,
    NR_DECLINED,  # pages that left by the engine's choice: the policy named none that could
    OWN_WORDS,
) = range(6)
NR_WORDS: Final = 64
# Columns of ``frames``. The first two belong to the layer (``under.py``), queues use the next three.
(
    FRAME_ELEMENT,  # 1 + index in the engine's ``pages`` of the page the policy knows here, 0 = none
    FRAME_LIST,  # the list it was put on
    FRAME_QUEUE,  # 1 + number of the queue it stands in, 0 = none
    FRAME_NEXT,
    FRAME_PREVIOUS,
    FRAME_OWN,  # from here on the policy's
) = range(6)
FRAME_COLUMNS: Final = 8
# Columns of ``lists``: queues, ghosts, then the policy's own.
NR_QUEUES: Final = 8
(QUEUE_HEAD, QUEUE_TAIL, QUEUE_LENGTH) = range(3)
QUEUE_WORDS: Final = 3
LIST_GHOST: Final = NR_QUEUES * QUEUE_WORDS
LIST_OWN: Final = LIST_GHOST + QUEUE_WORDS
LIST_COLUMNS: Final = 40
# Columns of ``pages``.
(
    PAGE_LIST,  # list in whose ghost queue the page stands, 0 = none
    PAGE_ENCLAVE,  # serial of the enclave it belonged to then
    PAGE_NEXT,  # 1 + index
    PAGE_PREVIOUS,
) = range(4)
PAGE_OWN: Final = PAGE_ENCLAVE  # for policies without ghosts
PAGE_COLUMNS: Final = 4


class Memory(NamedTuple):
    """The tables; see the module for shapes."""

    words: NDArray[np.int64]
    frames: NDArray[np.int64]
    lists: NDArray[np.int64]
    pages: NDArray[np.int64]
    future: NDArray[np.int64]


def create(sizes: Sizes, nr_references: int = 0) -> NDArray[np.uint8]:
    """Return an empty memory for a machine of these sizes, uint8."""
    shapes = _shapes(sizes.nr_frames, sizes.nr_groups, sizes.nr_pages, nr_references)
    buffer = np.zeros(8 * sum(rows * columns for rows, columns in shapes), np.uint8)
    words = buffer[: 8 * NR_WORDS].view(np.int64)
    words[:NR_DECLINED] = sizes.nr_frames, sizes.nr_groups, sizes.nr_pages, nr_references
    return buffer


def _shapes(nr_frames: int, nr_lists: int, nr_pages: int, nr_future: int) -> list[tuple[int, int]]:
    return [
        (NR_WORDS, 1),
        (nr_frames + 1, FRAME_COLUMNS),
        (nr_lists + 1, LIST_COLUMNS),
        (nr_pages, PAGE_COLUMNS),
        (nr_future, 1),
    ]


def views(buffer: NDArray[np.uint8]) -> Memory:
    """Return the tables of a memory to Python."""
    words = buffer.view(np.int64)
    tables: list[NDArray[Any]] = []
    offset = 0
    for rows, columns in _shapes(*words[:NR_DECLINED].tolist()):
        table = words[offset : offset + rows * columns]
        tables.append(table if columns == 1 else table.reshape(rows, columns))
        offset += rows * columns
    return Memory(*tables)


@inlined
def tables(buffer: NDArray[np.uint8]) -> Memory:
    """Return the tables of a memory; for compiled callers only."""
    words = native.row(buffer, 0, NR_WORDS, np.int64)
    nr_frames = words[NR_FRAMES] + 1
    nr_lists = words[NR_LISTS] + 1
    frames = 8 * NR_WORDS
    lists = frames + 8 * FRAME_COLUMNS * nr_frames
    pages = lists + 8 * LIST_COLUMNS * nr_lists
    future = pages + 8 * PAGE_COLUMNS * words[NR_PAGES]
    return Memory(
        words,
        native.table(buffer, frames, nr_frames, FRAME_COLUMNS, np.int64),
        native.table(buffer, lists, nr_lists, LIST_COLUMNS, np.int64),
        native.table(buffer, pages, words[NR_PAGES], PAGE_COLUMNS, np.int64),
        native.row(buffer, future, words[NR_FUTURE], np.int64),
    )
