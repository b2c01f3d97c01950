"""Synthetic traces: seeded, of any length in the same memory, the same bytes whatever the pieces.

Source: the mixtures of ``docs/traces.md``; Zipf by inversion of the cumulative weights over shuffled pages.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.compiled.jit import jit, nth
from epcgroup.errors import UsageError
from epcgroup.sim.trace.format import MAX_PAGES, REQUEST_MARK, Header
from epcgroup.sim.trace.source import Progress
from epcgroup.sim.trace.writer import open_writer

ZIPF, UNIFORM, SCAN, LOOP, PHASES, ZIPF_SCAN = "zipf", "uniform", "scan", "loop", "phases", "zipf+scan"
KINDS: Final = (ZIPF, UNIFORM, SCAN, LOOP, PHASES, ZIPF_SCAN)
#: Most pages a Zipf distribution is tabulated for (some 50 bytes each while it is made).
MAX_ZIPF_PAGES: Final = 1 << 26
_PIECE: Final = 1 << 18
_MARK: Final = np.uint32(REQUEST_MARK)
#: Requests a second from which on arrivals are kept to the nanosecond; below: to the microsecond.
_FAST: Final = 1000.0
_SECOND_NS: Final = 10**9

_Source = Callable[[int], NDArray[np.uint32]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to generate.

    Attributes:
        kind: ``zipf`` and ``uniform`` draw each page independently; ``scan`` touches every page once,
            ``loop`` again and again; ``phases`` draws uniformly from a working set that jumps; ``zipf+scan``
            is Zipf with whole windows replaced by a sequential run over other pages.
        nr_pages: pages drawn from.
        nr_references: length.
        seed: of everything random.
        exponent: of Zipf.
        set_pages: ``phases``: size of the working set.
        phase_references: ``phases``: how long it stays.
        scan_pages: ``zipf+scan``: pages of the sequential runs, above the others; 0: as many as ``nr_pages``.
        scan_share: ``zipf+scan``: share of the windows that are runs.
        window: ``zipf+scan``: references in a window.
        request_pages: references of a request; 0: no requests.
        rate_per_s: Poisson arrivals of the requests; 0: none.
    """

    kind: str
    nr_pages: int
    nr_references: int
    seed: int = 1
    exponent: float = 0.99
    set_pages: int = 1000
    phase_references: int = 100_000
    scan_pages: int = 0
    scan_share: float = 0.3
    window: int = 200_000
    request_pages: int = 0
    rate_per_s: float = 0.0

    @property
    def all_pages(self) -> int:
        """Pages of the trace."""
        return self.nr_pages + (self.scan_pages or self.nr_pages if self.kind == ZIPF_SCAN else 0)


def generate(recipe: Recipe, out: Path, *, progress: Progress | None = None) -> Header:
    """Write a synthetic trace.

    Args:
        recipe: what.
        out: the trace.
        progress: called with references done and in all.

    Raises:
        UsageError: the recipe cannot be; the text says what is allowed.
        OSError: the file cannot be written.
    """
    _check(recipe)
    # Independent streams, so that pieces may be of any size.
    random = [np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(recipe.seed).spawn(4)]
    source = _source(recipe, random)
    arrivals = _Poisson(recipe.rate_per_s, random[3]) if recipe.rate_per_s else None
    provenance = {"format": "generated", **_said(recipe)}
    unit_ns = arrivals.unit_ns if arrivals else 0
    with open_writer(out, provenance, unit_ns=unit_ns, nr_pages=recipe.all_pages) as writer:
        while writer.nr_references < recipe.nr_references:
            first = writer.nr_references
            references = source(min(_PIECE, recipe.nr_references - first))
            if recipe.request_pages:
                references[-first % recipe.request_pages :: recipe.request_pages] |= _MARK
            nr_begun = int(np.count_nonzero(references & _MARK))
            writer.append(references, arrivals.next(nr_begun) if arrivals else None)
            if progress is not None:
                progress(writer.nr_references, recipe.nr_references)
    return writer.header


