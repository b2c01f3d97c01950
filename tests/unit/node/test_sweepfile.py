"""SPEC files: what they mean, and errors that say file, line, field and what is allowed."""

import json
import re
from pathlib import Path

import pytest

from epcgroup.errors import ManifestError, UsageError
from epcgroup.node.sweepfile import load_sweep
from epcgroup.plan.journal import differences
from epcgroup.plan.measure import FIGURES
from epcgroup.plan.points import KEYS
from epcgroup.plan.space import Between, Choice
from epcgroup.units import PAGE_SIZE

MANIFEST = """\
apiVersion: v1
kind: Node
metadata: {name: n}
status: {capacity: {sgx.intel.com/epc: 16Mi}}
---
apiVersion: v1
kind: Pod
metadata:
  name: kv
  annotations:
    epcgroup.io/model: |
      touches: [{zipf: 4Mi}]
      requests: {poisson: 100}
spec:
  containers:
    - name: main
      command: ["true"]
      resources: {limits: {sgx.intel.com/epc: 8Mi}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pods.yaml").write_text(MANIFEST)
    return tmp_path


def spec(folder: Path, text: str) -> Path:
    path = folder / "s.yaml"
    path.write_text("manifest: pods.yaml\n" + text)
    return path


def test_a_grid(folder: Path) -> None:
    text = """\
duration: 20s
warm-up: 0.25
seed: 5
reps: 2
grid:
  epc: [8Mi, 16Mi]
  series: fair
  rate.kv: [1, 2.5]
  cost.evict: 100
  cpus: [0, 2]
"""
    sweep = load_sweep(spec(folder, text))
    assert (sweep.base.duration_ns, sweep.base.sample_ns, sweep.warm_up) == (20 * 10**9, 5 * 10**9, 0.25)
    assert dict(sweep.space.axes) == {
        "epc": Choice((8 << 20, 16 << 20)),
        "series": Choice(("fair",)),
        "rate.kv": Choice((1.0, 2.5)),
        "cost.evict": Choice((100.0,)),
        "cpus": Choice((0, 2)),
    }
    assert sweep.space.seeds == (5, 6)
    assert len(sweep.space.points()) == 16
    assert [pod.name for pod in sweep.base.pods] == ["kv"]


def test_random_points(folder: Path) -> None:
    text = """\
random:
  nr: 7
  seed: 3
  epc: {log-uniform: [8Mi, 1Gi]}
  limits: {uniform: [0.5, 2]}
  policy: [second-chance, lru]
