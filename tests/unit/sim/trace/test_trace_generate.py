"""Synthetic traces: distributions as they are defined, the same bytes in pieces of any size."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from epcgroup.errors import UsageError
from epcgroup.sim.trace import generate as generating
from epcgroup.sim.trace.format import PAGE_MASK, Trace, read_trace
from epcgroup.sim.trace.generate import KINDS, MAX_ZIPF_PAGES, Recipe, generate

LENGTH = 200_000


def made(folder: Path, recipe: Recipe) -> Trace:
    generate(recipe, folder / "t.npy")
    return read_trace(folder / "t.npy")


def pages(trace: Trace) -> NDArray[np.int64]:
    return (trace.references & np.uint32(PAGE_MASK)).astype(np.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    recipe = Recipe(kind, 5000, 5000, window=700, phase_references=300, set_pages=50, request_pages=3)
    recipe = replace(recipe, rate_per_s=50.0)
    whole = made(tmp_path, recipe)
    whole_bytes = (tmp_path / "t.npy").read_bytes()
    monkeypatch.setattr(generating, "_PIECE", 97)
    made(tmp_path, recipe)
    in_pieces = read_trace(tmp_path / "t.npy")
    assert in_pieces.references.tolist() == whole.references.tolist()
    assert whole.arrivals is not None
    assert in_pieces.arrivals is not None
    # Sums of floating point numbers depend on their order: a unit at most.
    drift = np.cumsum(in_pieces.arrivals.astype(np.int64)) - np.cumsum(whole.arrivals.astype(np.int64))
    assert int(np.abs(drift).max()) <= 1
    monkeypatch.undo()
    made(tmp_path, recipe)
    assert (tmp_path / "t.npy").read_bytes() == whole_bytes
    if kind not in ("scan", "loop"):
        assert made(tmp_path, replace(recipe, seed=2)).references.tolist() != whole.references.tolist()


@pytest.mark.parametrize("exponent", [0.0, 0.6, 0.99, 2.0, 100.0])
def test_zipf_draws_are_those_of_the_inverse(exponent: float) -> None:
    random, shuffle = np.random.default_rng(5), np.random.default_rng(6)
    zipf = generating._Zipf(1000, exponent, random, shuffle)
    drawn = zipf(LENGTH)
    draws = np.random.default_rng(5).random(LENGTH)
    ranks = np.searchsorted(zipf._cumulative, draws, side="right")
    assert (drawn == np.random.default_rng(6).permutation(1000)[ranks]).all()


def test_zipf_shares(tmp_path: Path) -> None:
    counts = np.sort(np.bincount(pages(made(tmp_path, Recipe("zipf", 100, LENGTH, exponent=1.0)))))[::-1]
    weights = 1 / np.arange(1, 101)
    assert np.allclose(counts[:5] / LENGTH, (weights / weights.sum())[:5], rtol=0.05)


def test_uniform_scan_loop(tmp_path: Path) -> None:
    uniform = np.bincount(pages(made(tmp_path, Recipe("uniform", 100, LENGTH))))
    assert len(uniform) == 100
    assert uniform.min() > LENGTH / 100 * 0.85
    assert pages(made(tmp_path, Recipe("scan", 50, 30))).tolist() == list(range(30))
    assert pages(made(tmp_path, Recipe("loop", 50, 120))).tolist() == [n % 50 for n in range(120)]


def test_phases_stay_in_their_set(tmp_path: Path) -> None:
    recipe = Recipe("phases", 10_000, 10_000, set_pages=100, phase_references=1000)
    for phase in pages(made(tmp_path, recipe)).reshape(10, 1000):
        assert phase.max() - phase.min() < 100
    firsts = {int(phase.min()) // 100 for phase in pages(made(tmp_path, recipe)).reshape(10, 1000)}
    assert len(firsts) > 5


def test_scans_replace_windows_and_go_on(tmp_path: Path) -> None:
    recipe = Recipe("zipf+scan", 1000, 100_000, window=1000, scan_pages=5000, scan_share=0.3)
    trace = made(tmp_path, recipe)
    assert trace.nr_pages == 6000
    windows = pages(trace).reshape(100, 1000)
    scans = [window for window in windows if window[0] >= 1000]
    assert 15 < len(scans) < 45
    assert np.concatenate(scans).tolist() == [1000 + n % 5000 for n in range(1000 * len(scans))]
    assert all(window.max() < 1000 for window in windows if window[0] < 1000)


@pytest.mark.parametrize("rate", [20.0, 5000.0])
def test_requests_and_poisson_arrivals(tmp_path: Path, rate: float) -> None:
    trace = made(tmp_path, Recipe("uniform", 10, 30_000, request_pages=3, rate_per_s=rate))
    assert trace.nr_requests == 10_000
    assert np.flatnonzero(trace.references >> np.uint32(31)).tolist() == list(range(0, 30_000, 3))
    assert trace.arrivals is not None
    gaps = trace.arrivals.astype(np.float64) * trace.unit_ns / 1e9
    assert gaps.mean() == pytest.approx(1 / rate, rel=0.05)
    assert gaps.std() == pytest.approx(1 / rate, rel=0.05)  # that of an exponential


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "pareto"}, "'pareto' is no kind of trace: zipf, uniform"),
        ({"nr_pages": 0}, "pages: 0, allowed are 1 to"),
        ({"nr_pages": MAX_ZIPF_PAGES + 1}, "pages: 67108865"),
        ({"nr_references": 0}, "references: 0, allowed are 1"),
        ({"exponent": float("nan")}, "exponent: nan"),
        ({"exponent": -1.0}, "exponent: -1.0"),
        ({"seed": -1}, "seed: -1"),
        ({"rate_per_s": 5.0}, "a rate of requests needs requests"),
        ({"rate_per_s": 1e-9, "request_pages": 1}, "requests a second: 1e-09"),
        ({"kind": "scan", "nr_references": 101}, "more than once: that is a loop"),
        ({"kind": "phases", "set_pages": 101}, "pages of the working set: 101, allowed are 1 to 100"),
        ({"kind": "phases", "set_pages": 10, "phase_references": 0}, "references of a phase: 0"),
        ({"kind": "zipf+scan", "window": 0}, "references of a window: 0"),
        ({"kind": "zipf+scan", "scan_share": 1.5}, "share of the scans: 1.5"),
    ],
)
def test_recipes_that_cannot_be(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("+", r"\+")):
        generate(replace(Recipe("zipf", 100, 100), **changes), tmp_path / "t.npy")
    assert list(tmp_path.iterdir()) == []


def test_provenance_says_how_to_make_it_again(tmp_path: Path) -> None:
    trace = made(tmp_path, Recipe("zipf", 10, 10, exponent=0.5))
    assert trace.provenance == {
        "format": "generated", "kind": "zipf", "nr_pages": 10, "seed": 1, "exponent": 0.5,
    }  # fmt: skip
