"""What things cost in virtual time: models as data (``data/costs/*.toml``), every figure with its source.

What must not live here: a figure.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final

from epcgroup.errors import UsageError

#: Cost → what it is. A fault takes ``fault``, ``create`` or ``load``, ``wake``, and the reference itself.
KEYS: Final = {
    "hit": "a reference to a resident page",
    "fault": "a fault without what it does: exit and entry",
    "wake": "waking up after the service; a server is free",
    "create": "a new page of zeros in a fault (EAUG, EACCEPT)",
    "load": "an evicted page loaded in a fault (ELDU)",
    "evict": "a page written out (EBLOCK, EWB)",
    "scan": "a page looked at by reclaim",
    "batch": "a batch a fault waits for, without its pages",
    "background": "a batch of the background, without its pages",
    "ecreate": "an enclave created, without its pages",
    "add": "a page added before EINIT (EADD, EEXTEND)",
}
CERTAINTIES: Final = ("measured", "published", "assumed")
UNITS: Final = ("ns", "cycles")
_PS_PER_NS: Final = 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """One cost.

    Attributes:
        key: its name, one of ``KEYS``.
        value: in ``unit``.
        unit: ``ns``, or ``cycles`` of the model's processor.
        source: where the value comes from.
        certainty: one of ``CERTAINTIES``.
    """

    key: str
    value: float
    unit: str
    source: str
    certainty: str


@dataclass(frozen=True, slots=True)
class Costs:
    """One cost model.

    Attributes:
        name: of its file.
        title: what machine it stands for.
        ghz: clock of that machine's processor.
        serial: whether one server handles all faults and batches, one after the other.
        on_demand: whether pages can come after the enclave is initialised (SGX2).
        measured_on: machine and day, where figures were measured; else empty.
        figures: one for each of ``KEYS``, in that order.
    """

    name: str
    title: str
    ghz: float
    serial: bool
    on_demand: bool
    measured_on: str
    figures: tuple[Figure, ...]

    def ps(self, key: str) -> int:
        """Return a cost in whole picoseconds."""
        figure = self.figures[list(KEYS).index(key)]
        scale = 1 / self.ghz if figure.unit == "cycles" else 1.0
        return round(figure.value * scale * _PS_PER_NS)

    def overridden(self, overrides: Mapping[str, float]) -> "Costs":
        """Return the model with other values, each in the unit the model has for it.

        Raises:
            UsageError: no such cost, or a value that is negative or no number.
        """
        for key, value in overrides.items():
            _check(self.name, key, value)
        figures = (
            replace(figure, value=overrides[figure.key], source="given by the user", certainty="assumed")
            if figure.key in overrides
            else figure
            for figure in self.figures
        )
        return replace(self, figures=tuple(figures))


def names() -> tuple[str, ...]:
    """Return the names of all cost models."""
    files = (resources.files(__package__) / "data" / "costs").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def keys() -> tuple[str, ...]:
    """Return the names of all costs."""
    return tuple(KEYS)


@cache
def find(name: str) -> Costs:
    """Return the cost model of that name.

    Raises:
        UsageError: no such model.
    """
    if name not in names():
        raise UsageError(f"no cost model {name!r}: one of {', '.join(names())}")
    text = (resources.files(__package__) / "data" / "costs" / f"{name}.toml").read_text()
    return parse(name, text)


def parse(name: str, text: str) -> Costs:
    """Return the cost model a TOML text describes.

    Raises:
        UsageError: no TOML; a figure is missing, has another name, unit or certainty, or no source.
    """
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"cost model {name}: {error}") from None
    tables = data.get("costs", {})
    if set(tables) != set(KEYS):
        wrong = ", ".join(sorted(set(tables) ^ set(KEYS)))
        raise UsageError(f"cost model {name}: {wrong} missing or unknown; it needs {', '.join(KEYS)}")
    heads = {"title": str, "ghz": float, "serial": bool, "on_demand": bool}
    for key, kind in heads.items():
        if not isinstance(data.get(key), kind) or not data.get("ghz"):
            raise UsageError(
                f"cost model {name}: {key} of {data.get(key)!r}: it needs title, ghz, serial, on_demand"
            )
    return Costs(
        name,
        data["title"],
        data["ghz"],
        data["serial"],
        data["on_demand"],
        _machine(data.get("measured")),
        tuple(_figure(name, key, tables[key]) for key in KEYS),
    )


def _machine(measured: Mapping[str, Any] | None) -> str:
    """Return the words for where and when a model was measured."""
    if not measured:
        return ""
    return f"{measured['cpu']}, {measured['cpus']} CPUs, kernel {measured['kernel']}, {measured['date']}"


def _figure(name: str, key: str, table: Mapping[str, Any]) -> Figure:
    figure = Figure(key, table["value"], table["unit"], table["source"].strip(), table["certainty"])
    _check(name, key, figure.value)
    if figure.unit not in UNITS or figure.certainty not in CERTAINTIES or not figure.source:
        raise UsageError(
            f"cost model {name}: {key} needs a unit ({', '.join(UNITS)}), a certainty "
            f"({', '.join(CERTAINTIES)}) and a source"
        )
    return figure


def _check(name: str, key: str, value: object) -> None:
    if key not in KEYS:
        raise UsageError(f"no cost {key!r} in {name}: one of {', '.join(KEYS)}")
    if not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise UsageError(f"cost {key} of {value!r}: expected a number from 0 to 10**12")
