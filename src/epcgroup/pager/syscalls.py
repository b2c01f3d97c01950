"""System calls for compiled code: functions of the C library by name; addresses are plain integers.

Where nothing is compiled (``NUMBA_DISABLE_JIT=1``) the same names are called by ctypes.
"""

import ctypes
from typing import Any, Final

import numpy as np
from numba import config, types
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined

EINTR: Final = 4
EIO: Final = 5
CLOCK_MONOTONIC: Final = 1
_INT, _WORD = types.int32, types.intp


def _call(name: str, *arguments: Any, answer: Any = _WORD) -> Any:  # noqa: ANN401 - Numba's types
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]
        return types.ExternalFunction(name, answer(*arguments))
    kinds = {_INT: ctypes.c_int, _WORD: ctypes.c_ssize_t}
    function = getattr(ctypes.CDLL(None), name)
    function.restype = kinds[answer]
    function.argtypes = [kinds[kind] for kind in arguments]
    return function


epoll_wait = _call("epoll_wait", _INT, _WORD, _INT, _INT, answer=_INT)
read = _call("read", _INT, _WORD, _WORD)
ioctl = _call("ioctl", _INT, _WORD, _WORD, answer=_INT)
splice = _call("splice", _INT, _WORD, _INT, _WORD, _WORD, _INT)
fallocate = _call("fallocate", _INT, _INT, _WORD, _WORD, answer=_INT)
clock_gettime = _call("clock_gettime", _INT, _WORD, answer=_INT)
_errno_location = _call("__errno_location")
#: Destination, source, bytes: how words are had whose address is all that is known.
memcpy = _call("memcpy", _WORD, _WORD, _WORD)


@inlined
def address_of(words: NDArray[np.int64], index: int) -> int:
    """Return the address of a word."""
    return words.ctypes.data + index * 8


@inlined
def errno_of_last(words: NDArray[np.int64], scratch: int) -> int:
    """Return why the last call failed, never 0; uses a word of an array of the caller."""
    words[scratch] = 0
    memcpy(address_of(words, scratch), _errno_location(), 4)
    return words[scratch] or EIO


@inlined
def now_ns(words: NDArray[np.int64], scratch: int) -> int:
    """Return the monotonic clock; uses two words of an array of the caller."""
    clock_gettime(CLOCK_MONOTONIC, address_of(words, scratch))
    return words[scratch] * 1_000_000_000 + words[scratch + 1]  # type: ignore[no-any-return]