"""
    sweep = load_sweep(spec(folder, text))
    assert dict(sweep.space.axes) == {
        "epc": Between(8 << 20, 1 << 30, logarithmic=True, step=PAGE_SIZE),
        "limits": Between(0.5, 2.0),
        "policy": Choice(("second-chance", "lru")),
    }
    assert (sweep.space.nr, sweep.space.seed, sweep.space.seeds, sweep.warm_up) == (7, 3, (1,), 0.1)


def test_what_figures_depend_on_is_in_the_identity(folder: Path) -> None:
    before = load_sweep(spec(folder, "grid: {epc: 8Mi}\n")).identity
    (folder / "pods.yaml").write_text("# a remark\n" + MANIFEST)
    assert load_sweep(spec(folder, "# a remark\ngrid:\n  epc: [8Mi]\n")).identity == before
    (folder / "pods.yaml").write_text(MANIFEST.replace("poisson: 100", "poisson: 200"))
    after = load_sweep(spec(folder, "warm-up: 0.2\ngrid: {epc: 8Mi, costs: sgx1}\n")).identity
    old, new = (json.loads(json.dumps(identity)) for identity in (before, after))
    assert list(differences(old, new)) == [
        "axes.costs is new",
        "costs.sgx1 is new",
        "scenario.pods[0].containers[0].program.requests.rate_per_s was 100.0, is 200.0",
        "scenario.sample_ns was 6000000000, is 12000000000",
        "warm_up was 0.1, is 0.2",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "needs either grid: (lists, every combination) or random: (distributions, nr points)"),
        ("grid: {epc: 8Mi}\nrandom: {nr: 1, epc: 8Mi}", "needs either grid:"),
        ("grids: {}", "s.yaml:2: sweep: grids: is not a field of a sweep; did you mean 'grid'?"),
        ("grid: {}", "sweeps nothing: keys are epc, series, policy, costs, limits, rate, cpus, limits.POD"),
        ("grid: {ecp: 8Mi}", "s.yaml:2: sweep: grid.ecp: is nothing that can be swept: keys are epc,"),
        ("grid: {ecp: 8Mi}", "did you mean 'epc'?"),
        ("grid: {epc: [8Mi, 8mb]}", "grid.epc[1]: '8mb': is not a size"),
        ("grid: {epc: 100}", "is less than one page of 4096 bytes"),
        ("grid: {epc: []}", "is empty: at least one value is needed"),
        ("grid: {series: [fare]}", "did you mean 'fair'?"),
        ("grid: {policy: lru2}", "expected one of second-chance, lru"),
        ("grid: {policy: 'no.such:Policy'}", "no.such"),
        ("grid: {costs: sgx3}", "expected one of"),
        ("grid: {rate: 0}", "a factor is above 0"),
        ("grid: {rate.db: 2}", "there is no pod 'db'"),
        ("grid: {cost.evct: 2}", "there is no cost 'evct'; did you mean 'evict'?"),
        ("grid: {seed: [1, 2]}", "seeds are not a key: give seed: and reps: beside it"),
        ("grid: {epc: {uniform: [8Mi, 9Mi]}}", "a grid has lists: distributions belong to random:"),
        ("random: {epc: 8Mi}", "random.nr: is missing: expected how many points are drawn"),
        ("random: {nr: 2, epc: {normal: [8Mi, 9Mi]}}", "normal: is not a field of a distribution"),
        ("random: {nr: 2, epc: {uniform: [9Mi, 8Mi]}}", "must be below the upper bound"),
        ("random: {nr: 2, epc: {uniform: [9Mi]}}", "expected two bounds that are numbers or sizes"),
        ("random: {nr: 2, series: {uniform: [fair, v17]}}", "expected two bounds that are numbers or sizes"),
        ("random: {nr: 2, rate: {log-uniform: [0, 2]}}", "a factor is above 0"),
        ("duration: 0s\ngrid: {epc: 8Mi}", "a run takes some time"),
        ("duration: 5\ngrid: {epc: 8Mi}", "expected text"),
        ("warm-up: 0.001\ngrid: {epc: 8Mi}", "the part that is not counted is 0, or 0.01 to 0.9"),
        ("reps: 0\ngrid: {epc: 8Mi}", "expected a whole number of at least 1"),
    ],
)
def test_errors_name_place_and_remedy(folder: Path, text: str, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_sweep(spec(folder, text))
    assert problem in str(caught.value)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"pods\.yaml"):
        load_sweep(spec(tmp_path, "grid: {epc: 8Mi}"))
    with pytest.raises(UsageError, match="2 documents"):
        load_sweep(spec(tmp_path, "grid: {epc: 8Mi}\n---\na: b\n"))


ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("number", "nr_points"), [(0, 54), (1, 200)])
def test_the_specs_of_the_documentation_are_right(number: int, nr_points: int, tmp_path: Path) -> None:
    text = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/sweep.md").read_text(), re.DOTALL)[number]
    path = tmp_path / "spec.yaml"
    path.write_text(text.replace("examples/", f"{ROOT}/examples/"))
    assert len(load_sweep(path).space.points()) == nr_points


def test_every_key_is_in_the_documentation() -> None:
    text = (ROOT / "docs/sweep.md").read_text()
    assert [key for key in KEYS if f"`{key}`" not in text and key != "seed"] == []
    assert [
        figure for figure in FIGURES if f"`{figure}`" not in text and figure not in ("pod", "counted_s")
    ] == []
