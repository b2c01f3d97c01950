"""Queues: several for each list in ``lists``, linked through ``frames``; a frame stands in one at most."""

from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim.policy.memory import (
    FRAME_NEXT,
    FRAME_PREVIOUS,
    FRAME_QUEUE,
    QUEUE_HEAD,
    QUEUE_LENGTH,
    QUEUE_TAIL,
    QUEUE_WORDS,
    Memory,
)


@inlined
def head(m: Memory, group: int, queue: int) -> int:
    """Return the oldest frame of a queue, 0 if it is empty."""
    return int(m.lists[nth(group), nth(QUEUE_WORDS * queue + QUEUE_HEAD)])


@inlined
def tail(m: Memory, group: int, queue: int) -> int:
    """Return the youngest frame of a queue, 0 if it is empty."""
    return int(m.lists[nth(group), nth(QUEUE_WORDS * queue + QUEUE_TAIL)])


@inlined
def length(m: Memory, group: int, queue: int) -> int:
    """Return how many frames stand in a queue."""
    return int(m.lists[nth(group), nth(QUEUE_WORDS * queue + QUEUE_LENGTH)])


@inlined
def of(m: Memory, frame: int) -> int:
    """Return the number of the queue a frame stands in, -1 if in none."""
    return int(m.frames[nth(frame), FRAME_QUEUE]) - 1


@inlined
def append(m: Memory, group: int, queue: int, frame: int) -> None:
    """Put a frame that is in no queue at the young end of one."""
    first = QUEUE_WORDS * queue
    last = m.lists[nth(group), nth(first + QUEUE_TAIL)]
    m.frames[nth(frame), FRAME_QUEUE] = queue + 1
    m.frames[nth(frame), FRAME_PREVIOUS] = last
    m.frames[nth(frame), FRAME_NEXT] = 0
    if last:
        m.frames[nth(last), FRAME_NEXT] = frame
    else:
        m.lists[nth(group), nth(first + QUEUE_HEAD)] = frame
    m.lists[nth(group), nth(first + QUEUE_TAIL)] = frame
    m.lists[nth(group), nth(first + QUEUE_LENGTH)] += 1


@inlined
def remove(m: Memory, group: int, frame: int) -> None:
    """Take a frame out of its queue; nothing happens if it is in none."""
    if not m.frames[nth(frame), FRAME_QUEUE]:
        return
    first = QUEUE_WORDS * (m.frames[nth(frame), FRAME_QUEUE] - 1)
    following = m.frames[nth(frame), FRAME_NEXT]
    previous = m.frames[nth(frame), FRAME_PREVIOUS]
    if following:
        m.frames[nth(following), FRAME_PREVIOUS] = previous
    else:
        m.lists[nth(group), nth(first + QUEUE_TAIL)] = previous
    if previous:
        m.frames[nth(previous), FRAME_NEXT] = following
    else:
        m.lists[nth(group), nth(first + QUEUE_HEAD)] = following
    m.frames[nth(frame), FRAME_QUEUE] = 0
    m.lists[nth(group), nth(first + QUEUE_LENGTH)] -= 1


@inlined
def to_tail(m: Memory, group: int, queue: int, frame: int) -> None:
    """Move a frame to the young end of a queue, from wherever it stands."""
    remove(m, group, frame)
    append(m, group, queue, frame)
