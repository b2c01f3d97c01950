"""Mixtures: each trace's own order stays, pages are apart, shares go by weight, the seed decides the rest."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import UsageError
from epcgroup.sim.trace import mix as mixing
from epcgroup.sim.trace.format import read_trace
from epcgroup.sim.trace.mix import Part, mix
from tests.unit.sim.trace.trace_requests import Requests, read, write

requests_strategy = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=30)


@settings(max_examples=80, deadline=None)
@given(
    traces=st.lists(requests_strategy, min_size=2, max_size=4),
    seed=st.integers(0, 5),
    round_size=st.integers(1, 40),
    until_all=st.booleans(),
)
def test_order_and_pages(
    tmp_path_factory: pytest.TempPathFactory,
    traces: list[Requests],
    seed: int,
    round_size: int,
    until_all: bool,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    parts = [Part(write(folder / f"{n}.npy", requests)) for n, requests in enumerate(traces)]
    first_pages = np.cumsum([0] + [1 + max(map(max, requests)) for requests in traces])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixing, "_ROUND", round_size)
        patch.setattr(mixing, "_WINDOW", 3)
        mix(parts, folder / "mix.npy", seed=seed, until_all=until_all)
    mixed = read(folder / "mix.npy")
    own: list[Requests] = [[] for _ in traces]
    for request in mixed:
        part = int(np.searchsorted(first_pages, request[0], side="right")) - 1
        own[part].append([page - int(first_pages[part]) for page in request])
    if until_all:
        assert own == traces
    else:
        assert all(found == requests[: len(found)] for found, requests in zip(own, traces, strict=True))
        assert any(found == requests for found, requests in zip(own, traces, strict=True))


def test_shares_go_by_weight_and_the_seed_decides(tmp_path: Path) -> None:
    for name, length in (("a", 40_000), ("b", 40_000)):
        write(tmp_path / f"{name}.npy", [[0]] * length)
    parts = [Part(tmp_path / "a.npy", 3), Part(tmp_path / "b.npy", 1)]
    for seed, name in ((1, "x"), (1, "y"), (2, "z")):
        mix(parts, tmp_path / f"{name}.npy", seed=seed)
    contents = [(tmp_path / f"{name}.npy").read_bytes() for name in "xyz"]
    assert contents[0] == contents[1] != contents[2]
    counts = np.bincount([request[0] for request in read(tmp_path / "x.npy")])
    assert counts[0] == 40_000  # it ends with the first that does
    assert abs(counts[1] / counts[0] - 1 / 3) < 0.02


def test_without_requests_it_goes_reference_by_reference(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.npy", [[page] for page in range(20)], has_requests=False)
    mix([Part(plain), Part(plain)], tmp_path / "mix.npy", until_all=True)
    trace = read_trace(tmp_path / "mix.npy")
    assert trace.nr_requests == 0
    assert sorted(trace.references.tolist()) == list(range(40))
    # Beside one that has requests every reference is one.
    marked = write(tmp_path / "marked.npy", [[1, 2]] * 20)
    mix([Part(plain), Part(marked)], tmp_path / "mix.npy", until_all=True)
    trace = read_trace(tmp_path / "mix.npy")
    assert trace.nr_requests == 40
    assert trace.arrivals is None
    assert trace.provenance["of"] == [{"source": "x"}, {"source": "x"}]


def test_what_cannot_be_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.npy", [[1]])
    with pytest.raises(UsageError, match="1 traces to mix: 2 to 256"):
        mix([Part(path)], tmp_path / "mix.npy")
    for weight in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="expected a number above 0"):
            mix([Part(path), Part(path, weight)], tmp_path / "mix.npy")
    monkeypatch.setattr(mixing, "MAX_PAGES", 3)
    with pytest.raises(UsageError, match="4 pages in all: a trace has at most 3"):
        mix([Part(path), Part(path)], tmp_path / "mix.npy")
