"""Play a script through the engine and print its trace.

``replay(script, "v17")`` must equal the recorded trace byte for byte.
"""

from collections.abc import Callable, Iterator

from epcgroup.conformance import (
    enclave_operations,
    guest_operations,
    machine_operations,
    sgx2_operations,
)
from epcgroup.conformance.names import OPERATIONS, RefusalError
from epcgroup.conformance.player import LivelockError, Player
from epcgroup.conformance.printer import state_lines
from epcgroup.conformance.script import Operation, parse
from epcgroup.face.epc import Epc
from epcgroup.state.series import Series

#: The modules that fill OPERATIONS.
_FILLED_BY = (machine_operations, enclave_operations, sgx2_operations, guest_operations)
_NR_GROUPS = 256
_NR_ENCLAVES = 256
_NR_ENCLAVE_PAGES = 1 << 18


def _boot(op: Operation, series: str | Series) -> Player:
    """``boot PAGES[@NODE] … [sgx2=0|1]``: make the machine."""
    sections = []
    sgx2: bool | None = None
    for word in op.words:
        if word.startswith("sgx2="):
            sgx2 = word != "sgx2=0"
        else:
            pages, _, node = word.partition("@")
            sections.append((int(pages), int(node or 0)))
    epc = Epc.create(
        sum(pages for pages, _ in sections),
        series=series,
        nr_groups=_NR_GROUPS,
        nr_enclaves=_NR_ENCLAVES,
        nr_enclave_pages=_NR_ENCLAVE_PAGES,
        sections=sections,
        sgx2=sgx2,
    )
    return Player(epc)


def _result(player: Player, op: Operation) -> tuple[str, bool]:
    """Play one operation; (result, whether the state follows)."""
    entry = OPERATIONS.get(op.name)
    if entry is None:
        return "err=badop", True
    if len(op.words) < entry.nr_operands:
        return "err=args", entry.shows_state
    try:
        return entry.handler(player, op), entry.shows_state
    except RefusalError as refusal:
        return f"err={refusal.word}", entry.shows_state


def trace(
    script: str, series: str | Series, after_each: Callable[[Player], None] | None = None
) -> Iterator[str]:
    """Yield the lines of a script's trace; ``after_each`` sees the player after every operation.

    Args:
        script: the input, see ``script.parse``.
        series: a behaviour by name, or as data of one's own (printed as v17 is).
        after_each: called with the player after every operation that prints the state.

    Raises:
        UsageError: unknown series.
    """
    player: Player | None = None
    for number, op in enumerate(parse(script), start=1):
        yield f"#{number} {op.text}"
        if op.name == "boot" and player is None:
            player = _boot(op, series)
            yield "= ret=0"
        elif player is None:
            yield "= err=notbooted"
            continue
        else:
            try:
                result, shows_state = _result(player, op)
            except LivelockError:
                yield "= livelock"
                yield "END livelock"
                return
            yield f"= {result}"
            if not shows_state:
                continue
        yield from state_lines(player)
        if after_each is not None:
            after_each(player)
    yield "END ok"


def replay(script: str, series: str | Series) -> str:
    """Return the trace of a script in a series, as text ending with a newline.

    Raises:
        UsageError: unknown series.
    """
    return "".join(line + "\n" for line in trace(script, series))
