"""What docs/policies.md shows works as shown, and names every policy."""

import re
from pathlib import Path

import pytest

from epcgroup.sim import policy

_TEXT = Path(__file__).parents[4].joinpath("docs", "policies.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _TEXT, re.DOTALL)


def test_the_policy_of_ones_own_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, use = _blocks("python")
    (tmp_path / "my_policy.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    exec(compile(use, "docs/policies.md", "exec"), {})
    assert capsys.readouterr().out == _blocks("text")[0]


def test_the_table_names_all_with_their_source() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", _TEXT, re.MULTILINE)
    assert sorted({row for row in rows if row not in ("fair", "v17")}) == sorted(policy.names())
