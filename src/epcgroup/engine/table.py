"""Rows of the enclave table and ranges of enclave pages: who stands where, first fit."""

from epcgroup.compiled import pointers
from epcgroup.compiled.jit import jit
from epcgroup.state import layout as at
from epcgroup.state.layout import State

FULL = -100


@jit
def make(s: State, group: int, size: int, kind: int) -> int:
    """Reserve an enclave of ``size`` pages: a row and a range of ``pages``. 0: no row, FULL: no range."""
    enclave = 0
    for row in range(1, s.machine[at.NR_ENCLAVES] + 1):
        if s.enclaves[row, at.ENCLAVE_KIND] == at.KIND_NONE:
            enclave = row
            break
    if not enclave:
        return 0
    offset, previous = _find_range(s, size)
    if offset < 0:
        return FULL
    pointers.clear(s.enclaves, enclave)
    s.enclaves[enclave, at.ENCLAVE_KIND] = kind
    s.machine[at.ENCLAVE_SERIAL] += 1
    s.enclaves[enclave, at.ENCLAVE_ID] = s.machine[at.ENCLAVE_SERIAL]
    s.enclaves[enclave, at.ENCLAVE_OFFSET] = offset
    s.enclaves[enclave, at.ENCLAVE_SIZE] = size
    s.enclaves[enclave, at.ENCLAVE_HOME] = group
    if previous:
        s.enclaves[enclave, at.ENCLAVE_NEXT] = s.enclaves[previous, at.ENCLAVE_NEXT]
        s.enclaves[previous, at.ENCLAVE_NEXT] = enclave
    else:
        s.enclaves[enclave, at.ENCLAVE_NEXT] = s.machine[at.ENCLAVE_FIRST]
        s.machine[at.ENCLAVE_FIRST] = enclave
    return enclave


@jit
def _find_range(s: State, size: int) -> tuple[int, int]:
    """First fit: the offset (-1: none) and the enclave that stands before it."""
    offset = 0
    previous = 0
    current = s.machine[at.ENCLAVE_FIRST]
    while current:
        if s.enclaves[current, at.ENCLAVE_OFFSET] - offset >= size:
            return offset, previous
        offset = s.enclaves[current, at.ENCLAVE_OFFSET] + s.enclaves[current, at.ENCLAVE_SIZE]
        previous = current
        current = s.enclaves[current, at.ENCLAVE_NEXT]
    if s.machine[at.NR_PAGES] - offset >= size:
        return offset, previous
    return -1, 0


@jit
def drop(s: State, enclave: int) -> None:
    """Give the row and the range of an enclave back; its pages must be gone."""
    previous = 0
    current = s.machine[at.ENCLAVE_FIRST]
    while current != enclave:
        previous = current
        current = s.enclaves[current, at.ENCLAVE_NEXT]
    following = s.enclaves[enclave, at.ENCLAVE_NEXT]
    if previous:
        s.enclaves[previous, at.ENCLAVE_NEXT] = following
    else:
        s.machine[at.ENCLAVE_FIRST] = following
    pointers.clear(s.enclaves, enclave)
