"""How a function of the engine is compiled, and when its cached code is stale. How: ``compiler.py``.

Numba keys its cache by the caller's file only, although constants and callees of other files are compiled in.
Here the stamp covers every source of the rules, of what they are compiled with and of the function's own
package, so an edit anywhere makes all cached machine code stale.
With ``NUMBA_DISABLE_JIT=1`` the same source runs as plain Python.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Final, TypeVar

import numpy as np
from numba import config

from epcgroup.compiled.rule import Rule

Function = TypeVar("Function", bound=Callable[..., object])


@cache
def sources_digest(package: str) -> str:
    """Return the digest of all sources of a package: the part of a cache stamp that Numba does not see."""
    digest = hashlib.sha256()
    for source in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name):
        if source.name.endswith(".py"):
            digest.update(source.read_bytes())
    return digest.hexdigest()


_PROJECT, _, _ = __name__.partition(".")
#: Rooms whose code is part of every program, by name: this one knows nothing of those above.
_COMMON: Final = tuple(f"{_PROJECT}.{room}" for room in ("state", "compiled", "engine", "face"))

#: Makes a subscript of an array unsigned, on a hot path: Numba tests every signed one for being negative. Not
#: needed for the state (``pointers.py``). Never in arithmetic: unsigned and signed make a float there.
nth = np.uint64


@cache
def _stamp(package: str) -> str:
    """Return what machine code of a function of a package depends on."""
    packages = {*_COMMON, package} if package.startswith(_PROJECT) else _COMMON
    return " ".join(map(sources_digest, sorted(packages)))


def compiled(function: Function, stamp: str = "", *, inline: bool = False) -> Function:
    """Compile a function as ``jit`` does, its cached code being dropped too when ``stamp`` changes.

    For functions whose names are bound to callees that only the caller knows: ``stamp`` stands for these.
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return function
    return _rule(function, stamp, inline)  # type: ignore[return-value]  # pragma: no cover


def _rule(function: Callable[..., object], stamp: str, inline: bool) -> Rule:  # pragma: no cover
    package = function.__module__.rpartition(".")[0]
    return Rule(function, f"{_stamp(package)} {stamp}", inline)


def jit(function: Function) -> Function:
    """Compile a function of the engine: no GIL, cached on disk, numbers as in C.

    Compiled functions cannot allocate: without Numba's run-time (``_nrt``) they do not count references to
    the arrays they pass on, which cost more than the work itself (create: 3.6 µs with, 0.5 µs without). The
    cached code is dropped when any file of the engine or of the function's own package changes.
    """
    return compiled(function)


def inlined(function: Function) -> Function:
    """Compile a small function of the hot path into its callers: without this, half the time of a fault."""
    return compiled(function, inline=True)


def entry(function: Function) -> Function:
    """Compile a function that Python calls for every fault, and nothing compiled: it is called directly."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return function
    return _rule(function, "", False).program  # type: ignore[no-any-return]  # pragma: no cover
