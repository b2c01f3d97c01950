"""How figures look."""

from dataclasses import fields as dataclass_fields
from dataclasses import replace

import pytest
from observe_samples import NS, recording

from epcgroup.observe.fields import FIELDS, TABLE, format_count, format_ns, text, with_troubles
from epcgroup.observe.figures import PodFigures, Window, figures
from epcgroup.observe.table import pod_table
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


def test_columns_about_troubles_come_only_where_there_are_some() -> None:
    recorded = recording("a", "b")
    rows = [figures(recorded, target, Window(0, 10 * NS)) for target in recorded.targets]
    assert with_troubles(TABLE, rows) == TABLE
    rows[1] = replace(rows[1], oom_kills=2)
    assert with_troubles(TABLE, rows) == (*TABLE, "oom_kills")
    rows[0] = replace(rows[0], reason="OOMKilled")
    assert with_troubles(TABLE, rows) == (*TABLE, "oom_kills", "reason")
    titles = [column.header for column in pod_table(rows).columns]
    assert titles[-2:] == ["KILLS", "REASON"]
