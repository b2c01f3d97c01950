"""Policies ready for use: their methods compiled, and copies of a loop that call them.

Compiled code calls what its globals name. A copy of a function shares its code, but some of those names mean
the policy's functions; so a policy costs no call through a pointer, and the loop without one has no trace of
it. The machine code of each copy is kept on disk under the policy's name.
"""

import hashlib
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import Function, compiled, sources_digest
from epcgroup.errors import UsageError
from epcgroup.sim.policy import hooks, memory, under
from epcgroup.sim.policy.interface import Policy
from epcgroup.state.layout import Sizes

#: From functions as compiled to others of the same arguments.
_Functions = dict[object, object]
_ROOM = "epcgroup.sim"


class BoundPolicy:
    """A policy and the loops it is bound into."""

    def __init__(self, policy: type[Policy]) -> None:
        self.policy = policy
        self.name = policy.name
        self.needs_future = policy.needs_future
        self._key = re.sub(r"\W", "_", f"{policy.__module__}_{policy.__qualname__}")
        self._stamp = stamp(policy)
        methods: _Functions = {
            stand_in: compiled(getattr(policy, stand_in.__name__), self._stamp, inline=True)
            for stand_in in (under.inserted, under.touched, under.victim, under.removed)
        }
        self._hooks: _Functions = {
            hook: self._bind(getattr(under, hook.__name__), methods)
            for hook in (hooks.touch, hooks.arrive, hooks.answer)
        }
        self._loops: _Functions = {}

    def memory(self, sizes: Sizes, nr_references: int = 0) -> NDArray[np.uint8]:
        """Return a new memory of the policy for a machine of these sizes, uint8.

        Args:
            sizes: of the engine's state.
            nr_references: of all streams ``foresee`` will be told; 0 for policies without ``needs_future``.
        """
        made = memory.create(sizes, nr_references)
        self.policy.prepare(memory.views(made), sizes)
        return made

    def foresee(
        self, buffer: NDArray[np.uint8], first_element: int, references: NDArray[np.uint32], repeats: bool
    ) -> None:
        """Tell what an enclave's program will refer to; see ``Policy.foresee``."""
        self.policy.foresee(memory.views(buffer), first_element, references, repeats)

    def bind_to(self, loop: Function) -> Function:
        """Return the copy of a compiled loop whose hooks (``hooks.py``) are those of this policy.

        Raises:
            UsageError: the loop calls none of them, or through a module.
        """
        if loop not in self._loops:
            self._loops[loop] = self._bind(loop, self._hooks)
        bound: Any = self._loops[loop]
        if bound is loop:
            raise UsageError(f"{loop.__name__} calls none of the hooks of a policy by name")
        return bound  # type: ignore[no-any-return]

    def _bind(self, function: Function, meanings: _Functions) -> Function:
        """Return a copy in which functions mean others, wherever it calls them; itself if it does not."""
        plain: Any = getattr(function, "py_func", function)
        words = plain.__code__.co_names
        names: dict[str, object] = {}
        for word in words:
            callee = plain.__globals__.get(word)
            if isinstance(callee, ModuleType) and callee.__name__.startswith(_ROOM):
                self._refuse_hidden(callee, words, meanings)
            meant = self._meaning(callee, meanings)
            if meant is not callee:
                names[word] = meant
        return self._copy(function, plain, names) if names else function

    def _meaning(self, callee: object, meanings: _Functions) -> object:
        if not callable(callee):
            return callee
        if callee in meanings:
            return meanings[callee]
        return self._bind(callee, meanings) if _is_ours(callee) else callee

    def _refuse_hidden(self, module: ModuleType, words: Sequence[str], meanings: _Functions) -> None:
        """Raise if a function calls a hook through a module: only names of its own can be given a meaning."""
        for word in words:
            callee = getattr(module, word, None)
            if self._meaning(callee, meanings) is not callee:
                raise UsageError(f"{module.__name__}.{word} reaches a hook of a policy: import it by name")

    def _copy(self, function: Function, plain: FunctionType, names: dict[str, object]) -> Function:
        made = FunctionType(plain.__code__, {**plain.__globals__, **names}, plain.__name__)
        made.__module__ = plain.__module__
        made.__qualname__ = f"{plain.__qualname__}_{self._key}"
        inline = bool(getattr(function, "is_inlined", False))
        copy: Any = compiled(made, self._stamp, inline=inline)
        return copy  # type: ignore[no-any-return]


def _is_ours(callee: object) -> bool:
    plain = getattr(callee, "py_func", callee)
    return isinstance(plain, FunctionType) and plain.__module__.startswith(_ROOM)


def stamp(policy: type[Policy]) -> str:
    """Return what machine code with a policy in it depends on, beside the engine and the loop's package."""
    digest = hashlib.sha256(sources_digest(str(__package__)).encode())
    digest.update(Path(inspect.getfile(policy)).read_bytes())
    return digest.hexdigest()
