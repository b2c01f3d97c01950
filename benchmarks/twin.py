"""The C twin of the engine's bulk path: its header from the engine's sources, its library, one call.

The header holds every integer constant of ``state.layout`` and ``state.series``; the C file holds no number
of the layout.
"""

import ctypes
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import native_build
from epcgroup.state import layout as state
from epcgroup.state import series
from epcgroup.state.layout import State

SOURCE = "engine_twin.c"


def _constants(module: ModuleType) -> dict[str, int]:
    return {
        name: value
        for name, value in vars(module).items()
        if name.isupper() and type(value) is int and not name.startswith("_")
    }


def header() -> str:
    """Return the C header with the constants of the layout and of the series."""
    values = {**_constants(state), **_constants(series)}
    return "".join(f"#define {name} ({value}LL)\n" for name, value in sorted(values.items()))


class Twin:
    """The compiled library; raises ``CalledProcessError`` if the compiler refuses the file."""

    def __init__(self) -> None:
        path = native_build.compiled(SOURCE, shared=True, prelude=header())
        self._run = ctypes.CDLL(str(path)).twin_run
        array, word = ctypes.c_void_p, ctypes.c_int64
        self._run.argtypes = [array] * 7 + [word, word, array, word, array, word]
        self._run.restype = None

    def run(
        self,
        arrays: State,
        trace: NDArray[np.uint32],
        page_bits: int,
        streams: NDArray[np.int64],
        totals: NDArray[np.int64],
        idle: bool,
    ) -> None:
        """Do what ``face.run.run`` does, on the same arrays."""
        pointers: list[Any] = [array.ctypes.data for array in arrays]
        self._run(
            *pointers,
            trace.ctypes.data,
            len(trace),
            page_bits,
            streams.ctypes.data,
            len(streams),
            totals.ctypes.data,
            idle,
        )
