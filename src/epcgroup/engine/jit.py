"""The one place that knows Numba: how a function of the engine is compiled and when its cache is stale.

Numba keys its cache by the caller's file only, although constants and callees of other files are compiled in.
Here the stamp covers every source of the engine, so an edit anywhere makes all cached machine code stale.
With ``NUMBA_DISABLE_JIT=1`` the same source runs as plain Python.
"""

import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any, TypeVar

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., object])


def _sources_digest() -> str:
    """Digest of all sources of the engine: the part of a cache stamp that Numba does not see."""
    digest = hashlib.sha256()
    for source in sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name):
        if source.name.endswith(".py"):
            digest.update(source.read_bytes())
    return digest.hexdigest()


_DIGEST = _sources_digest()

#: Makes a subscript unsigned, on the hot path: Numba tests every signed one for being negative, which costs a
#: third of a fault where rows are chained. Never in arithmetic: unsigned and signed make a float there.
nth = np.uint64


_OPTIONS: Any = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "_nrt": False,
}


def _compile(function: Function, inline: bool) -> Function:
    compiled: Any = numba.njit(**_OPTIONS, forceinline=inline)(function)
    cache = getattr(compiled, "_cache", None)
    file = getattr(cache, "_cache_file", None)
    if file is not None:
        file._source_stamp = (file._source_stamp, _DIGEST)
    return compiled  # type: ignore[no-any-return]


def jit(function: Function) -> Function:
    """Compile a function of the engine: no GIL, cached on disk, numbers as in C.

    Compiled functions cannot allocate: without Numba's run-time (``_nrt``) they do not count references to
    the arrays they pass on, which cost more than the work itself (create: 3.6 µs with, 0.5 µs without). The
    cached code is dropped when any file of the engine changes.
    """
    return _compile(function, False)


def inlined(function: Function) -> Function:
    """Compile a small function of the hot path into its callers.

    The arrays of the state are passed by value, 50 words a call: without this, half the time of a fault.
    """
    return _compile(function, True)
