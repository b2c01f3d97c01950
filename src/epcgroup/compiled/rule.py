# mypy: disable-error-code="no-untyped-call, no-untyped-def, misc, attr-defined"
"""One function in its two compiled forms, each made when it is first asked for.

As *program* it is called from Python, as *fragment* it is part of the programs that call it
(``compiler.py``). Most rules are only ever one of the two, and neither where the programs come from the
store: the dispatchers of all rules took a tenth of a second at every start.
"""

import gc
from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, Final

from numba import types
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.registry import CPUDispatcher

from epcgroup.compiled import compiler

#: Numba's objects, which have no types of their own here.
_Any = Any
_FLAGS: Final[dict[str, _Any]] = {}
_OPTIONS: Final[dict[str, object]] = {
    "nopython": True,
    "boundscheck": None,
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "_nrt": False,
}


# What runs only under the compiler is left out of coverage, which is measured without it.


class _Store(FunctionCache):  # pragma: no cover
    """The machine code of a program on disk."""

    def __init__(self, function: Callable[..., object], stamp: str) -> None:
        super().__init__(function)
        # The version, not the stamp of the source: what another version stored is not even unpickled.
        self._cache_file._version = f"{self._cache_file._version} {stamp}"

    def load_overload(self, sig: _Any, target_context: _Any) -> _Any:
        """Load without making the compiler ready first, which costs more than the load itself."""
        return self._load_overload(sig, target_context)


class _Program(CPUDispatcher):  # pragma: no cover
    def __init__(self, function: Callable[..., object], stamp: str, is_inlined: bool) -> None:
        options = {**_OPTIONS, "forceinline": is_inlined}
        super().__init__(function, targetoptions=options, pipeline_class=compiler.PROGRAM)
        self._cache = _Store(function, stamp)

    def _compilation_chain_init_hook(self) -> None:
        """Nothing: other packages' additions to Numba are loaded when something is compiled."""

    def compile(self, sig: _Any) -> _Any:
        """Compile or load. Looking for the compiler's garbage would take as long as one of its passes."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return super().compile(sig)
        finally:
            if was_enabled:
                gc.enable()


class _Fragment(CPUDispatcher):  # pragma: no cover
    def __init__(self, function: Callable[..., object], is_inlined: bool) -> None:
        pipeline = compiler.INLINED if is_inlined else compiler.FRAGMENT
        options = {**_OPTIONS, "no_cpython_wrapper": True}
        super().__init__(function, targetoptions=options, pipeline_class=pipeline)
        # One object for all: Numba compares the flags at every look-up of a function.
        self._compiler._customize_flags = lambda flags: _FLAGS.setdefault(str(flags), flags)

    def get_call_template(self, args: _Any, kws: _Any) -> _Any:
        return super().get_call_template(tuple(_canonical(kind) for kind in args), kws)

    def compile(self, sig: _Any) -> _Any:
        """Compile for types of arguments, once; without Numba's clocks, which every call into LLVM starts."""
        if sig not in self.overloads:
            with event.trigger_event("numba:compile", data={"dispatcher": self, "args": sig}):
                self.add_overload(self._compiler.compile(sig, None))
        return self.overloads[sig].entry_point


def _canonical(kind: _Any) -> _Any:  # pragma: no cover
    """Return the one form of an argument a rule is compiled for: integers below 64 bits are int64."""
    kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.Integer) and kind.bitwidth < 64 else kind


class Rule:  # pragma: no cover
    """A function that is compiled when it is first called, from Python or by compiled code.

    Args:
        function: what it does, in Python; kept as ``py_func``.
        stamp: what its stored machine code depends on beside its own file.
        is_inlined: whether compiled callers take it in line.
    """

    def __init__(self, function: Callable[..., object], stamp: str, is_inlined: bool) -> None:
        update_wrapper(self, function)
        self.py_func = function
        self.is_inlined = is_inlined
        self._stamp = stamp

    @cached_property
    def program(self) -> _Any:
        """The dispatcher Python calls."""
        return _Program(self.py_func, self._stamp, self.is_inlined)

    @cached_property
    def fragment(self) -> _Any:
        """The dispatcher compiled code calls."""
        return _Fragment(self.py_func, self.is_inlined)

    @property
    def _numba_type_(self) -> _Any:
        """What a compiled caller takes this for."""
        return self.fragment._numba_type_

    def __call__(self, *arguments: object) -> object:
        """Run the program."""
        return self.program(*arguments)
