"""What our own programs do with their pages: from the command line of a container to a model of it.

Which pages a request touches follows from the programs' sources (table, slabs, tree, weights); how long it
computes was measured on the real programs (``sim/data/workloads.toml``).

What must not live here: models that a manifest spells out (``models.py``).
"""

import argparse
import contextlib
import io
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

from epcgroup.errors import UsageError
from epcgroup.sim.scenario import (
    CLOSED,
    LOOP,
    PACED,
    PHASES,
    POISSON,
    UNIFORM,
    ZIPF,
    Component,
    Program,
    Requests,
)
from epcgroup.units import PAGE_SIZE, nr_pages
from epcgroup.workloads import matmul, scan
from epcgroup.workloads.btree import __main__ as btree
from epcgroup.workloads.btree.tree import ORDER
from epcgroup.workloads.kv import __main__ as kv
from epcgroup.workloads.kv import values
from epcgroup.workloads.kv.slab import SLAB_BYTES, chunk_sizes
from epcgroup.workloads.kv.store import HEADER_BYTES, layout

_INTERPRETERS: Final = ("python", "python3")
_PACKAGE: Final = "epcgroup.workloads."
_ONE_OF_EACH: Final = 0
#: Items share pages if together they lie on so many times more than there are.
_SHARED: Final = 1.1
#: A key of the load generator is ``k`` and the number of the item; its length hardly matters.
_KEY_BYTES: Final = 8
#: Keys of a leaf, and children of an inner node, that were filled in order. Source: ``btree/tree.py``, split.
_LEAF_KEYS: Final = ORDER - 1
_CHILDREN: Final = ORDER


@dataclass(frozen=True, slots=True)
class Workload:
    """A model of one of our programs.

    Attributes:
        program: its pages and requests.
        duration_ns: how long it runs before it ends by itself; None: until it is told to.
    """

    program: Program
    duration_ns: int | None


