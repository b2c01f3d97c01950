"""How a program refers to its pages, as the annotation ``epcgroup.io/model`` of a pod says it.

The value is text: the name of a model, with arguments where the model is one of our programs
(``kv --rate 100``); or YAML, a mapping that describes the references (the grammar is in docs/simulator.md).

What must not live here: models of command lines (``workload_models.py``), scenarios (``simulate.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

import yaml

from epcgroup.errors import InvalidDurationError, InvalidSizeError
from epcgroup.node.fields import Field, did_you_mean, read_documents
from epcgroup.node.quantity import parse_duration_ns
from epcgroup.sim import scenario as sim
from epcgroup.sim.scenario import Component, Program, Requests
from epcgroup.state.floor import VA_SLOTS
from epcgroup.units import PAGE_SIZE, format_size, nr_pages, parse_size

#: Names that stand for one of our programs; what follows them is its command line.
PROGRAMS: Final = ("kv", "btree", "scan", "matmul")
_FILE: Final = "models.yaml"

_MODEL: Final = ("memory", "populate", "touches", "requests", "trace", "repeat")
#: Kind → fields that it alone has.
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    sim.ZIPF: ("skew", "items"),
    sim.LOOP: ("grows",),
    sim.PHASES: ("set", "every"),
}
_TOUCH: Final = ("first", "weight", "span", "chance")
_REQUESTS: Final = ("burst", "draws", "compute", "page")
_EACH: Final = "each"
_ALL: Final = "all"
#: Fastest arrivals: one a nanosecond is the resolution of a scenario.
_MAX_RATE: Final = 1e9
_MAX_COUNT: Final = 100_000_000
#: Not for data: the SECS, a VA page for each 512 pages, and what the worker of a group keeps free below its
#: limit. Source: SDM vol. 3D, 34.5; ``state/series.py``, nr_margin.
_SECS_PAGES: Final = 1
_KEPT_FREE_PAGES: Final = 32
#: Page numbers of a trace have 31 bits.
_MAX_PAGES: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Model:
    """A model as an annotation gives it.

    Attributes:
        field: where it stands.
        words: name of one of our programs and its arguments; empty if ``program`` says it all.
        program: what it does; 0 pages until its trace is looked at.
    """

    field: Field
    words: tuple[str, ...] = ()
    program: Program | None = None


def parse_model(field: Field, claim_bytes: int | None) -> Model:
    """Return the model that an annotation holds.

    Args:
        field: the annotation.
        claim_bytes: of its container: the memory of a model that does not say its own.

    Raises:
        ManifestError: no model; the message says what is allowed.
    """
    value = field.embedded() if _is_text(field) else _refuse_structure(field)
    if not isinstance(value.node, yaml.ScalarNode):
        return Model(field, program=_program(value, claim_bytes))
    words = tuple(value.text().split()) or ("",)
    if words[0] in PROGRAMS:
        return Model(field, words=words)
    known = _named()
    if len(words) > 1 or words[0] not in known:
        raise value.error(
            f"no model of that name: allowed are {', '.join((*PROGRAMS, *known))}, or a mapping with"
            f" {', '.join(_MODEL)}{did_you_mean(words[0], (*PROGRAMS, *known))}"
        )
    _memory(value, claim_bytes)  # refused where the user wrote the name, not in our own file
    made = _program(known[words[0]], claim_bytes)
    return Model(field, program=replace(made, provenance=f"named model {words[0]}"))


def _is_text(field: Field) -> bool:
    return isinstance(field.node, yaml.ScalarNode)


def _refuse_structure(field: Field) -> Field:
    raise field.error("an annotation is text in Kubernetes: write '|' after the colon, the model below it")


@cache
def _named() -> Mapping[str, Field]:
    """The models of ``models.yaml``, by name."""
    text = files("epcgroup.node").joinpath(_FILE).read_text(encoding="utf-8")
    return read_documents(_FILE, text)[0].mapping()


def _memory(owner: Field, claim_bytes: int | None) -> int:
    """Pages that a claim holds besides what an enclave needs and what background reclaim keeps free."""
    if not claim_bytes:
        raise owner.error(
            "how much memory? Its container claims no EPC: give memory or a claim", show_value=False
        )
    left = nr_pages(claim_bytes) - _SECS_PAGES - _KEPT_FREE_PAGES
    return max(1, left * VA_SLOTS // (VA_SLOTS + 1))


def _program(model: Field, claim_bytes: int | None) -> Program:
    members = model.only(_MODEL, "a model")
    if ("touches" in members) == ("trace" in members):
        raise model.error("a model has either touches or trace: which pages it refers to", show_value=False)
    own = "annotation epcgroup.io/model"
    if "trace" in members:
        return _traced(members, own)
    pages = _pages(members["memory"]) if "memory" in members else _memory(model, claim_bytes)
    touches = members["touches"].items()
    if not touches:
        raise members["touches"].error("is empty: at least one of " + ", ".join(sim.KINDS))
    if "repeat" in members:
        raise members["repeat"].error("only a trace can be repeated")
    requests = _requests(members.get("requests"), traced=False)
    components = tuple(_component(touch, pages) for touch in touches)
    if requests.draws == 0 and all(component.chance < 1 for component in components):
        raise members["touches"].error("with draws: each, one of them at least has chance 1")
    populate = "populate" in members and members["populate"].truth()
    return Program(pages, components, requests, populate, provenance=own)


def _traced(members: Mapping[str, Field], provenance: str) -> Program:
    path = members["trace"].text()
    return Program(
        nr_pages=_pages(members["memory"]) if "memory" in members else 0,
        requests=_requests(members.get("requests"), traced=True),
        populate="populate" in members and members["populate"].truth(),
        trace=path,
        repeat="repeat" in members and members["repeat"].truth(),
        provenance=provenance,
    )


def _one_of(owner: Field, members: Mapping[str, Field], known: tuple[str, ...], what: str) -> str:
    """The one member that says the kind of something."""
    found = [name for name in known if name in members]
    if len(found) != 1:
        seen = " and ".join(found) or "none"
        raise owner.error(f"{what} is one of {', '.join(known)}; here: {seen}", show_value=False)
    return found[0]


def _component(field: Field, model_pages: int) -> Component:
    members = field.mapping()
    every = (*sim.KINDS, *_TOUCH, *(name for names in _OWN.values() for name in names))
    field.only(every, "touches")
    kind = _one_of(field, members, sim.KINDS, "what is touched")
    for other, names in _OWN.items():
        for name in names:
            if other != kind and name in members:
                raise members[name].error(f"only {other} has {name}", show_value=False)
    pages = _pages(members[kind], model_pages)
    made = Component(
        kind,
        pages,
        first_page=_pages(members["first"], model_pages, least=0) if "first" in members else 0,
        weight=members["weight"].number(0.001, 1e6) if "weight" in members else 1.0,
        exponent=members["skew"].number(0.0, 10.0) if "skew" in members else 0.99,
        span=_pages(members["span"], pages) if "span" in members else 1,
        items=_count(members["items"]) if "items" in members else 0,
        chance=members["chance"].number(1e-6, 1.0) if "chance" in members else 1.0,
    )
    if 0 < made.items < pages // made.span:
        raise members["items"].error(f"expected at least as many as there are places: {pages // made.span}")
    if made.first_page + pages > model_pages:
        raise members[kind].error(
            f"{format_size(pages * PAGE_SIZE)} from {format_size(made.first_page * PAGE_SIZE)} on do not fit"
            f" the model's memory of {format_size(model_pages * PAGE_SIZE)}"
        )
    return _grown(_phased(made, field, members), members)


def _phased(made: Component, owner: Field, members: Mapping[str, Field]) -> Component:
    if made.kind != sim.PHASES:
        return made
    share = owner.need("set", "the size of the working set, for example 25%")
    every = owner.need("every", "how long a working set lasts, for example 10s")
    set_pages = _pages(share, made.nr_pages)
    if set_pages < made.span:
        raise share.error("is less than what one draw touches (span)")
    return replace(made, set_pages=set_pages, phase_ns=_duration(every, least_ns=1))


def _grown(made: Component, members: Mapping[str, Field]) -> Component:
    if "grows" not in members:
        return made
    grows = members["grows"]
    grows.only(("from", "by"), "grows")
    first = grows.need("from", "the size at first, for example 4Mi")
    start = _pages(first, made.nr_pages)
    if start < made.span:
        raise first.error("is less than what one draw touches (span)")
    step = _pages(grows.need("by", "the size added a second, for example 1Mi"), made.nr_pages)
    return replace(made, grows_from_pages=start, growth_pages_per_s=float(step))


def _requests(field: Field | None, *, traced: bool) -> Requests:
    if field is None:
        return Requests()
    members = field.only((*sim.ARRIVALS, *_REQUESTS), "requests")
    arrivals = _one_of(field, members, sim.ARRIVALS, "how requests arrive")
    if arrivals == sim.RECORDED and not traced:
        raise members[sim.RECORDED].error("only a trace has recorded arrivals")
    if traced and "draws" in members:
        raise members["draws"].error("the requests of a trace are in the trace")
    made = Requests(
        arrivals,
        burst=_count(members["burst"]) if "burst" in members else 1,
        draws=_draws(members.get("draws")),
        compute_ns=_duration(members["compute"]) if "compute" in members else 0,
        page_ns=_duration(members["page"]) if "page" in members else 0,
    )
    return _arriving(made, members[arrivals])


def _arriving(made: Requests, value: Field) -> Requests:
    if made.arrivals == sim.CLOSED:
        return replace(made, think_ns=_duration(value))
    if made.arrivals == sim.RECORDED:
        if not value.truth():
            raise value.error("expected true, or another way for requests to arrive")
        return made
    return replace(made, rate_per_s=value.number(1e-6, _MAX_RATE))


def _count(field: Field) -> int:
    count = field.integer(1)
    if count > _MAX_COUNT:
        raise field.error(f"expected a whole number of at most {_MAX_COUNT}")
    return count


def _draws(field: Field | None) -> int:
    """Draws a request; 0 stands for one of every component."""
    if field is not None and isinstance(field.node, yaml.ScalarNode) and field.node.value == _EACH:
        return 0
    return 1 if field is None else _count(field)


def _pages(field: Field, whole: int | None = None, least: int = 1) -> int:
    """Pages of a size such as ``48Mi``; with a whole, also ``all`` and ``25%`` of it."""
    text = field.number_or_text().strip()
    if whole is not None and (text == _ALL or text.endswith("%")):
        pages = whole if text == _ALL else round(whole * _percent(field, text[:-1]) / 100)
        return max(pages, least)
    of_it = "" if whole is None else ", 25% or all"
    try:
        size = parse_size(text)
    except InvalidSizeError as error:
        raise field.error(f"expected a size such as 48Mi{of_it}") from error
    pages = nr_pages(size)
    if not least <= pages <= (_MAX_PAGES if whole is None else whole):
        most = "" if whole is None else f" and at most the {format_size(whole * PAGE_SIZE)} it is a part of"
        raise field.error(f"expected at least {least} page{most}")
    return pages


def _percent(field: Field, digits: str) -> float:
    whole, _, part = digits.partition(".")
    if not (whole + part).isdecimal() or len(digits) > 9 or float(digits) > 100:
        raise field.error("expected a share from 0% to 100%")
    return float(digits)


def _duration(field: Field, least_ns: int = 0) -> int:
    try:
        value = parse_duration_ns(field.number_or_text())
    except InvalidDurationError as error:
        raise field.error("expected a duration such as 20us, 5ms or 10s") from error
    if value < least_ns:
        raise field.error("must be more than nothing")
    return value
