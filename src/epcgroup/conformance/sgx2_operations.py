"""Operations of the language on existing enclaves: the SGX2 calls, and EACCEPT."""

import errno
from collections.abc import Callable

from epcgroup.conformance.enclave_operations import is_initialised, take_fault, use
from epcgroup.conformance.names import enclave_of, holder_of, operation
from epcgroup.conformance.player import Player
from epcgroup.conformance.script import Operation, parse_pages
from epcgroup.conformance.world import Enclave, Process
from epcgroup.engine import fault, sgx2
from epcgroup.state import layout as at
from epcgroup.state.outcome import Outcome


def _call(player: Player, op: Operation, one: Callable[[Enclave, int], int]) -> str:
    """An SGX2 call over a range of pages: errors of the whole call first, then page by page."""
    encl = enclave_of(player, op.words[0])
    holder = holder_of(encl)
    first, nr = int(op.words[1]), int(op.words[2])
    if not player.state.machine[at.SGX2]:
        return f"ret={-errno.ENODEV} count=0"
    if not is_initialised(player, encl) or nr <= 0 or first + nr > encl.size:
        return f"ret={-errno.EINVAL} count=0"
    player.run_as(holder)
    for count in range(nr):
        player.reclaim_direct(holder.group)
        answer = _bring_in(player, encl, holder, first + count) or one(encl, first + count)
        if answer:
            return f"ret={answer} count={count}"
    return f"ret=0 count={nr}"


def _bring_in(player: Player, encl: Enclave, holder: Process, index: int) -> int:
    """Load a page for an SGX2 call, without reclaim; 0 or a negative errno."""
    word = player.state.pages[player.state.enclaves[encl.number, at.ENCLAVE_OFFSET] + index]
    if word > 0:
        return 0
    if word == 0:
        return -errno.EFAULT

    def step() -> int:
        if player.is_killed(encl):
            return Outcome.NO_PAGE
        return fault.load(player.state, encl.number, index, holder.group, holder.signal)

    answer = player.drive(step)
    if not player.state.enclaves[encl.number, at.ENCLAVE_FLAGS] & at.ENCLAVE_SECS_OUT:
        encl.backing.punch(encl.size)
    if answer == Outcome.LOADED:
        encl.backing.punch(index)
        return 0
    return -errno.EAGAIN if answer == Outcome.BUSY else -errno.EFAULT


def _zap_if_done(encl: Enclave, index: int, answer: int) -> int:
    """Unmap a page from everybody if the call on it succeeded; returns the call's answer."""
    if answer == 0:
        encl.zap(index)
    return answer


@operation("modp", 3)
def restrict(player: Player, op: Operation) -> str:
    """``modp E OFF N``."""
    return _call(player, op, lambda encl, index: sgx2.restrict(player.state, encl.number, index))


@operation("trim", 3)
def trim(player: Player, op: Operation) -> str:
    """``trim E OFF N``."""
    return _call(
        player, op, lambda encl, index: sgx2.change_type(player.state, encl.number, index, at.PAGE_TRIM)
    )


@operation("tcs", 3)
def convert(player: Player, op: Operation) -> str:
    """``tcs E OFF N``."""

    def one(encl: Enclave, index: int) -> int:
        return _zap_if_done(encl, index, sgx2.change_type(player.state, encl.number, index, at.PAGE_TCS))

    return _call(player, op, one)


@operation("remove", 3)
def remove(player: Player, op: Operation) -> str:
    """``remove E OFF N``."""

    def one(encl: Enclave, index: int) -> int:
        return _zap_if_done(encl, index, sgx2.remove(player.state, encl.number, index))

    return _call(player, op, one)


@operation("accept", 2)
def accept(player: Player, op: Operation) -> str:
    """``accept E LIST``."""
    encl = enclave_of(player, op.words[0])
    done = 0
    for index in parse_pages(op.words[1]):
        how = take_fault(player, encl, encl.creator, index)
        if how not in ("hit", "load"):
            return f"ok={done} stop={how}@{index}"
        use(encl, encl.creator, index)
        done += sgx2.accept(player.state, encl.number, index)
    return f"ok={done}"
