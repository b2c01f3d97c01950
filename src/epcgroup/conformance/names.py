"""Operands of an operation: looking names up, in the order the language checks them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from epcgroup.conformance.player import Player
from epcgroup.conformance.script import Operation
from epcgroup.conformance.world import Enclave, Guest, Process
from epcgroup.errors import UsageError
from epcgroup.state import tree


class RefusalError(UsageError):
    """The interpreter itself refuses an operation; nothing changes."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


Handler = Callable[[Player, Operation], str]


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation of the language: the operands it must have, whether the state is printed after it."""

    handler: Handler
    nr_operands: int
    shows_state: bool


#: All operations by their first word; filled by the modules that hold them.
OPERATIONS: Final[dict[str, Entry]] = {}


def operation(name: str, nr_operands: int, *, shows_state: bool = True) -> Callable[[Handler], Handler]:
    """Register a handler for the operation ``name``."""

    def register(handler: Handler) -> Handler:
        OPERATIONS[name] = Entry(handler, nr_operands, shows_state)
        return handler

    return register


def group_of(player: Player, path: str) -> int:
    """Return a live group; refuses with ``nocg``."""
    group = tree.find(player.state, player.epc.names, path)
    if not group:
        raise RefusalError("nocg")
    return group


def process_of(player: Player, name: str) -> Process:
    """Return a live process; refuses with ``noproc``."""
    if name not in player.processes:
        raise RefusalError("noproc")
    return player.processes[name]


def enclave_of(player: Player, name: str, *, killed_too: bool = False) -> Enclave:
    """Return an enclave; refuses with ``noencl``, and with ``oomkilled`` unless that is allowed."""
    if name not in player.enclaves:
        raise RefusalError("noencl")
    encl = player.enclaves[name]
    if not killed_too and player.is_killed(encl):
        raise RefusalError("oomkilled")
    return encl


def holder_of(encl: Enclave) -> Process:
    """Return who holds an enclave's descriptor; refuses with ``nofd``."""
    if encl.holder is None:
        raise RefusalError("nofd")
    return encl.holder


def guest_of(player: Player, name: str) -> Guest:
    """Return a guest area; refuses with ``novepc``."""
    if name not in player.guests:
        raise RefusalError("novepc")
    return player.guests[name]
