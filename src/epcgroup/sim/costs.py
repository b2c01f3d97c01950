"""What things cost in virtual time: models as data (``data/costs/*.toml``), every figure with its source.

What must not live here: a figure.
"""

import re
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
#: Begins the names of the figures that say how far ``fault`` + ``load`` spreads, at an overcommit of so much.
SPREAD: Final = "spread"
#: Their unit: the standard deviation of the natural logarithm of a cost.
SPREAD_UNIT: Final = "ln"
#: Overcommit and spread, the least overcommit first.
Points = tuple[tuple[int, float], ...]
_IS_SPREAD: Final = re.compile(SPREAD + "[1-9][0-9]{0,5}").fullmatch
_MOST_SPREAD: Final = 3.0
_PS_PER_NS: Final = 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """One cost, or how far one spreads.

    Attributes:
        key: its name, one of ``KEYS``; or ``spread2`` and the like.
        value: in ``unit``.
        unit: ``ns``, or ``cycles`` of the model's processor; of a spread ``SPREAD_UNIT``.
        source: where the value comes from.
        certainty: one of ``CERTAINTIES``.
    """

    key: str
    value: float
    unit: str
    source: str
    certainty: str

    @property
    def overcommit(self) -> int:
        """Of a spread: the overcommit at which it holds, 1:so much; else 0."""
        return 0 if self.key in KEYS else int(self.key.removeprefix(SPREAD))

    @property
    def meaning(self) -> str:
        """What it is, for people."""
        if self.overcommit:
            return f"spread of fault + load at overcommit 1:{self.overcommit}"
        return KEYS[self.key]


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
        figures: one for each of ``KEYS``, in that order; then the spreads, the least overcommit first.
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

    @property
    def spread(self) -> Points:
        """How far ``fault`` + ``load`` spreads, by overcommit; none: it is the same every time."""
        return tuple((figure.overcommit, figure.value) for figure in self.figures if figure.overcommit)

    def overridden(self, overrides: Mapping[str, float]) -> "Costs":
        """Return the model with other values, each in the unit the model has for it; spreads may be added.

        Raises:
            UsageError: no such cost, or a value that is negative, too large or no number.
        """
        figures = {figure.key: figure for figure in self.figures}
        for key, value in overrides.items():
            _check(self.name, key, value)
            unit = figures[key].unit if key in figures else SPREAD_UNIT
            figures[key] = Figure(key, value, unit, "given by the user", "assumed")
        return replace(self, figures=tuple(sorted(figures.values(), key=lambda figure: figure.overcommit)))


def names() -> tuple[str, ...]:
    """Return the names of all cost models."""
    files = (resources.files(__package__) / "data" / "costs").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def keys() -> tuple[str, ...]:
    """Return the names of all costs, those of spreads that any model has included."""
    spreads = (figure.key for name in names() for figure in find(name).figures if figure.overcommit)
    return (*KEYS, *dict.fromkeys(spreads))


def steady(name: str) -> dict[str, float]:
    """Return the overrides with which every fault of a model costs the same."""
    return {figure.key: 0.0 for figure in find(name).figures if figure.overcommit}


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
        (*(_figure(name, key, tables[key]) for key in KEYS), *_spreads(name, data.get(SPREAD, {}))),
    )


def _machine(measured: Mapping[str, Any] | None) -> str:
    """Return the words for where and when a model was measured."""
    if not measured:
        return ""
    return f"{measured['cpu']}, {measured['cpus']} CPUs, kernel {measured['kernel']}, {measured['date']}"


def _spreads(name: str, tables: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """Return the figures of ``[spread.N]``, N being the overcommit."""
    figures = [_figure(name, f"{SPREAD}{overcommit}", table) for overcommit, table in tables.items()]
    return sorted(figures, key=lambda figure: figure.overcommit)


def _figure(name: str, key: str, table: Mapping[str, Any]) -> Figure:
    figure = Figure(key, table["value"], table["unit"], table["source"].strip(), table["certainty"])
    _check(name, key, figure.value)
    units = UNITS if key in KEYS else (SPREAD_UNIT,)
    if figure.unit not in units or figure.certainty not in CERTAINTIES or not figure.source:
        raise UsageError(
            f"cost model {name}: {key} needs a unit ({', '.join(units)}), a certainty "
            f"({', '.join(CERTAINTIES)}) and a source"
        )
    return figure


def _check(name: str, key: str, value: object) -> None:
    if key not in KEYS and not _IS_SPREAD(key):
        raise UsageError(f"no cost {key!r} in {name}: one of {', '.join(KEYS)}, {SPREAD}2, {SPREAD}4, ...")
    if key not in KEYS and not (isinstance(value, int | float) and 0 <= value <= _MOST_SPREAD):
        raise UsageError(f"cost {key} of {value!r}: expected a number from 0 to {_MOST_SPREAD:g}")
    if not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise UsageError(f"cost {key} of {value!r}: expected a number from 0 to 10**12")