def _said(recipe: Recipe) -> dict[str, object]:
    """Return what of a recipe matters for its kind, for the provenance."""
    own = {
        ZIPF: ("exponent",),
        PHASES: ("set_pages", "phase_references"),
        ZIPF_SCAN: ("exponent", "scan_pages", "scan_share", "window"),
    }
    names = ("kind", "nr_pages", "seed", *own.get(recipe.kind, ()))
    names += ("request_pages", "rate_per_s") if recipe.request_pages else ()
    return {name: getattr(recipe, name) for name in names}


def _check(recipe: Recipe) -> None:
    if recipe.kind not in KINDS:
        raise UsageError(f"{recipe.kind!r} is no kind of trace: {', '.join(KINDS)}")
    _within("pages", recipe.all_pages, 1, MAX_ZIPF_PAGES if ZIPF in recipe.kind else MAX_PAGES)
    _within("references", recipe.nr_references, 1, 2**40)
    _within("pages of a request", recipe.request_pages, 0, 2**32)
    _within("seed", recipe.seed, 0, 2**64 - 1)
    _within("exponent", recipe.exponent, 0, 100)
    if recipe.rate_per_s and not recipe.request_pages:
        raise UsageError("a rate of requests needs requests: say how many pages one has")
    if recipe.rate_per_s:
        _within("requests a second", recipe.rate_per_s, 0.01, 1e9)
    if recipe.kind == SCAN and recipe.nr_references > recipe.nr_pages:
        raise UsageError(
            f"{recipe.nr_references} references scan {recipe.nr_pages} pages more than once: that is a loop"
        )
    if recipe.kind == PHASES:
        _within("pages of the working set", recipe.set_pages, 1, recipe.nr_pages)
        _within("references of a phase", recipe.phase_references, 1, 2**40)
    if recipe.kind == ZIPF_SCAN:
        _within("references of a window", recipe.window, 1, 2**40)
        _within("share of the scans", recipe.scan_share, 0, 1)
        _within("pages of the scans", recipe.scan_pages, 0, MAX_PAGES)


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UsageError(f"{name}: {value}, allowed are {least} to {most}")


def _source(recipe: Recipe, random: list[np.random.Generator]) -> _Source:
    """Return what gives the next so many pages."""
    if recipe.kind == UNIFORM:
        return lambda count: random[0].integers(0, recipe.nr_pages, count, np.uint32)
    if recipe.kind in (SCAN, LOOP):
        return _Loop(0, recipe.nr_pages)
    if recipe.kind == PHASES:
        return _Phases(recipe, random[0], random[1])
    zipf = _Zipf(recipe.nr_pages, recipe.exponent, random[0], random[1])
    return zipf if recipe.kind == ZIPF else _Windows(recipe, zipf, random[2])


class _Loop:
    """Pages in order, round and round."""

    def __init__(self, first: int, nr_pages: int) -> None:
        self._first, self._nr_pages, self._place = first, nr_pages, 0

    def __call__(self, count: int) -> NDArray[np.uint32]:
        places = np.arange(self._place, self._place + count) % self._nr_pages
        self._place = (self._place + count) % self._nr_pages
        return (places + self._first).astype(np.uint32)


