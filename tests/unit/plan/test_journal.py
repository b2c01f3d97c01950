"""The journal: nothing finished is lost, nothing half written counts, no two sweeps in one folder."""

import json
from pathlib import Path

import pytest

from epcgroup.errors import UsageError
from epcgroup.plan import journal

SPEC = {"how": "grid", "axes": {"epc": [1, 2], "series": ["fair"]}, "seeds": [1]}


def noted(folder: Path) -> dict[str, object]:
    with journal.opened(folder, SPEC) as notes:
        return dict(notes.entries)


def test_what_was_noted_is_there_again(tmp_path: Path) -> None:
    with journal.opened(tmp_path, SPEC) as notes:
        notes.note("a", {"rows": [{"p99_ns": 0.1}]})
        notes.note("b", {"error": "why"})
    assert noted(tmp_path) == {"a": {"rows": [{"p99_ns": 0.1}]}, "b": {"error": "why"}}


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_line_cut_short_is_forgotten_and_overwritten(tmp_path: Path, cut: int) -> None:
    with journal.opened(tmp_path, SPEC) as notes:
        for name in "abc":
            notes.note(name, {"rows": []})
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    with journal.opened(tmp_path, SPEC) as notes:
        assert list(notes.entries) == ["a", "b"]
        notes.note("d", {"rows": []})
    assert list(noted(tmp_path)) == ["a", "b", "d"]
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["a", "b", "d"]


def test_after_a_line_of_garbage_nothing_counts(tmp_path: Path) -> None:
    with journal.opened(tmp_path, SPEC) as notes:
        notes.note("a", {})
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes() + b"\x00\xff\n" + b'{"id": "b"}\n')
    assert list(noted(tmp_path)) == ["a"]


def test_another_sweep_is_told_what_differs(tmp_path: Path) -> None:
    noted(tmp_path)
    other = {"how": "grid", "axes": {"epc": [1, 3], "rate": [2.0]}, "seeds": [1]}
    with pytest.raises(UsageError) as caught, journal.opened(tmp_path, other):
        pass
    assert str(caught.value) == (
        f"{tmp_path} holds another sweep:"
        f" axes.epc was [1, 2], is [1, 3]; axes.rate is new; axes.series is gone."
        f" To keep it, give --out another folder; to start anew, remove {tmp_path}"
    )


def test_differences_are_named_by_their_path() -> None:
    before = {"pods": [{"name": "kv", "rates": [1, 2]}, {"name": "scan"}], "warm_up": 0.1}
    after = {"pods": [{"name": "kv", "rates": [1, 3]}], "warm_up": 0.1}
    assert list(journal.differences(before, after)) == [
        "pods[0].rates was [1, 2], is [1, 3]",
        "pods[1] is gone",
    ]
    assert list(journal.differences(before, before)) == []


def test_what_is_no_sweep_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match=r"journal but no spec\.json"):
        noted(tmp_path)
    (tmp_path / "spec.json").write_text("not JSON")
    with pytest.raises(UsageError, match="not what a sweep wrote"):
        noted(tmp_path)
    assert (tmp_path / "journal.jsonl").read_text() == "{}\n"


def test_the_order_of_the_spec_in_memory_does_not_matter(tmp_path: Path) -> None:
    noted(tmp_path)
    with journal.opened(tmp_path, dict(reversed(SPEC.items()))) as notes:
        assert notes.entries == {}
