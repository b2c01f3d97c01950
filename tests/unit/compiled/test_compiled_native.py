"""What compiled code has beyond Numba: each form does what its plain twin does."""

import numpy as np
import pytest
from numpy.typing import NDArray

from epcgroup.compiled import native
from epcgroup.compiled.jit import jit


@jit
def _word(data: NDArray[np.uint8], place: int) -> np.uint64:
    return native.word(data, place)


@jit
def _sum(buffer: NDArray[np.uint8], first: int, rows: int, columns: int) -> int:
    table = native.table(buffer, first, rows, columns, np.int32)
    row = native.row(buffer, first, rows * columns, np.int32)
    native.prefetch(row, np.uint64(1 << 40))  # harmless wherever it is
    total = 0
    for line in range(rows):
        for column in range(columns):
            total += table[line, column] * row[line * columns + column]
    return total


@pytest.mark.parametrize("place", [0, 1, 3, 7, 8])
def test_a_word_begins_at_any_byte(place: int) -> None:
    data = np.arange(1, 17, dtype=np.uint8)
    expected = int.from_bytes(bytes(range(place + 1, place + 9)), "little")
    assert int(_word(data, place)) == expected
    assert int(native._plain_word(data, place)) == expected


def test_arrays_over_a_buffer() -> None:
    values = np.arange(12, dtype=np.int32)
    buffer = np.concatenate((np.zeros(8, np.uint8), values.view(np.uint8)))
    assert _sum(buffer, 8, 3, 4) == int((values * values).sum())
    assert native._plain_table(buffer, 8, 3, 4, np.int32).tolist() == values.reshape(3, 4).tolist()
    assert native._plain_row(buffer, 8, 12, np.int32).tolist() == values.tolist()
