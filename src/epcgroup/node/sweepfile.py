"""Read a SPEC of ``epcg sweep``: a YAML mapping that says what is swept over which manifest.

Every error names file, line, field, value and what is allowed. The grammar is in docs/sweep.md.

What must not live here: what a point does to a scenario (``plan/points.py``), running (``plan/sweep.py``).
"""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from epcgroup import __version__
from epcgroup.errors import InvalidDurationError, InvalidSizeError, UsageError
from epcgroup.node.fields import Field, did_you_mean, read_documents
from epcgroup.node.manifest import decode, load_manifest
from epcgroup.node.quantity import parse_duration_ns
from epcgroup.node.simulate import SimOptions, scenario_of
from epcgroup.plan.points import COUNT, FACTOR, KEYS, SIZE, Value, key_of
from epcgroup.plan.space import Axis, Between, Choice, Space, between
from epcgroup.plan.sweep import Sweep
from epcgroup.sim import costs, policy
from epcgroup.sim.scenario import Scenario
from epcgroup.state.series import SERIES
from epcgroup.units import PAGE_SIZE, parse_size

_FIELDS: Final = ("manifest", "duration", "warm-up", "seed", "reps", "grid", "random")
_DISTRIBUTIONS: Final = ("uniform", "log-uniform")
_DEFAULT_DURATION_NS: Final = 60 * 10**9
_DEFAULT_WARM_UP: Final = 0.1
_LEAST_WARM_UP: Final = 0.01
_MOST_REPS: Final = 10_000


def load_sweep(path: Path) -> Sweep:
    """Return the sweep that a file describes; its manifest is looked for beside it.

    Raises:
        ManifestError: it, or its manifest, cannot be run.
        OSError: one of them cannot be read.
    """
    document = _document(str(path), decode(str(path), path.read_bytes()))
    members = document.only(_FIELDS, "a sweep")
    manifest_field = document.need("manifest", "the file of a Node and its Pods")
    manifest = load_manifest(path.parent / manifest_field.text())
    duration_ns = _duration(members.get("duration"))
    warm_up = _warm_up(members.get("warm-up"))
    base = scenario_of(manifest, SimOptions(duration_ns=duration_ns))
    # Only the end of the warm-up and the end of the run are looked at.
    base = replace(base, sample_ns=int(warm_up * duration_ns) or duration_ns)
    space = _space(document, members, base)
    return Sweep(base, space, warm_up, _identity(base, space, warm_up))


def _document(file: str, text: str) -> Field:
    documents = read_documents(file, text)
    if len(documents) != 1:
        raise UsageError(f"{file}: {len(documents)} documents: a sweep is one")
    return documents[0].titled("sweep")


def _duration(field: Field | None) -> int:
    if field is None:
        return _DEFAULT_DURATION_NS
    try:
        duration_ns = parse_duration_ns(field.text())
    except InvalidDurationError as error:
        raise field.error("is " + str(error).partition(" is ")[2]) from error
    if duration_ns <= 0:
        raise field.error("a run takes some time")
    return duration_ns


def _warm_up(field: Field | None) -> float:
    if field is None:
        return _DEFAULT_WARM_UP
    value = field.number(0.0, 0.9)
    if 0 < value < _LEAST_WARM_UP:
        raise field.error(f"the part that is not counted is 0, or {_LEAST_WARM_UP:g} to 0.9")
    return value


def _space(document: Field, members: dict[str, Field], base: Scenario) -> Space:
    seed = members["seed"].integer() if "seed" in members else 1
    nr_reps = members["reps"].integer(1) if "reps" in members else 1
    if nr_reps > _MOST_REPS:
        raise members["reps"].error(f"at most {_MOST_REPS}")
    seeds = tuple(range(seed, seed + nr_reps))
    if ("grid" in members) == ("random" in members):
        raise document.error(
            "needs either grid: (lists, every combination) or random: (distributions, nr points)"
        )
    if "grid" in members:
        return Space("grid", _axes(members["grid"].mapping(), members["grid"], base, random=False), seeds)
    random = members["random"]
    fields = random.mapping()
    nr = random.need("nr", "how many points are drawn").integer(1)
    drawing_seed = fields["seed"].integer() if "seed" in fields else 1
    axes = {name: field for name, field in fields.items() if name not in ("nr", "seed")}
    return Space("random", _axes(axes, random, base, random=True), seeds, nr, drawing_seed)


def _axes(
    fields: dict[str, Field], owner: Field, base: Scenario, *, random: bool
) -> tuple[tuple[str, Axis], ...]:
    if not fields:
        raise owner.error(f"sweeps nothing: keys are {', '.join(_key_names())}")
    axes: list[tuple[str, Axis]] = []
    for name, field in fields.items():
        _check_key(name, field, base)
        axes.append((name, _axis(name, field, random=random)))
    return tuple(axes)


