"""``epcg compare`` end to end, small: three runs, a verdict, a page that needs nothing but itself."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from epcgroup.observe.verdict import MEANING

pytestmark = [pytest.mark.live, pytest.mark.slow]

MANIFEST = """\
{apiVersion: v1, kind: Node, metadata: {name: n}, status: {capacity: {sgx.intel.com/epc: 16Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: kv}
spec:
  containers:
  - name: main
    command: [python, -m, epcgroup.workloads.kv, --size, 4Mi, --rate, "100"]
    resources: {limits: {sgx.intel.com/epc: 5Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: greedy, annotations: {epcgroup.io/start: 500ms}}
spec:
  containers:
  - name: main
    command: [python, -m, epcgroup.workloads.scan, --size, 24Mi, --rate, "4000"]
    resources: {limits: {sgx.intel.com/epc: 8Mi}}
"""


class Page(HTMLParser):
    """Collects what a page would load, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")
        ]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("compare")
    (folder / "<m>.yaml").write_text(MANIFEST)
    words = ["compare", "<m>.yaml", "--duration", "6s", "--json", "--out", "out"]
    words = [sys.executable, "-m", "epcgroup.cli.main", *words]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=110)
    if "no userfaultfd" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder / "out"


def test_the_document_holds_runs_checks_and_a_verdict(made: tuple[dict[str, Any], Path]) -> None:
    result, out = made
    assert result["verdict"] in MEANING
    assert result["verdict"] != "failed", result["checks"]
    assert [run["name"] for run in result["runs"]] == ["roomy", "not-enforced", "enforced"]
    assert {tuple(check) for check in result["checks"]} == {("name", "value", "bound", "ok")}
    assert {pod["name"]: pod["role"] for pod in result["pods"]} == {"kv": "victim", "greedy": "greedy"}
    saved = json.loads((out / "result.json").read_text())
    assert saved == {key: value for key, value in result.items() if key != "report"}


def test_what_does_not_depend_on_how_busy_the_machine_is(made: tuple[dict[str, Any], Path]) -> None:
    runs = {run["name"]: {f["pod"]: f for f in run["figures"]} for run in made[0]["runs"]}
    assert not any(f["evictions_per_s"] for f in runs["roomy"].values())
    assert not any(f["checksum_errors"] for run in runs.values() for f in run.values())
    assert runs["not-enforced"]["greedy"]["peak_bytes"] > 8 << 20
    assert runs["enforced"]["greedy"]["over_limit_pages"] <= 32
    assert runs["enforced"]["kv"]["evictions_per_s"] == 0
    blame = {run["name"]: run["evicted_by"] for run in made[0]["runs"]}
    assert blame["roomy"] == {"kv": {}, "greedy": {}}
    assert blame["enforced"]["kv"] == {}
    assert blame["enforced"]["greedy"].keys() == {"greedy"}


def test_the_page_needs_no_network_and_shows_every_pod(made: tuple[dict[str, Any], Path]) -> None:
    result, out = made
    assert Path(result["report"]).name == "report.html"
    html = (out / "report.html").read_text()
    page = Page(html)
    assert all(target.startswith("#") for target in page.loads)
    assert not re.search(r"url\((?!#)|@import|<script", html)
    assert page.tags.count("svg") == 2
    for words in ("kv", "greedy", result["verdict"], "Who evicted whom", "<m>.yaml", "--rate"):
        assert words in page.words
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
