"""Replacement policies: which pages of a list leave. Names here; what one is, in ``interface.py``.

Finding out what there is does not load the compiler; ``find`` does.
"""

import importlib
from functools import cache
from typing import TYPE_CHECKING, Final

from epcgroup.errors import UsageError

if TYPE_CHECKING:
    from epcgroup.sim.policy.bind import BoundPolicy
    from epcgroup.sim.policy.interface import Policy

#: The engine's own, without any code of a policy.
SECOND_CHANCE: Final = "second-chance"
#: Where the others are.
POLICIES: Final = {
    "lru": "epcgroup.sim.policy.lru:Lru",
    "fifo": "epcgroup.sim.policy.fifo:Fifo",
    "clock": "epcgroup.sim.policy.clock:Clock",
    "2q": "epcgroup.sim.policy.twoq:TwoQ",
    "s3-fifo": "epcgroup.sim.policy.s3fifo:S3Fifo",
    "generations": "epcgroup.sim.policy.generations:Generations",
    "optimum": "epcgroup.sim.policy.optimum:Optimum",
}


def names() -> tuple[str, ...]:
    """Return the names ``find`` knows, the default first; ``module:Class`` is understood beside them."""
    return (SECOND_CHANCE, *POLICIES)


def load(name: str) -> "type[Policy]":
    """Return the class of a policy.

    Args:
        name: one of ``names()`` other than the default, or ``module:Class`` of one of your own.

    Raises:
        UsageError: no such policy, module or class, or it lacks a method.
    """
    from epcgroup.sim.policy.interface import Policy

    module, colon, attribute = POLICIES.get(name, name).partition(":")
    if not colon:
        raise UsageError(f"no policy {name!r}: one of {', '.join(names())}, or module:Class of your own")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"policy {name!r}: {error}; is its folder in PYTHONPATH?") from error
    if not (isinstance(found, type) and issubclass(found, Policy)):
        raise UsageError(f"policy {name!r} is no subclass of {Policy.__module__}.Policy")
    missing = sorted(found.__abstractmethods__) + [
        word for word in ("name", "sentence", "source") if not hasattr(found, word)
    ]
    if missing:
        raise UsageError(f"policy {name!r} lacks {', '.join(missing)}")
    return found


@cache
def find(name: str) -> "BoundPolicy":
    """Return a policy ready for use; see ``load`` for the argument and the errors."""
    from epcgroup.sim.policy.bind import BoundPolicy

    return BoundPolicy(load(name))
