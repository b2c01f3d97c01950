"""Ghosts: pages that left, in the order they left, one queue for each list, linked through ``pages``.

A page that comes back while its ghost is there was evicted too early. An enclave's place in ``pages`` may be
given to another one: the serial tells whose ghost it is.
"""

from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim.policy.memory import (
    FRAME_ELEMENT,
    LIST_GHOST,
    PAGE_ENCLAVE,
    PAGE_LIST,
    PAGE_NEXT,
    PAGE_PREVIOUS,
    QUEUE_HEAD,
    QUEUE_LENGTH,
    QUEUE_TAIL,
    Memory,
)
from epcgroup.state import layout as at
from epcgroup.state.layout import State

_HEAD = LIST_GHOST + QUEUE_HEAD
_TAIL = LIST_GHOST + QUEUE_TAIL
_LENGTH = LIST_GHOST + QUEUE_LENGTH


@inlined
def _serial(s: State, frame: int) -> int:
    return int(s.enclaves[nth(s.frames[nth(frame), at.FRAME_ENCLAVE]), at.ENCLAVE_ID])


@inlined
def _unlink(m: Memory, page: int) -> None:
    """Take a page (1 + index) out of the queue it stands in."""
    row = nth(page - 1)
    group = m.pages[row, PAGE_LIST]
    following = m.pages[row, PAGE_NEXT]
    previous = m.pages[row, PAGE_PREVIOUS]
    if following:
        m.pages[nth(following - 1), PAGE_PREVIOUS] = previous
    else:
        m.lists[nth(group), _TAIL] = previous
    if previous:
        m.pages[nth(previous - 1), PAGE_NEXT] = following
    else:
        m.lists[nth(group), _HEAD] = following
    m.pages[row, PAGE_LIST] = 0
    m.lists[nth(group), _LENGTH] -= 1


@inlined
def add(s: State, m: Memory, group: int, frame: int) -> None:
    """Remember the page in ``frame``, which is about to leave the list of ``group``."""
    page = m.frames[nth(frame), FRAME_ELEMENT]
    row = nth(page - 1)
    if m.pages[row, PAGE_LIST]:
        _unlink(m, page)
    tail = m.lists[nth(group), _TAIL]
    m.pages[row, PAGE_LIST] = group
    m.pages[row, PAGE_ENCLAVE] = _serial(s, frame)
    m.pages[row, PAGE_NEXT] = 0
    m.pages[row, PAGE_PREVIOUS] = tail
    if tail:
        m.pages[nth(tail - 1), PAGE_NEXT] = page
    else:
        m.lists[nth(group), _HEAD] = page
    m.lists[nth(group), _TAIL] = page
    m.lists[nth(group), _LENGTH] += 1


@inlined
def take(s: State, m: Memory, group: int, frame: int) -> bool:
    """Return whether the page that came in ``frame`` was remembered by ``group``; it no longer is then."""
    page = m.frames[nth(frame), FRAME_ELEMENT]
    row = nth(page - 1)
    if not m.pages[row, PAGE_LIST]:
        return False
    known = m.pages[row, PAGE_LIST] == group and m.pages[row, PAGE_ENCLAVE] == _serial(s, frame)
    _unlink(m, page)
    return bool(known)


@inlined
def trim(m: Memory, group: int, nr_pages: int) -> None:
    """Forget the oldest ghosts of a list beyond so many."""
    while m.lists[nth(group), _LENGTH] > nr_pages:
        _unlink(m, m.lists[nth(group), _HEAD])
