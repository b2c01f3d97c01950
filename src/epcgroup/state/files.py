"""The files of a group: which exist where, and their texts. Light: reads the arrays, imports no Numba.

``misc.*`` are the kernel's, byte for byte; ``epc.*`` are ours. Every group text describes the group with all
below it, as cgroup files do. docs/files.md is the table of this module for people.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from epcgroup.errors import NoSuchFileError
from epcgroup.state import kills, pressure, tree
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.layout import Buffer, Names, State
from epcgroup.state.limit import OOM_NAMES, format_limit
from epcgroup.units import PAGE_SIZE

_Render = Callable[[State, Names, int], str]
_Exists = Callable[[State, bool], bool]


@dataclass(frozen=True, slots=True)
class File:
    """A control file: mode, whether it exists for (state, is root), its text (None: write-only)."""

    name: str
    mode: int
    exists: _Exists
    render: _Render | None


def resources(state: State) -> list[tuple[int, str]]:
    """Return (index, name) of the resources the misc controller of this series knows."""
    known = at.RESOURCES if state.machine[on.HAS_RESOURCE] else at.RESOURCES[: at.RESOURCE_EPC]
    return list(enumerate(known))


def _per_resource(
    state: State, group: int, which: int, text: Callable[[str, int], str], *, hides_zero: bool
) -> str:
    lines = []
    for index, name in resources(state):
        value = at.unsigned(state.groups[group, at.counter(index, which)])
        if state.machine[at.CAPACITY + index] or (hides_zero and value):
            lines.append(text(name, value) + "\n")
    return "".join(lines)


def _capacity(state: State, names: Names, group: int) -> str:
    capacities = ((name, at.unsigned(state.machine[at.CAPACITY + index])) for index, name in resources(state))
    return "".join(f"{name} {capacity}\n" for name, capacity in capacities if capacity)


def _counter_file(which: int) -> _Render:
    def render(state: State, names: Names, group: int) -> str:
        return _per_resource(state, group, which, lambda name, value: f"{name} {value}", hides_zero=True)

    return render


def _max(state: State, names: Names, group: int) -> str:
    return _per_resource(
        state, group, at.MAX, lambda name, value: f"{name} {format_limit(value)}", hides_zero=False
    )


def _events_file(which: int) -> _Render:
    def render(state: State, names: Names, group: int) -> str:
        return _per_resource(state, group, which, lambda name, value: f"{name}.max {value}", hides_zero=True)

    return render


def _number_file(column: int) -> _Render:
    def render(state: State, names: Names, group: int) -> str:
        return f"{at.unsigned(state.groups[group, column])}\n"

    return render


def _limit_file(column: int) -> _Render:
    def render(state: State, names: Names, group: int) -> str:
        return f"{format_limit(at.unsigned(state.groups[group, column]))}\n"

    return render


def statistics(state: State, group: int) -> dict[str, int]:
    """Return the figures of ``epc.stat`` and ``epc.events`` of a group with all below it.

    ``resident evicted va secs`` are bytes now; ``stall_usec`` microseconds; all others counts of pages or
    events.
    """
    rows = list(tree.subtree(state, group))
    block = state.groups[rows, at.GROUP_STATISTICS : at.GROUP_STATISTICS + at.NR_STATISTICS].sum(axis=0)
    figures = dict(zip(at.STAT_NAMES, (int(value) for value in block), strict=True))
    homes = np.isin(state.enclaves[:, at.ENCLAVE_HOME], rows)
    evicted = int(state.enclaves[homes, at.ENCLAVE_NR_EVICTED].sum())
    for key in ("resident", "va", "secs"):
        figures[key] *= PAGE_SIZE
    return {"resident": figures.pop("resident"), "evicted": evicted * PAGE_SIZE, **figures}


_EVENT_KEYS: Final = ("low", "high", "max", "oom", "oom_kill", "forced")


def _stat(state: State, names: Names, group: int) -> str:
    figures = statistics(state, group)
    return "".join(f"{key} {value}\n" for key, value in figures.items() if key not in _EVENT_KEYS)


def _events(state: State, names: Names, group: int) -> str:
    figures = statistics(state, group)
    return "".join(f"{key} {figures[key]}\n" for key in _EVENT_KEYS)


def _pressure(state: State, names: Names, group: int) -> str:
    return pressure.text(state, group)


def _oom(state: State, names: Names, group: int) -> str:
    return f"{OOM_NAMES[state.groups[group, at.GROUP_OOM]]}\n"


def _procs(state: State, names: Names, group: int) -> str:
    return "".join(f"{pid}\n" for pid in tree.members(state, names, group))


def _always(state: State, is_root: bool) -> bool:
    return True


def _in_root(state: State, is_root: bool) -> bool:
    return is_root


def _below_root(state: State, is_root: bool) -> bool:
    return not is_root


def _current_exists(state: State, is_root: bool) -> bool:
    return not is_root or bool(state.machine[on.HAS_PEAK])


def _peak_exists(state: State, is_root: bool) -> bool:
    return bool(state.machine[on.HAS_PEAK])


def _local_exists(state: State, is_root: bool) -> bool:
    return not is_root and bool(state.machine[on.HAS_PEAK])


def _soft_exists(state: State, is_root: bool) -> bool:
    return not is_root and bool(state.machine[on.HAS_SOFT_LIMITS])


def _kills_exist(state: State, is_root: bool) -> bool:
    return bool(state.machine[on.HAS_SOFT_LIMITS])


#: All files in the order of a listing.
FILES: Final = {
    file.name: file
    for file in (
        File("misc.max", 0o644, _below_root, _max),
        File("misc.current", 0o444, _current_exists, _counter_file(at.USAGE)),
        File("misc.peak", 0o444, _peak_exists, _counter_file(at.PEAK)),
        File("misc.capacity", 0o444, _in_root, _capacity),
        File("misc.events", 0o444, _below_root, _events_file(at.EVENTS)),
        File("misc.events.local", 0o444, _local_exists, _events_file(at.EVENTS_LOCAL)),
        File("epc.current", 0o444, _always, _number_file(at.GROUP_USAGE)),
        File("epc.peak", 0o444, _always, _number_file(at.GROUP_PEAK)),
        File("epc.stat", 0o444, _always, _stat),
        File("epc.events", 0o444, _below_root, _events),
        File("epc.procs", 0o644, _always, _procs),
        File("epc.high", 0o644, _soft_exists, _limit_file(at.GROUP_HIGH)),
        File("epc.low", 0o644, _soft_exists, _limit_file(at.GROUP_LOW)),
        File("epc.oom", 0o644, _soft_exists, _oom),
        File("epc.kills", 0o444, _kills_exist, kills.text),
        File("epc.pressure", 0o444, _always, _pressure),
        File("epc.reclaim", 0o200, _soft_exists, None),
    )
}


def find(state: State, group: int, name: str) -> File:
    """Return a file of a group.

    Raises:
        NoSuchFileError: it does not exist there in this series (ENOENT).
    """
    file = FILES.get(name)
    if file is None or not file.exists(state, group == at.ROOT):
        raise NoSuchFileError(f"no file {name!r} in this group")
    return file


def listing(state: State, group: int) -> list[str]:
    """Return the names of the files that exist in a group."""
    return [name for name, file in FILES.items() if file.exists(state, group == at.ROOT)]


class Reader:
    """The tree as a reader sees it: paths and texts out of a buffer another process owns."""

    __slots__ = ("names", "state")

    def __init__(self, state: State, names: Names) -> None:
        self.state = state
        self.names = names

    @classmethod
    def attach(cls, buffer: Buffer) -> "Reader":
        """Return a reader of a buffer that holds a state.

        Raises:
            UsageError: it holds none.
        """
        return cls(*at.attach(buffer))

    def paths(self) -> list[str]:
        """Return the paths of all groups, pre-order."""
        return tree.consistent(self.state, lambda: tree.paths(self.state, self.names))

    def lookup(self, path: str) -> int:
        """Return the number of a group; raises NoSuchGroupError."""
        return tree.consistent(self.state, lambda: tree.lookup(self.state, self.names, path))

    def files(self, path: str) -> list[str]:
        """Return the names of a group's files."""
        return listing(self.state, self.lookup(path))

    def read(self, path: str, name: str) -> str:
        """Return the text of a file.

        Raises:
            NoSuchGroupError: no such group (ENOENT).
            NoSuchFileError: no such file there, or it cannot be read (ENOENT).
        """

        def look() -> str:
            group = tree.lookup(self.state, self.names, path)
            file = find(self.state, group, name)
            if file.render is None:
                raise NoSuchFileError(f"{name} cannot be read")
            return file.render(self.state, self.names, group)

        return tree.consistent(self.state, look)
