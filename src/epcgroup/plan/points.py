"""The points of a sweep: which keys can be swept, what a value of each does to a scenario, stable ids.

What must not live here: texts of a SPEC (``node/sweepfile.py``), drawing values (``space.py``).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from epcgroup.errors import UsageError
from epcgroup.sim.scenario import RECORDED, PodSpec, Program, Scenario
from epcgroup.units import LIMIT_MAX, PAGE_SIZE

Value = int | float | str

#: What the values of a key are.
SIZE, FACTOR, COUNT, NUMBER, WORD = "size", "factor", "count", "number", "word"
#: Begins the keys of cost overrides: ``cost.eldu``.
COST_PREFIX: Final = "cost."


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a sweep can vary.

    Attributes:
        kind: what its values are.
        meaning: for people.
        apply: (scenario, pod or "", value) → the changed scenario.
        of_pods: whether ``KEY.POD`` varies one pod only.
    """

    kind: str
    meaning: str
    apply: Callable[[Scenario, str, Value], Scenario]
    of_pods: bool = False


def _whole_pages(size_bytes: float) -> int:
    return int(size_bytes) // PAGE_SIZE * PAGE_SIZE


def _epc(base: Scenario, _: str, value: Value) -> Scenario:
    return replace(base, capacity_bytes=_whole_pages(float(value)))


def _pods(base: Scenario, name: str, change: Callable[[PodSpec], PodSpec]) -> Scenario:
    """Return the scenario with one pod changed, or all of them."""
    if name and name not in [pod.name for pod in base.pods]:
        raise UsageError(f"no pod {name!r}: there are {', '.join(pod.name for pod in base.pods)}")
    return replace(base, pods=tuple(change(pod) if name in ("", pod.name) else pod for pod in base.pods))


def _limits(base: Scenario, name: str, value: Value) -> Scenario:
    def scaled(limit_bytes: int) -> int:
        return limit_bytes if limit_bytes == LIMIT_MAX else _whole_pages(limit_bytes * float(value))

    def change(pod: PodSpec) -> PodSpec:
        containers = tuple(replace(one, limit_bytes=scaled(one.limit_bytes)) for one in pod.containers)
        return replace(pod, limit_bytes=scaled(pod.limit_bytes), containers=containers)

    return _pods(base, name, change)


def faster(program: Program, factor: float) -> Program:
    """Return a program whose requests come ``factor`` times as often.

    Raises:
        UsageError: its requests come at recorded times.
    """
    requests = program.requests
    if requests.arrivals == RECORDED:
        raise UsageError(
            "requests at recorded times have no rate to multiply: leave these pods out (rate.POD)"
        )
    return replace(
        program,
        requests=replace(
            requests,
            rate_per_s=requests.rate_per_s * factor,
            think_ns=round(requests.think_ns / factor),
        ),
    )


def _rate(base: Scenario, name: str, value: Value) -> Scenario:
    def change(pod: PodSpec) -> PodSpec:
        containers = tuple(replace(one, program=faster(one.program, float(value))) for one in pod.containers)
        return replace(pod, containers=containers)

    return _pods(base, name, change)


#: Every key but the overrides of costs, in the order of the table's columns.
KEYS: Final[Mapping[str, Key]] = {
    "epc": Key(SIZE, "EPC of the node", _epc),
    "series": Key(WORD, "behaviour of the engine", lambda s, _, value: replace(s, series=str(value))),
    "policy": Key(WORD, "who is evicted", lambda s, _, value: replace(s, policy=str(value))),
    "costs": Key(WORD, "cost model", lambda s, _, value: replace(s, costs=str(value))),
    "limits": Key(FACTOR, "limits, times this", _limits, of_pods=True),
    "rate": Key(FACTOR, "requests a second, times this; pauses divided by it", _rate, of_pods=True),
    "cpus": Key(COUNT, "processors; 0: one a program", lambda s, _, value: replace(s, nr_cpus=int(value))),
    "seed": Key(COUNT, "seed of every random choice", lambda s, _, value: replace(s, seed=int(value))),
}


def _cost(name: str) -> Key:
    def apply(base: Scenario, _: str, value: Value) -> Scenario:
        return replace(base, overrides={**base.overrides, name: float(value)})

    return Key(NUMBER, f"cost {name}", apply)


def key_of(name: str) -> tuple[Key, str]:
    """Return the key of a name such as ``epc``, ``rate.kv`` or ``cost.eldu``, and the pod it names.

    Raises:
        KeyError: there is none.
    """
    if name.startswith(COST_PREFIX) and len(name) > len(COST_PREFIX):
        return _cost(name.removeprefix(COST_PREFIX)), ""
    first, dot, pod = name.partition(".")
    key = KEYS[first]
    if dot and not (key.of_pods and pod):
        raise KeyError(name)
    return key, pod


def column(name: str) -> str:
    """Return what the table calls a key: with its unit, where it has one."""
    return "epc_bytes" if name == "epc" else name


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of values.

    Attributes:
        values: (name of a key, value), in the order of the SPEC.
    """

    values: tuple[tuple[str, Value], ...]

    @property
    def id(self) -> str:
        """16 hexadecimal digits, of its keys and values only: not of their order, not of other points."""
        text = json.dumps(dict(self.values), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.values)

    def of(self, base: Scenario) -> Scenario:
        """Return the scenario of this point.

        Raises:
            UsageError: a value does not go with the scenario.
        """
        for name, value in self.values:
            key, pod = key_of(name)
            base = key.apply(base, pod, value)
        return base
