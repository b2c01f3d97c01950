"""Numbers in order of first touch: as a dictionary gives them, through every growth of the table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import TraceFormatError
from epcgroup.sim.trace import numbering
from epcgroup.sim.trace.numbering import Numbering


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.one_of(st.integers(0, 30), st.integers(0, 2**64 - 1)), max_size=40), max_size=8))
def test_as_a_dictionary_does(pieces: list[list[int]]) -> None:
    known: dict[int, int] = {}
    own = Numbering()
    for piece in pieces:
        expected = [known.setdefault(name, len(known)) for name in piece]
        assert own.numbers(np.array(piece, np.uint64)).tolist() == expected
    assert own.nr_used == len(known)


def test_growth_keeps_every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "_FIRST_SLOTS", 4)
    random = np.random.default_rng(1)
    names = random.integers(0, 2**64 - 1, 5000, np.uint64)
    own = Numbering()
    first = [own.numbers(names[start : start + 7]) for start in range(0, len(names), 7)]
    assert np.concatenate(first).tolist() == list(range(5000))
    assert own.numbers(names).tolist() == list(range(5000))


def test_neighbours_and_multiples_do_not_pile_up() -> None:
    """Addresses come in rows and powers of two: the hash must spread these as well."""
    own = Numbering()
    for step in (1, 4096, 1 << 20, 1 << 40):
        names = np.arange(1, 20_000, dtype=np.uint64) * np.uint64(step)
        own.numbers(names)
    used = np.flatnonzero(own._slots[1::2])
    # Longest run of used slots: a look-up never goes farther.
    runs = np.diff(np.flatnonzero(np.diff(used, prepend=-2, append=used[-1] + 2) != 1))
    assert int(runs.max()) < 200


def test_more_pages_than_a_trace_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "MAX_PAGES", 10)
    own = Numbering()
    own.numbers(np.arange(10, dtype=np.uint64))
    with pytest.raises(TraceFormatError, match="more than 10 different pages"):
        own.numbers(np.array([99], np.uint64))
