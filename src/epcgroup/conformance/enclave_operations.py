"""Operations of the language on enclaves and guest areas: building, accesses, SGX2 calls."""

import errno
from collections.abc import Callable
from typing import Final

from epcgroup.conformance.names import (
    RefusalError,
    enclave_of,
    holder_of,
    operation,
    process_of,
)
from epcgroup.conformance.player import Player
from epcgroup.conformance.script import Operation, parse_pages
from epcgroup.conformance.world import Enclave, Process
from epcgroup.engine import enclave, fault
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome

_OK: Final = "ret=0"
ERESTARTSYS: Final = 512
_DEFAULT_SIZE: Final = 1024
_ATTEMPTS: Final = 8
_PRESENT, _YOUNG = 1, 3
#: errno of an allocation that failed in a call.
_ERRNO: Final = {
    -Outcome.REFUSED: errno.ENOMEM,
    -Outcome.INTERRUPTED: ERESTARTSYS,
    -Outcome.BUSY: errno.EBUSY,
    enclave.BELOW_FLOOR: errno.ENOMEM,
}


@operation("enclave", 2)
def create(player: Player, op: Operation) -> str:
    """``enclave E P [SIZE]``."""
    process = process_of(player, op.words[1])
    if op.words[0] in player.enclaves:
        raise RefusalError("exists")
    size = int(op.words[2]) if len(op.words) > 2 else _DEFAULT_SIZE
    if size & (size - 1) or size == 0:
        return f"ret={-errno.EINVAL} step=create"
    player.run_as(process)
    made = [0]

    def step() -> int:
        answer, made[0] = enclave.create(player.state, process.group, size, process.signal)
        return int(answer)

    answer = player.drive(step)
    if answer != enclave.CREATED:
        return f"ret={-_ERRNO[answer]} step=create"
    player.add_enclave(op.words[0], made[0], size, process)
    return _OK


@operation("add", 2)
def add(player: Player, op: Operation) -> str:
    """``add E N [OFF]``."""
    encl = enclave_of(player, op.words[0])
    holder = holder_of(encl)
    nr = int(op.words[1])
    first = int(op.words[2]) if len(op.words) > 2 else encl.next_page
    encl.next_page = max(encl.next_page, first)  # a call that fails moves it too
    if is_initialised(player, encl) or nr <= 0 or first + nr > encl.size:
        return f"ret={-errno.EINVAL} count=0"
    if holder.signal:
        return f"ret={-ERESTARTSYS} count=0"
    player.run_as(holder)
    for count in range(nr):
        index = first + count

        def step(index: int = index) -> int:
            return enclave.add(player.state, encl.number, index, holder.group, holder.signal)

        answer = player.drive(step)
        if answer == enclave.EXISTS:
            return f"ret={-errno.EBUSY} count={count}"
        if answer != enclave.CREATED:
            return f"ret={-_ERRNO[answer]} count={count}"
        encl.next_page = max(encl.next_page, index + 1)
    return f"ret=0 count={nr}"


def is_initialised(player: Player, encl: Enclave) -> bool:
    """Return whether EINIT has been done."""
    return bool(player.state.enclaves[encl.number, at.ENCLAVE_FLAGS] & at.ENCLAVE_INITIALISED)


@operation("init", 1)
def initialise(player: Player, op: Operation) -> str:
    """``init E``."""
    encl = enclave_of(player, op.words[0])
    holder_of(encl)
    if is_initialised(player, encl):
        return f"ret={-errno.EINVAL}"
    enclave.initialise(player.state, encl.number)
    return _OK


def _accessor(player: Player, op: Operation, encl: Enclave) -> Process:
    if len(op.words) > 2:
        return process_of(player, op.words[2])
    if not encl.creator.alive:
        raise RefusalError("noproc")
    return encl.creator


