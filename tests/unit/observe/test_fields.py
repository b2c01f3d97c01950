"""How figures look."""

from dataclasses import fields as dataclass_fields

import pytest

from epcgroup.observe.fields import FIELDS, TABLE, format_count, format_ns, text
from epcgroup.observe.figures import PodFigures
from epcgroup.units import LIMIT_MAX


def test_every_figure_has_a_field_and_every_field_a_figure() -> None:
    assert list(FIELDS) == sorted(FIELDS, key=[f.name for f in dataclass_fields(PodFigures)].index)
    assert {f.name for f in dataclass_fields(PodFigures)} == set(FIELDS)
    assert set(TABLE) <= set(FIELDS)
    assert all(field.meaning.endswith(".") for field in FIELDS.values())


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("claim_bytes", 64 << 20, "64Mi"),
        ("limit_bytes", LIMIT_MAX, "max"),
        ("p99_ns", 1_520_000.0, "1.52 ms"),
        ("p99_ns", None, "–"),
        ("p99_ns", float("nan"), "–"),
        ("operations_per_s", 12_345.6, "12.3k"),
        ("evicted_by", {"a": 62.0, "ksgxd": 30.0, "b": 8.0}, "a 62 %, ksgxd 30 %"),
        ("evicted_by", {}, "–"),
        ("phase", "Running", "Running"),
    ],
)
def test_texts(name: str, value: object, shown: str) -> None:
    assert text(name, value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.4, "0.4"),
        (973.2, "973"),
        (9999, "9999"),
        (10_000, "10.0k"),
        (1.25e6, "1.25M"),
        (3e9, "3.00G"),
    ],
)
def test_counts(value: float, shown: str) -> None:
    assert format_count(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(840, "840 ns"), (12_300, "12.3 µs"), (2.1e9, "2.10 s"), (5e11, "500 s")]
)
def test_durations(value: float, shown: str) -> None:
    assert format_ns(value) == shown