def _key_names() -> list[str]:
    return [name for name in KEYS if name != "seed"] + ["limits.POD", "rate.POD", "cost.NAME"]


def _check_key(name: str, field: Field, base: Scenario) -> None:
    if name == "seed":
        raise field.error("seeds are not a key: give seed: and reps: beside it", show_value=False)
    try:
        _, pod = key_of(name)
    except KeyError as error:
        hint = did_you_mean(name, KEYS)
        raise field.error(
            f"is nothing that can be swept: keys are {', '.join(_key_names())}{hint}", show_value=False
        ) from error
    pods = [one.name for one in base.pods]
    if pod and pod not in pods:
        raise field.error(f"there is no pod {pod!r}{did_you_mean(pod, pods)}", show_value=False)
    first, _, cost = name.partition(".")
    known = costs.keys()
    if first == "cost" and cost not in known:
        raise field.error(f"there is no cost {cost!r}{did_you_mean(cost, known)}", show_value=False)


def _axis(name: str, field: Field, *, random: bool) -> Axis:
    kind = getattr(field.node, "id", "")
    if kind == "mapping":
        if not random:
            raise field.error("a grid has lists: distributions belong to random:", show_value=False)
        return _distribution(name, field)
    values = [_value(name, item) for item in (field.items() if kind == "sequence" else [field])]
    if not values:
        raise field.error("is empty: at least one value is needed")
    return Choice(tuple(values))


def _distribution(name: str, field: Field) -> Between:
    members = field.only(_DISTRIBUTIONS, "a distribution")
    if len(members) != 1:
        raise field.error(f"a distribution is one of {', '.join(_DISTRIBUTIONS)}, with two bounds")
    ((which, bounds_field),) = members.items()
    bounds = [_value(name, item) for item in bounds_field.items()]
    low, high = bounds if len(bounds) == 2 else ("", "")
    if isinstance(low, str) or isinstance(high, str) or key_of(name)[0].kind == COUNT:
        raise bounds_field.error("expected two bounds that are numbers or sizes; else give a list of values")
    try:
        return between(name, low, high, logarithmic=which == "log-uniform")
    except UsageError as error:
        raise bounds_field.error(str(error)) from error


def _value(name: str, field: Field) -> Value:
    """Return one value of a key.

    Raises:
        ManifestError: it is not what the key takes.
    """
    kind = key_of(name)[0].kind
    if kind == SIZE:
        return _size(field)
    if kind == FACTOR:
        return _factor(field)
    if kind == COUNT:
        return field.integer()
    return _word(name, field) if name in _WORDS else field.number()


def _size(field: Field) -> int:
    try:
        size_bytes = parse_size(field.number_or_text())
    except InvalidSizeError as error:
        raise field.error("is " + str(error).partition(" is ")[2]) from error
    if size_bytes < PAGE_SIZE:
        raise field.error(f"is less than one page of {PAGE_SIZE} bytes")
    return size_bytes // PAGE_SIZE * PAGE_SIZE


def _factor(field: Field) -> float:
    factor = field.number()
    if factor <= 0:
        raise field.error("a factor is above 0")
    return factor


#: Key → the words it takes.
_WORDS: Final = {
    "series": lambda: tuple(SERIES),
    "policy": policy.names,
    "costs": costs.names,
}


def _word(name: str, field: Field) -> str:
    word, known = field.text(), _WORDS[name]()
    if name == "policy" and ":" in word:
        _load_policy(word, field)
    elif word not in known:
        raise field.error(f"expected one of {', '.join(known)}{did_you_mean(word, known)}")
    return word


def _load_policy(word: str, field: Field) -> None:
    try:
        policy.load(word)
    except UsageError as error:
        raise field.error(str(error)) from error


def _identity(base: Scenario, space: Space, warm_up: float) -> dict[str, Any]:
    """What makes two sweeps the same: all that the figures depend on."""
    models = [value for name, axis in space.axes if name == "costs" for value in _values(axis)]
    return {
        "epcgroup": __version__,
        "scenario": asdict(base),
        "costs": {str(name): _figures(str(name)) for name in (base.costs, *models)},
        "traces_sha256": {path: _sha256(Path(path)) for path in _traces(base)},
        "warm_up": warm_up,
        "seeds": list(space.seeds),
        **space.to_json(),
    }


def _values(axis: Axis) -> tuple[Value, ...]:
    return axis.values if isinstance(axis, Choice) else ()


def _figures(model: str) -> dict[str, float]:
    return {figure.key: figure.value for figure in costs.find(model).figures}


def _traces(base: Scenario) -> list[str]:
    programs = [container.program for pod in base.pods for container in pod.containers]
    return sorted({program.trace for program in programs if program.trace is not None})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
