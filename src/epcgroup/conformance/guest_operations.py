"""Operations of the language on guest EPC areas."""

from typing import Final

from epcgroup.conformance.names import RefusalError, guest_of, operation, process_of
from epcgroup.conformance.player import Player
from epcgroup.conformance.script import Operation, parse_pages
from epcgroup.conformance.world import Guest
from epcgroup.engine import vepc
from epcgroup.state.outcome import Outcome

_OK: Final = "ret=0"


@operation("vepc", 3)
def add_guest(player: Player, op: Operation) -> str:
    """``vepc V P N``."""
    process = process_of(player, op.words[1])
    if op.words[0] in player.guests:
        raise RefusalError("exists")
    size = int(op.words[2])
    number = vepc.create(player.state, process.group, size)
    player.guests[op.words[0]] = Guest(op.words[0], number, size, process)
    return _OK


def _guest_fault(player: Player, guest: Guest, index: int) -> str:
    if not 0 <= index < guest.size:
        return "segv"
    if index in guest.present:
        return "hit"
    process = guest.process
    player.run_as(process)
    answer = vepc.access(player.state, guest.number, index, process.group, process.signal)
    if answer in (Outcome.CREATED, Outcome.HIT):
        guest.present.add(index)
        return "load"
    return "busy" if answer == Outcome.BUSY else "sigbus"


@operation("vfault", 2)
def guest_fault(player: Player, op: Operation) -> str:
    """``vfault V LIST``."""
    guest = guest_of(player, op.words[0])
    hits = loads = 0
    for index in parse_pages(op.words[1]):
        how = _guest_fault(player, guest, index)
        if how not in ("hit", "load"):
            return f"hit={hits} load={loads} stop={how}@{index}"
        hits += how == "hit"
        loads += how == "load"
    return f"hit={hits} load={loads}"


@operation("vclose", 1)
def close_guest(player: Player, op: Operation) -> str:
    """``vclose V``."""
    player.close_guest(guest_of(player, op.words[0]))
    return _OK
