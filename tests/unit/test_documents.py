"""What the documents point at exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
ROOMS = "abi|cgroupfs|cli|client|compiled|conformance|engine|face|node|observe|pager|plan|sim|state|workloads"


def is_there(name: str) -> bool:
    """Tell whether a path relative to the root exists; words in capitals are place-holders."""
    return bool(re.search(r"\b[A-Z]{3,}\b", name)) or any(ROOT.glob(name.rstrip("/")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document: Path) -> None:
    named = re.findall(rf"`(?:src/epcgroup/)?((?:{ROOMS})/\w+\.py)`", document.read_text())
    assert [name for name in named if not is_there(f"src/epcgroup/{name}")] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_tests_exist(document: Path) -> None:
    named = re.findall(r"`((?:tests|benchmarks|examples|docs)/[\w./*-]+)`", document.read_text())
    assert [name for name in named if not is_there(name)] == []


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