def program_in(command: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    """Return name and arguments of the program of ours that a command line runs, None if it runs none."""
    interpreter, flag, module, *arguments = (*command, "", "", "")[: max(len(command), 3)]
    if interpreter.rpartition("/")[2] not in _INTERPRETERS or flag != "-m" or not module.startswith(_PACKAGE):
        return None
    name = module.removeprefix(_PACKAGE)
    return (name, arguments) if name in _MODELS else None


def model_of(name: str, arguments: Sequence[str], claim_bytes: int | None = None) -> Workload:
    """Return the model of one of our programs.

    Args:
        name: ``kv``, ``btree``, ``scan`` or ``matmul``.
        arguments: of its command line.
        claim_bytes: what ``--size`` is if the arguments do not say; None: the program's own default.

    Raises:
        UsageError: the program would refuse the arguments, or they leave nothing to simulate.
    """
    parser, model = _MODELS[name]
    options = _parsed(name, parser(), arguments, claim_bytes)
    if options.plain:
        raise UsageError(
            "--plain: the program keeps its data outside the EPC, so there is nothing to simulate"
        )
    duration_ns = None if options.duration is None else round(options.duration * 1e9)
    return Workload(model(options), duration_ns)


def enclave_pages_of(name: str, arguments: Sequence[str], claim_bytes: int | None = None) -> int:
    """Return the pages of the enclave one of our programs makes; 0 if it makes none, or refuses to start.

    The arguments are those of ``model_of``.
    """
    try:
        options = _parsed(name, _MODELS[name][0](), arguments, claim_bytes)
    except UsageError:
        return 0
    return 0 if options.plain else nr_pages(options.size)


def _parsed(
    name: str, parser: argparse.ArgumentParser, arguments: Sequence[str], claim_bytes: int | None
) -> argparse.Namespace:
    if claim_bytes:
        parser.set_defaults(size=claim_bytes)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            return parser.parse_args(list(arguments))
    except SystemExit as error:
        lines = said.getvalue().splitlines() or [""]
        problem = lines[-1].rpartition("error: ")[2] if error.code else "--help answers and ends"
        raise UsageError(f"{name} would refuse its arguments: {problem}") from error


@cache
def _costs(name: str) -> Mapping[str, int]:
    """Measured times of a program in nanoseconds, by figure."""
    text = files("epcgroup.sim").joinpath("data/workloads.toml").read_text(encoding="utf-8")
    figures = tomllib.loads(text)[name]
    return {key: round(figure["value"]) for key, figure in figures.items() if isinstance(figure, dict)}


def _arrivals(
    rate: float, *, compute_ns: float, page_ns: float = 0, draws: int = 1, burst: int = 1
) -> Requests:
    """Poisson arrivals, or with a rate of 0 one request after the other, as ``program.paced`` has it."""
    kind = POISSON if rate else CLOSED
    return Requests(kind, float(rate), 0, burst, draws, round(compute_ns), round(page_ns))


def _provenance(name: str) -> str:
    return f"{name}: pages from its source, times from sim/data/workloads.toml"


@dataclass(frozen=True, slots=True)
class _Slabs:
    """Where items of one size lie: pages that one touches, on average; pages of all of them; slabs."""

    item_pages: float
    nr_pages: int
    nr_slabs: int


def _slabs(nr_items: int, value_bytes: int) -> _Slabs:
    """Pages of items in slabs: chunks of one class side by side, from the start of each slab."""
    used = HEADER_BYTES + _KEY_BYTES + value_bytes
    chunk = next((size for size in chunk_sizes() if size >= used), SLAB_BYTES)
    places = range(min(SLAB_BYTES // chunk, nr_items))
    spans = [(at * chunk // PAGE_SIZE, (at * chunk + used - 1) // PAGE_SIZE) for at in places]
    touched = {page for first, last in spans for page in range(first, last + 1)}
    mean = sum(last - first + 1 for first, last in spans) / len(spans)
    whole, rest = divmod(nr_items, len(places))
    partial = len({page for first, last in spans[:rest] for page in range(first, last + 1)})
    return _Slabs(mean, whole * len(touched) + partial, whole + bool(rest))


def _kv(options: argparse.Namespace) -> Program:
    if not options.rate:
        raise UsageError("--rate 0: the store waits for clients of your own, so nothing would happen")
    if not values.MIN_BYTES <= options.value_size <= values.MAX_BYTES:
        raise UsageError(
            f"--value-size {options.value_size}: expected {values.MIN_BYTES} to {values.MAX_BYTES} bytes"
        )
    nr_items = options.items or kv.nr_items_for(options.size, options.value_size)
    _, nr_buckets, start = layout(options.size)
    slabs = _slabs(nr_items, options.value_size)
    if start + slabs.nr_slabs * SLAB_BYTES > options.size:
        raise UsageError(f"{nr_items} items of {options.value_size} bytes do not fit --size {options.size}")
    bucket_pages = max(1, nr_buckets * 8 // PAGE_SIZE)
    # Of the pages of the table only those that an item hashes to are ever touched.
    index = max(1, round(bucket_pages * (1 - (1 - 1 / bucket_pages) ** nr_items)))
    # A look-up goes over half of the other items in the chain of its bucket, on average.
    nr_passed = nr_items / nr_buckets / 2
    components = (
        Component(UNIFORM, index),
        *_item_components(options.zipf, nr_items, slabs, index, nr_passed),
    )
    requests = _kv_requests(options, slabs.item_pages + nr_passed)
    pages = index + slabs.nr_pages
    cost = _costs("kv")
    item_ns = cost["fill_ns"] + cost["fill_page_ns"] * options.value_size / PAGE_SIZE
    fill_ns = round(item_ns * nr_items / pages)
    return Program(pages, components, requests, True, fill_ns, provenance=_provenance("kv"))


def _item_components(
    exponent: float, nr_items: int, slabs: _Slabs, first: int, nr_passed: float
) -> Iterator[Component]:
    """Yield what a request touches of the items: pages of its own side by side, then single pages by chance.

    Those are the rest of an item that lies across one page more, and items passed on the way to it. Items
    that share pages share each with other neighbours, so all of their pages are drawn one by one, and what
    lies on a page adds up to its popularity.
    """
    nr_places = round(nr_items * slabs.item_pages)
    shared = nr_places if nr_places > slabs.nr_pages * _SHARED else 0
    span = 1 if shared else int(slabs.item_pages)
    yield Component(ZIPF, slabs.nr_pages, first, exponent=exponent, span=span, items=shared)
    more = slabs.item_pages - span + nr_passed
    while more > 0:
        chance = min(more, 1.0)
        yield Component(ZIPF, slabs.nr_pages, first, exponent=exponent, items=shared, chance=chance)
        more -= 1


def _kv_requests(options: argparse.Namespace, item_pages: float) -> Requests:
    cost, sets = _costs("kv"), options.set_ratio
    burst = max(options.burst, 1)
    once = cost["wake_ns"] / burst + cost["get_ns"] * (1 - sets) + cost["set_ns"] * sets
    page = cost["get_page_ns"] * (1 - sets) + cost["set_page_ns"] * sets
    # Measured for a page of value; a request refers to the page of its bucket besides.
    page *= options.value_size / PAGE_SIZE / (item_pages + 1)
    return _arrivals(options.rate, compute_ns=once, page_ns=page, draws=_ONE_OF_EACH, burst=burst)


def _scan(options: argparse.Namespace) -> Program:
    pages = options.size // PAGE_SIZE
    growth = None if options.growth is None else nr_pages(options.growth)
    component = Component(
        LOOP, pages, grows_from_pages=None if growth is None else min(growth, pages),
        growth_pages_per_s=float(growth or 0),
    )  # fmt: skip
    kind = PACED if options.rate else CLOSED
    requests = Requests(kind, float(options.rate), compute_ns=_costs("scan")["visit_ns"])
    return Program(pages, (component,), requests, provenance=_provenance("scan"))


def _inner_levels(nr_leaves: int) -> list[int]:
    """Inner nodes on each level of a tree that was filled in order, the root first."""
    levels: list[int] = []
    below = nr_leaves
    while below > 1:
        below = -(-below // _CHILDREN)
        levels.insert(0, below)
    return levels


def _btree(options: argparse.Namespace) -> Program:
    pages = options.size // PAGE_SIZE
    nr_keys = btree.nr_keys_for(options.size, options.keys)
    if nr_keys < 1:
        raise UsageError(f"--size {options.size}: a tree with keys needs more pages")
    leaves = -(-nr_keys // _LEAF_KEYS)
    # The header, then the inner nodes level by level, then the leaves with room to grow.
    above = [1, *_inner_levels(leaves)]
    first = sum(above)
    cost = _costs("btree")
    each = cost["lookup_ns"] * (1 - options.insert_ratio) + cost["insert_ns"] * options.insert_ratio
    rate = options.rate or 1e9 / each
    components = [Component(UNIFORM, count, sum(above[:level])) for level, count in enumerate(above)]
    components.append(_leaves(options, Component(UNIFORM, leaves, first), pages - first, rate))
    requests = _arrivals(options.rate, compute_ns=each, draws=_ONE_OF_EACH)
    fill_ns = cost["load_page_ns"]
    return Program(pages, tuple(components), requests, True, fill_ns, provenance=_provenance("btree"))


def _leaves(options: argparse.Namespace, loaded: Component, most: int, rate: float) -> Component:
    """How leaves are looked up: all of them, or a working set of them; inserts make new ones."""
    if options.working_set:
        share = min(loaded.nr_pages, -(-options.working_set // _LEAF_KEYS))
        if not options.every:
            return replace(loaded, nr_pages=share)
        return replace(loaded, kind=PHASES, set_pages=share, phase_ns=round(options.every * 1e9))
    if not options.insert_ratio:
        return loaded
    # Leaves filled in order are full: an insert splits the one it meets.
    return replace(
        loaded,
        nr_pages=most,
        grows_from_pages=loaded.nr_pages,
        growth_pages_per_s=rate * options.insert_ratio,
    )


def _matmul(options: argparse.Namespace) -> Program:
    layer_bytes = options.width * options.width * 4
    nr_layers = options.size // layer_bytes if layer_bytes > 0 else 0
    if not nr_layers:
        raise UsageError(
            f"a layer of width {options.width} has {layer_bytes} bytes, there are {options.size}"
        )
    pages = nr_pages(nr_layers * layer_bytes)
    cost = _costs("matmul")
    requests = _arrivals(options.rate, compute_ns=cost["request_ns"], page_ns=cost["page_ns"])
    components = (Component(LOOP, pages, span=pages),)
    fill_ns = cost["fill_page_ns"]
    return Program(pages, components, requests, True, fill_ns, provenance=_provenance("matmul"))


_MODELS: Final[
    Mapping[str, tuple[Callable[[], argparse.ArgumentParser], Callable[[argparse.Namespace], Program]]]
] = {
    "kv": (kv.make_parser, _kv),
    "btree": (btree.make_parser, _btree),
    "scan": (scan.make_parser, _scan),
    "matmul": (matmul.make_parser, _matmul),
}
