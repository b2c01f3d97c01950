"""Reclaim: a pass isolates a batch, the machine acts on it, ``finish_*`` accounts for what happened.

A *pass* is a walk from one group that scans a wanted number of pages, possibly in several batches. Its
progress is kept in one of four contexts of the state (allocation, worker, ksgxd, write), so that a machine
can carry out a batch in between. Only one batch is isolated at a time.
"""

from epcgroup.compiled import native
from epcgroup.compiled.jit import inlined, jit, nth
from epcgroup.engine import lru, page, section, walk
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import State

_STAMP = 2**30 - 1


@inlined
def begin(s: State, context: int, root: int, want: int) -> None:
    """Start a pass from ``root`` that scans at least ``want`` pages."""
    s.machine[context + at.PASS_ROOT] = root
    s.machine[context + at.PASS_WANT] = 1 if s.machine[on.WALK] == on.WALK_ONE_LIST else want
    s.machine[context + at.PASS_DONE] = 0
    s.machine[context + at.PASS_WRITTEN] = 0


@inlined
def _fill_row(s: State, row: int, frame: int) -> None:
    where = at.BATCH + at.BATCH_COLUMNS * row
    enclave = s.frames[frame, at.FRAME_ENCLAVE]
    index = s.frames[frame, at.FRAME_PAGE]
    s.machine[where] = enclave
    s.machine[where + 1] = index
    s.machine[where + 2] = s.frames[frame, at.FRAME_GROUP]
    s.machine[where + 3] = frame
    # Ageing asks for the mark, writing out for the page: both are on their way while the batch is taken.
    element = nth(s.enclaves[enclave, at.ENCLAVE_OFFSET] + index)
    native.prefetch(s.marks, element)
    native.prefetch(s.pages, element)


@inlined
def _isolate_from(s: State, group: int, nr_pages: int) -> int:
    """Move up to ``nr_pages`` from the head of a group's list into the batch; returns how many."""
    frame = s.groups[group, at.GROUP_LRU_HEAD]
    first = s.machine[at.BATCH_NR]
    row = first
    end = min(at.BATCH_ROWS, first + nr_pages)
    while frame and row < end:
        if s.frames[frame, at.FRAME_FLAGS] & at.FRAME_UNMARKED and s.machine[on.UNMARKED_BLOCKS]:
            break
        following = lru.isolate_head(s, frame)
        _fill_row(s, row, frame)
        row += 1
        s.groups[s.frames[frame, at.FRAME_GROUP], at.STAT_SCANNED] += 1
        frame = following
    lru.set_head(s, group, frame)
    s.machine[at.BATCH_NR] = row
    lru.count(s, group, first - row)
    # V2 B1: an unmarked page is left where it is while the scan budget runs down.
    return nr_pages if frame and row < end else row - first


@inlined
def open_batch(s: State, context: int, cause: int) -> None:
    """Note whose batch is being isolated."""
    s.machine[at.BATCH_SERIAL] += 1
    s.machine[at.BATCH_WRITTEN] = 0
    s.machine[at.BATCH_CONTEXT] = context
    s.machine[at.BATCH_CAUSE] = cause
    s.machine[at.BATCH_IGNORE_AGE] = s.machine[context + at.PASS_IGNORE_AGE]
    s.machine[at.BATCH_MAX_WRITTEN] = s.machine[on.NR_MAX_WRITTEN]


@inlined
def _choose(s: State, root: int) -> int:
    if s.machine[on.WALK] == on.WALK_ONE_LIST:
        return at.ROOT
    if s.machine[on.PREFERS_OVER]:
        return walk.next_preferred(s, root)
    return walk.next_round_robin(s, root)


@inlined
def _scan_size(s: State, root: int, context: int) -> int:
    size = s.machine[on.NR_TO_SCAN]
    if s.machine[on.PREFERS_OVER]:
        # fair: a small group is not emptied by one batch, and no more is taken than was asked for.
        eighth = (s.groups[root, at.GROUP_NR_LRU_TREE] >> 3) + 1
        left = s.machine[context + at.PASS_WANT] - s.machine[context + at.PASS_DONE]
        size = min(size, max(eighth, left))
    return int(size)