def take_fault(player: Player, encl: Enclave, process: Process, index: int) -> str:
    """One page fault or hit; "hit", "load" or why it stopped."""
    mapping = encl.mapping_of(process)
    if mapping is None or not 0 <= index < encl.size:
        return "segv"
    if mapping.entries[index]:
        return "hit"
    player.run_as(process)
    answer = player.drive(
        lambda: fault.access(player.state, encl.number, index, process.group, process.signal)
    )
    if answer == Outcome.LOADED:
        encl.backing.punch(index)
    if not player.state.enclaves[encl.number, at.ENCLAVE_FLAGS] & at.ENCLAVE_SECS_OUT:
        encl.backing.punch(encl.size)
    if answer in (Outcome.HIT, Outcome.LOADED):
        mapping.entries[index] = _PRESENT
        return "load"
    if answer == Outcome.CREATED:
        mapping.entries[index] = _YOUNG
        return "load"
    return "busy" if answer == Outcome.BUSY else "sigbus"


def use(encl: Enclave, process: Process, index: int) -> None:
    """Set the accessed mark of a page in a process's page table."""
    mapping = encl.mapping_of(process)
    if mapping is not None:
        mapping.entries[index] = _YOUNG


def _sweep(player: Player, op: Operation, one: Callable[[Enclave, Process, int], str]) -> str:
    encl = enclave_of(player, op.words[0])
    process = _accessor(player, op, encl)
    hits = loads = 0
    stop = ""
    for index in parse_pages(op.words[1]):
        how = one(encl, process, index)
        if how not in ("hit", "load"):
            stop = f" stop={how}@{index}"
            break
        hits += how == "hit"
        loads += how == "load"
    return f"hit={hits} load={loads}{{}}{stop}"


@operation("touch", 2)
def touch(player: Player, op: Operation) -> str:
    """``touch E LIST [P]``."""

    def one(encl: Enclave, process: Process, index: int) -> str:
        how = take_fault(player, encl, process, index)
        if how in ("hit", "load"):
            use(encl, process, index)
        return how

    return _sweep(player, op, one).format("")


@operation("fault", 2)
def only_fault(player: Player, op: Operation) -> str:
    """``fault E LIST [P]``."""

    def one(encl: Enclave, process: Process, index: int) -> str:
        return take_fault(player, encl, process, index)

    return _sweep(player, op, one).format("")


@operation("access", 2)
def access(player: Player, op: Operation) -> str:
    """``access E LIST [P]``."""
    retries = 0

    def one(encl: Enclave, process: Process, index: int) -> str:
        nonlocal retries
        how = take_fault(player, encl, process, index)
        for _ in range(_ATTEMPTS):
            if how != "busy":
                break
            retries += 1
            player.run_items()
            player.run_ksgxd()
            how = take_fault(player, encl, process, index)
        if how in ("hit", "load"):
            use(encl, process, index)
        return how

    return _sweep(player, op, one).format(f" retries={retries}")


@operation("age", 2)
def age(player: Player, op: Operation) -> str:
    """``age E all|LIST``."""
    encl = enclave_of(player, op.words[0], killed_too=True)
    pages = range(encl.size) if op.words[1] == "all" else parse_pages(op.words[1])
    cleared = 0
    for index in pages:
        for mapping in encl.mappings:
            if 0 <= index < encl.size and mapping.is_young(index):
                mapping.entries[index] = _PRESENT
                cleared += 1
    return f"cleared={cleared}"


@operation("map", 2)
def add_mapping(player: Player, op: Operation) -> str:
    """``map E P``."""
    encl = enclave_of(player, op.words[0])
    process = process_of(player, op.words[1])
    if encl.mapping_of(process) is None:
        player.map(encl, process)
    return _OK


@operation("unmap", 2)
def remove_mapping(player: Player, op: Operation) -> str:
    """``unmap E P``."""
    encl = enclave_of(player, op.words[0], killed_too=True)
    player.unmap(encl, process_of(player, op.words[1]))
    return _OK


@operation("give", 2)
def give(player: Player, op: Operation) -> str:
    """``give E P``."""
    encl = enclave_of(player, op.words[0], killed_too=True)
    process = process_of(player, op.words[1])
    holder_of(encl)
    encl.holder = process
    return _OK


@operation("close", 1)
def close(player: Player, op: Operation) -> str:
    """``close E``."""
    encl = enclave_of(player, op.words[0], killed_too=True)
    holder_of(encl)
    encl.holder = None
    player.settle(encl)
    return _OK
