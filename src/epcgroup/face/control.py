"""Writing the files of a group, and membership. Decides what a text means; the work it causes is queued.

Source: misc_cg_max_write; cgroup.procs semantics for ``epc.procs``.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from epcgroup.engine import group
from epcgroup.errors import TableFullError, UsageError
from epcgroup.state import files, limit
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import Names, State
from epcgroup.units import nr_pages


def write(state: State, names: Names, number: int, name: str, text: str | bytes) -> int:
    """Write ``text`` to a file of a group; returns the bytes taken. A write of no bytes does nothing.

    Raises:
        NoSuchFileError: no such file there (ENOENT).
        UsageError: refused by the grammar (EINVAL, ERANGE, E2BIG) or the file takes no writes (EINVAL).
    """
    files.find(state, number, name)
    handler = _HANDLERS.get(name)
    if handler is None:
        raise UsageError(f"{name} takes no writes")
    nr_bytes = len(text.encode("utf-8", "surrogateescape")) if isinstance(text, str) else len(text)
    if nr_bytes:
        limit.to_bytes(text)
        handler(state, names, number, text)
    return nr_bytes


def set_limit(state: State, number: int, text: str | bytes) -> str:
    """Store a limit written to ``misc.max``; returns the resource. Reclaims nothing itself.

    Raises:
        UsageError: refused by the grammar (EINVAL, ERANGE, E2BIG).
    """
    capacities = {
        name: at.unsigned(state.machine[at.CAPACITY + index]) for index, name in files.resources(state)
    }
    resource, value = limit.parse_misc_max(text, capacities)
    column = at.counter(at.RESOURCES.index(resource), at.MAX)
    state.groups[number, column] = at.signed(value)
    return resource


def _write_max(state: State, names: Names, number: int, text: str | bytes) -> None:
    resource = set_limit(state, number, text)
    if resource == at.RESOURCES[at.RESOURCE_EPC]:
        _queue_if_above(state, number)


def _queue_if_above(state: State, number: int) -> None:
    """Non-preemptive: the writer returns at once, the item works the excess off."""
    if state.machine[on.WRITE_QUEUES]:
        group.queue(state, number)


def _write_high(state: State, names: Names, number: int, text: str | bytes) -> None:
    state.groups[number, at.GROUP_HIGH] = at.signed(limit.parse_bytes(text))
    _queue_if_above(state, number)


def _write_low(state: State, names: Names, number: int, text: str | bytes) -> None:
    state.groups[number, at.GROUP_LOW] = at.signed(limit.parse_bytes(text))


def _write_oom(state: State, names: Names, number: int, text: str | bytes) -> None:
    state.groups[number, at.GROUP_OOM] = limit.parse_oom(text)


def _write_reclaim(state: State, names: Names, number: int, text: str | bytes) -> None:
    wanted = min(nr_pages(limit.parse_bytes(text)), int(state.machine[at.NR_FRAMES]))
    state.groups[number, at.GROUP_FORCED] += wanted
    state.groups[number, at.STAT_EVENT_FORCED] += 1
    group.queue(state, number)


def _write_procs(state: State, names: Names, number: int, text: str | bytes) -> None:
    pid = limit.parse_u64(limit.to_bytes(text).strip())
    if not 0 < pid < 2**31:
        raise UsageError(f"{pid} is no pid: 1 to {2**31 - 1}")
    attach(state, names, pid, number)


def attach(state: State, names: Names, pid: int, number: int) -> None:
    """Make a process a member of a group, taking it out of the one it was in.

    Raises:
        TableFullError: the table of members is full (ENOSPC).
    """
    table = names.processes
    rows = np.nonzero(table[:, 0] == pid)[0]
    if not len(rows):
        rows = np.nonzero(table[:, 0] == 0)[0]
        if not len(rows):
            raise TableFullError(f"the table of {len(table)} members is full")
    row = rows[0]
    detach(state, names, pid)
    table[row] = (pid, number)
    state.groups[number, at.GROUP_NR_PROCESSES] += 1


def detach(state: State, names: Names, pid: int) -> None:
    """Forget a process; nothing happens if it is no member anywhere."""
    for row in np.nonzero(names.processes[:, 0] == pid)[0]:
        state.groups[names.processes[row, 1], at.GROUP_NR_PROCESSES] -= 1
        names.processes[row] = 0


_HANDLERS: Final[dict[str, Callable[[State, Names, int, str | bytes], None]]] = {
    "misc.max": _write_max,
    "epc.high": _write_high,
    "epc.low": _write_low,
    "epc.oom": _write_oom,
    "epc.reclaim": _write_reclaim,
    "epc.procs": _write_procs,
}