@jit
def step(s: State, context: int, cause: int) -> int:
    """Isolate the next batch of a pass; returns its size, 0 when the pass is over.

    Source: V17, sgx_cgroup_reclaim_pages: one list a step, until enough was scanned or no list holds a page.
    """
    root = s.machine[context + at.PASS_ROOT]
    if not root:
        return 0
    scanned_enough = s.machine[context + at.PASS_DONE] >= s.machine[context + at.PASS_WANT]
    tree = at.ROOT if s.machine[on.WALK] == on.WALK_ONE_LIST else root
    if scanned_enough or s.groups[tree, at.GROUP_NR_LRU_TREE] == 0:
        s.machine[context + at.PASS_ROOT] = 0
        return 0
    size = _scan_size(s, tree, context)
    open_batch(s, context, cause)
    done = _isolate_from(s, _choose(s, tree), size)
    s.machine[context + at.PASS_DONE] += done
    return done


@jit
def isolate_shared(s: State, context: int, root: int, nr_pages: int, cause: int) -> int:
    """Isolate the batch of one V2 pass: up to ``nr_pages`` scanned over several groups; returns its size.

    Source: V2 13/18 and 17/18, sgx_epc_cgroup_isolate_pages.
    """
    open_batch(s, context, cause)
    left = nr_pages
    first = True
    while left > 0:
        group = walk.next_shared(s, root, first)
        if not group:
            break
        first = False
        left -= _isolate_from(s, group, left)
    return int(s.machine[at.BATCH_NR])


@inlined
def is_row_valid(s: State, row: int) -> bool:
    """Return whether the page of a batch row is still isolated (its enclave may have gone meanwhile)."""
    frame = s.machine[at.BATCH + at.BATCH_COLUMNS * row + 3]
    return bool(frame and s.frames[frame, at.FRAME_FLAGS] & at.FRAME_ISOLATED)


@inlined
def return_row(s: State, row: int) -> int:
    """Put a page of the batch back at the tail of its list; returns the list's group, where to count it."""
    frame = s.machine[at.BATCH + at.BATCH_COLUMNS * row + 3]
    s.frames[frame, at.FRAME_FLAGS] &= ~at.FRAME_ISOLATED
    return lru.append(s, frame)


@inlined
def put_back(s: State, row: int) -> None:
    """Put a page of the batch back at the tail of its list: young, or no backing store."""
    lru.count(s, return_row(s, row), 1)


@inlined
def _may_be_taken(s: State, frame: int) -> bool:
    flags = s.frames[frame, at.FRAME_FLAGS]
    blocked = flags & at.FRAME_UNMARKED and s.machine[on.UNMARKED_BLOCKS]
    return bool(flags & (at.FRAME_LISTED | at.FRAME_ISOLATED) and not blocked)


@inlined
def exchange(s: State, row: int, frame: int) -> bool:
    """Let another page of the same list leave in place of that of a batch row; returns whether it does.

    For machines that choose their victims themselves: the engine says how many pages of which list leave,
    they say which. The page of the row returns to the head of the list, from where it was taken; going from
    the last row to the first keeps the order of those that return. A page that another row holds changes
    places with it. Sums stay as they are: the page that left the batch no longer counts as scanned, the one
    that came does.

    Args:
        s: the state.
        row: a row whose page is still isolated (``is_row_valid``).
        frame: the EPC page to leave; any number from 0 to the last frame.

    Returns:
        False, with nothing changed: ``frame`` is free, overhead, on another list, or blocked (V2 B1).
    """
    where = at.BATCH + at.BATCH_COLUMNS * row
    other = s.machine[where + 3]
    if frame == other:
        return True
    group = lru.owner(s, other)
    if not _may_be_taken(s, frame) or lru.owner(s, frame) != group:
        return False
    if s.frames[frame, at.FRAME_FLAGS] & at.FRAME_ISOLATED:
        for each in range(s.machine[at.BATCH_NR]):
            if s.machine[at.BATCH + at.BATCH_COLUMNS * each + 3] == frame:
                _fill_row(s, each, other)
    else:
        lru.isolate(s, group, frame)
        lru.restore(s, group, other)
        s.groups[s.frames[other, at.FRAME_GROUP], at.STAT_SCANNED] -= 1
        s.groups[s.frames[frame, at.FRAME_GROUP], at.STAT_SCANNED] += 1
    _fill_row(s, row, frame)
    return True


