"""State lines of a trace: machine, groups, enclaves, guest areas. Reads everything, changes nothing."""

from collections.abc import Iterator

import numpy as np

from epcgroup.conformance.player import Player
from epcgroup.conformance.script import format_pages
from epcgroup.conformance.world import Enclave, Guest
from epcgroup.engine import lists
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state import tree
from epcgroup.state.limit import format_limit


def state_lines(player: Player) -> Iterator[str]:
    """Yield the S, G, C, E and V lines of the whole state."""
    yield _machine(player)
    if player.series == "mainline":
        yield f"G lru={_list(player, at.ROOT)}"
    line = {"mainline": _group_mainline, "v2": _group_v2}.get(player.series, _group)
    for group in _groups(player):
        yield line(player, group, player.state.groups[group].tolist())
    for encl in player.enclaves.values():
        yield _enclave(player, encl)
    for guest in player.guests.values():
        yield _guest(player, guest)


def _groups(player: Player) -> list[int]:
    states = player.state.groups[:, at.GROUP_STATE]
    vanish = player.state.machine[on.REMOVED_VANISH]
    shown = states == at.GROUP_LIVE if vanish else states != at.GROUP_NONE
    numbers = np.nonzero(shown)[0].tolist()
    return sorted(numbers, key=lambda group: int(player.state.groups[group, at.GROUP_ID]))


def path_of(player: Player, group: int) -> str:
    """Return the path of a group, with ``~number`` if it has been removed."""
    state, number = player.state.groups[group, at.GROUP_STATE : at.GROUP_ID + 1].tolist()
    path = player.paths.get(number)
    if path is None:
        path = player.paths[number] = tree.path_of(player.state, player.epc.names, group)
    return f"{path}~{number}" if state == at.GROUP_DEAD else path


def _machine(player: Player) -> str:
    machine = player.state.machine
    queued = []
    group = int(machine[at.WORK_HEAD])
    while group:
        queued.append(path_of(player, group))
        group = int(player.state.groups[group, at.GROUP_WORK_NEXT])
    ksgxd = "run" if machine[at.KSGXD_AWAKE] else "sleep"
    work = ",".join(queued) or "-"
    return f"S free={machine[at.NR_FREE]} ksgxd={ksgxd} work={work} warn={machine[at.WARNINGS]}"


def _list(player: Player, group: int) -> str:
    nr_pages = int(player.state.groups[group, at.GROUP_NR_LRU])
    if not nr_pages:
        return "-"
    names = {encl.number: encl.name for encl in player.enclaves.values()}
    rows = np.empty((nr_pages, 2), np.int32)
    lists.reclaimable(player.state, group, rows)
    runs: list[tuple[int, list[int]]] = []
    for number, page in rows.tolist():
        if not runs or runs[-1][0] != number:
            runs.append((number, []))
        runs[-1][1].append(page)
    return ";".join(f"{names[number]}:{format_pages(pages)}" for number, pages in runs)


def _figures(group: int, row: list[int]) -> tuple[int, str, str]:
    if group == at.ROOT:
        return row[at.GROUP_USAGE], "-", "-"
    limit = format_limit(at.unsigned(row[at.GROUP_MAX]))
    return row[at.GROUP_USAGE], limit, str(at.unsigned(row[at.GROUP_EVENTS]))


def _group(player: Player, group: int, row: list[int]) -> str:
    current, limit, events = _figures(group, row)
    local = "-" if group == at.ROOT else str(at.unsigned(row[at.GROUP_EVENTS_LOCAL]))
    path = path_of(player, group)
    following = path_of(player, row[at.GROUP_CURSOR]) if row[at.GROUP_CURSOR] else path
    return (
        f"C {path} cur={current} max={limit} peak={at.unsigned(row[at.GROUP_PEAK])}"
        f" events={events} local={local} next={following} lru={_list(player, group)}"
    )


def _group_v2(player: Player, group: int, row: list[int]) -> str:
    current, limit, events = _figures(group, row)
    cursor = row[at.GROUP_CURSOR]
    following = path_of(player, cursor) if cursor else "-"
    return (
        f"C {path_of(player, group)} cur={current} max={limit} events={events} next={following}"
        f" epoch={row[at.GROUP_EPOCH]} unrecl={row[at.GROUP_NR_FIXED]} lru={_list(player, group)}"
    )


def _group_mainline(player: Player, group: int, row: list[int]) -> str:
    return f"C {path_of(player, group)}"


def _enclave(player: Player, encl: Enclave) -> str:
    row = player.state.enclaves[encl.number].tolist()
    offset = row[at.ENCLAVE_OFFSET]
    words = player.state.pages[offset : offset + encl.size]
    young = np.zeros(encl.size, bool)
    for mapping in encl.mappings:
        young |= np.frombuffer(mapping.entries, np.uint8) == 3
    killed = f" oom={int(player.is_killed(encl))}" if player.series == "v2" else ""
    return (
        f"E {encl.name} proc={encl.creator.name if encl.creator.alive else '-'}"
        f" fd={encl.holder.name if encl.holder else '-'}"
        f" init={int(bool(row[at.ENCLAVE_FLAGS] & at.ENCLAVE_INITIALISED))}"
        f" secs={'in' if row[at.ENCLAVE_SECS] else 'out'} va={row[at.ENCLAVE_NR_VA]}"
        f" child={row[at.ENCLAVE_NR_CHILDREN]}{killed}"
        f" in={_indexes(words > 0)} out={_indexes(words < 0)} young={_indexes(young)}"
    )


def _guest(player: Player, guest: Guest) -> str:
    offset = int(player.state.enclaves[guest.number, at.ENCLAVE_OFFSET])
    words = player.state.pages[offset : offset + guest.size]
    return f"V {guest.name} proc={guest.process.name} in={_indexes(words > 0)}"


def _indexes(truth: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    return format_pages(truth.nonzero()[0].tolist())
