"""Reading the lists of a group without changing them: for agers, printers and checks."""

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State


@jit
def reclaimable(s: State, group: int, rows: NDArray[np.int32]) -> int:
    """Fill ``rows`` (n, 2) with (enclave, page) from the oldest on; returns how many rows were filled."""
    if s.machine[on.WALK] == on.WALK_ONE_LIST:
        group = at.ROOT
    done = 0
    frame = s.groups[group, at.GROUP_LRU_HEAD]
    while frame and done < rows.shape[0]:
        rows[done, 0] = s.frames[frame, at.FRAME_ENCLAVE]
        rows[done, 1] = s.frames[frame, at.FRAME_PAGE]
        done += 1
        frame = s.frames[frame, at.FRAME_NEXT]
    return done


@jit
def mark(s: State, seen: NDArray[np.int32], group: int, head: int, value: int) -> int:
    """Write ``value`` to ``seen[frame]`` for every frame of a list; returns its length, -1 if it is broken.

    Broken: a frame that was seen before, or a back link that does not match.
    """
    length = 0
    previous = 0
    frame = s.groups[group, head]
    while frame:
        if seen[frame] or s.frames[frame, at.FRAME_PREVIOUS] != previous:
            return -1
        seen[frame] = value
        length += 1
        previous = frame
        frame = s.frames[frame, at.FRAME_NEXT]
    return length if s.groups[group, head + 1] == previous else -1


@jit
def mark_free(s: State, seen: NDArray[np.int32], value: int) -> int:
    """Write ``value`` to ``seen`` for every free frame, linked or not; returns how many, -1 if broken."""
    length = 0
    for node in range(at.NR_NODES):
        frame = s.machine[at.NODES + 2 * node]
        last = 0
        while frame:
            if seen[frame]:
                return -1
            seen[frame] = value
            length += 1
            last = frame
            frame = s.frames[frame, at.FRAME_NEXT]
        if s.machine[at.NODES + 2 * node + 1] != last:
            return -1
    for index in range(at.NR_SECTIONS):
        section = at.SECTIONS + at.SECTION_WORDS * index
        for frame in range(s.machine[section + at.SECTION_FRESH], s.machine[section + at.SECTION_END]):
            if seen[frame]:
                return -1
            if not s.frames[frame, at.FRAME_FLAGS]:  # else it failed before it was ever used
                seen[frame] = value
                length += 1
    return length