@inlined
def write_row(s: State, row: int) -> bool:
    """Account for one page that was written out; returns whether its SECS must leave too.

    The SECS of an initialised enclave leaves with its last child. The EPC page itself is freed by
    ``free_row``. Source: sgx_reclaimer_write.
    """
    where = at.BATCH + at.BATCH_COLUMNS * row
    enclave = s.machine[where]
    charged = s.machine[where + 2]
    element = s.enclaves[enclave, at.ENCLAVE_OFFSET] + s.machine[where + 1]
    s.groups[charged, at.STAT_RECLAIMED] += 1
    s.pages[element] = -1 - (s.groups[charged, at.STAT_RECLAIMED] & _STAMP)
    s.machine[at.EBLOCK] += 1
    s.machine[at.EWB] += 1
    if s.enclaves[enclave, at.ENCLAVE_TRACKED] != s.machine[at.BATCH_SERIAL]:
        # The first EWB of a batch finds the enclave not tracked: ETRACK, then EWB again.
        s.enclaves[enclave, at.ENCLAVE_TRACKED] = s.machine[at.BATCH_SERIAL]
        s.machine[at.ETRACK] += 1
        s.machine[at.EWB] += 1
    s.enclaves[enclave, at.ENCLAVE_NR_EVICTED] += 1
    s.enclaves[enclave, at.ENCLAVE_NR_CHILDREN] -= 1
    s.machine[s.machine[at.BATCH_CONTEXT] + at.PASS_WRITTEN] += 1
    s.machine[at.BATCH_WRITTEN] += 1
    return bool(
        s.enclaves[enclave, at.ENCLAVE_NR_CHILDREN] == 0
        and s.enclaves[enclave, at.ENCLAVE_FLAGS] & at.ENCLAVE_INITIALISED
        and s.enclaves[enclave, at.ENCLAVE_SECS]
    )


@jit
def write_secs(s: State, enclave: int) -> None:
    """Write the SECS out and free its page."""
    frame = s.enclaves[enclave, at.ENCLAVE_SECS]
    s.machine[at.EWB] += 1
    s.machine[at.EREMOVE] += 1
    s.enclaves[enclave, at.ENCLAVE_SECS] = 0
    s.enclaves[enclave, at.ENCLAVE_FLAGS] |= at.ENCLAVE_SECS_OUT
    page.release(s, frame)


@inlined
def empty_row(s: State, row: int) -> None:
    """Free the EPC page of a row that was written out; the caller gives its charge back."""
    where = at.BATCH + at.BATCH_COLUMNS * row + 3
    section.give(s, s.machine[where])
    s.machine[where] = 0


@inlined
def free_row(s: State, row: int) -> None:
    """Uncharge and free the EPC page of a row that was written out."""
    empty_row(s, row)
    page.uncharge(s, s.machine[at.BATCH + at.BATCH_COLUMNS * row + 2], 1)


@inlined
def close_batch(s: State) -> None:
    """End the batch: all its rows have been answered."""
    if s.machine[on.NR_PATIENCE_ROUNDS]:
        fails = s.machine[at.BATCH_CONTEXT] + at.PASS_FAILS
        s.machine[fails] = 0 if s.machine[at.BATCH_WRITTEN] else s.machine[fails] + s.machine[at.BATCH_NR]
    s.machine[at.BATCH_NR] = 0


@jit
def is_hopeless(s: State, context: int, root: int) -> bool:
    """Return whether everything below ``root`` was scanned in vain too often; the answer is given once."""
    rounds = s.machine[on.NR_PATIENCE_ROUNDS]
    listed = s.groups[root, at.GROUP_NR_LRU_TREE]
    if not rounds or s.machine[context + at.PASS_FAILS] <= rounds * listed + s.machine[on.NR_TO_SCAN]:
        return False
    s.machine[context + at.PASS_FAILS] = 0
    s.machine[context + at.PASS_ROOT] = 0
    return True
