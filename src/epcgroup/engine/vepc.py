"""Guest EPC (/dev/sgx_vepc): pages for a virtual machine, charged but never reclaimable.

A guest area is a row of the enclave table of kind KIND_GUEST. Source: sgx_vepc_fault, sgx_vepc_release.
"""

from epcgroup.compiled.jit import jit
from epcgroup.engine import allocate, enclave, lru, page, table
from epcgroup.state import layout as at
from epcgroup.state.layout import State

HIT = 0
CREATED = 1


@jit
def create(s: State, group: int, size: int) -> int:
    """Reserve a guest area of ``size`` pages; its number, or 0 or ``table.FULL`` when a table is full."""
    return table.make(s, group, size, at.KIND_GUEST)


@jit
def access(s: State, area: int, index: int, group: int, signal: bool) -> int:
    """Bring a guest page in, without reclaim; an ``Outcome``. Refusals count as those of enclaves do."""
    element = s.enclaves[area, at.ENCLAVE_OFFSET] + index
    if s.pages[element] > 0:
        return HIT
    frame = allocate.rare_page_of(s, group, False, signal)
    enclave.note_refusal(s, area, index + 1, group, CREATED if frame > 0 else -frame)
    if frame < 0:
        return -frame
    page.bind(s, frame, group, area, index)
    s.pages[element] = frame
    lru.add_fixed(s, frame)
    return CREATED


@jit
def release(s: State, area: int) -> None:
    """Close a guest area: all its pages come back."""
    enclave.release(s, area)