@jit
def _invert(
    draws: NDArray[np.float64],
    cumulative: NDArray[np.float64],
    guide: NDArray[np.uint32],
    pages: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Find each draw in the cumulative weights: the guide names the first rank that may be the one."""
    for index in range(len(draws)):
        draw = draws[nth(index)]
        rank = np.int64(guide[nth(int(draw * (len(guide) - 1)))])
        while rank > 0 and cumulative[nth(rank - 1)] > draw:  # the product was rounded up
            rank -= 1
        while cumulative[nth(rank)] <= draw:
            rank += 1
        out[nth(index)] = pages[nth(rank)]


class _Zipf:
    """Independent draws: rank r with weight 1/r^exponent; which page has which rank is shuffled."""

    def __init__(
        self, nr_pages: int, exponent: float, random: np.random.Generator, shuffle: np.random.Generator
    ) -> None:
        self._random = random
        weights = np.arange(1, nr_pages + 1, dtype=np.float64) ** -exponent
        self._cumulative = np.cumsum(weights)
        self._cumulative /= self._cumulative[-1]
        self._cumulative[-1] = 1.0
        starts = np.arange(nr_pages + 1) / nr_pages
        guide = np.searchsorted(self._cumulative, starts, side="right")
        self._guide = np.minimum(guide, nr_pages - 1).astype(np.uint32)
        self._pages = shuffle.permutation(nr_pages).astype(np.uint32)

    def __call__(self, count: int) -> NDArray[np.uint32]:
        out = np.empty(count, np.uint32)
        _invert(self._random.random(count), self._cumulative, self._guide, self._pages, out)
        return out


class _Stretches(ABC):
    """Something that changes every so many references; the stretches are the same whatever the pieces."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._left = 0

    def __call__(self, count: int) -> NDArray[np.uint32]:
        parts = []
        while count:
            if not self._left:
                self._change()
                self._left = self._length
            now = min(count, self._left)
            parts.append(self._draw(now))
            self._left -= now
            count -= now
        return np.concatenate(parts)

    @abstractmethod
    def _change(self) -> None:
        """Begin a stretch."""

    @abstractmethod
    def _draw(self, count: int) -> NDArray[np.uint32]:
        """Return pages of this stretch."""


class _Phases(_Stretches):
    """Uniform draws from a working set of neighbours that jumps."""

    def __init__(self, recipe: Recipe, random: np.random.Generator, jumps: np.random.Generator) -> None:
        super().__init__(recipe.phase_references)
        self._recipe, self._random, self._jumps = recipe, random, jumps
        self._first = 0

    def _change(self) -> None:
        self._first = int(self._jumps.integers(0, self._recipe.nr_pages - self._recipe.set_pages + 1))

    def _draw(self, count: int) -> NDArray[np.uint32]:
        first, size = self._first, self._recipe.set_pages
        return self._random.integers(first, first + size, count, np.uint32)


class _Windows(_Stretches):
    """Zipf, with whole windows replaced by a run over other pages that goes on where the last one ended."""

    def __init__(self, recipe: Recipe, zipf: _Zipf, choices: np.random.Generator) -> None:
        super().__init__(recipe.window)
        self._share, self._choices = recipe.scan_share, choices
        self._zipf = zipf
        self._scan = _Loop(recipe.nr_pages, recipe.all_pages - recipe.nr_pages)
        self._scans = False

    def _change(self) -> None:
        self._scans = bool(self._choices.random() < self._share)

    def _draw(self, count: int) -> NDArray[np.uint32]:
        return self._scan(count) if self._scans else self._zipf(count)


class _Poisson:
    """Arrivals with exponential gaps; times are rounded, not gaps, so that the rate is kept."""

    def __init__(self, rate_per_s: float, random: np.random.Generator) -> None:
        self.unit_ns = 1 if rate_per_s >= _FAST else 1000
        self._mean = _SECOND_NS / self.unit_ns / rate_per_s
        self._random = random
        self._fraction = 0.0

    def next(self, count: int) -> NDArray[np.uint32]:
        """Return the next differences of arrivals, in ``unit_ns``."""
        gaps = self._random.exponential(self._mean, count)
        times = self._fraction + np.cumsum(gaps)
        whole = np.floor(times)
        self._fraction = float(times[-1] - whole[-1]) if count else self._fraction
        return np.minimum(np.diff(whole, prepend=0), 2**32 - 1).astype(np.uint32)
