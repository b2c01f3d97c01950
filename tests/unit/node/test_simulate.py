"""From a manifest to a scenario, and from a result to what a live run records."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from epcgroup.errors import ManifestError
from epcgroup.node.claims import effective_claim
from epcgroup.node.compare import cases
from epcgroup.node.manifest import load_manifest, parse_manifest
from epcgroup.node.objects import Manifest
from epcgroup.node.simcompare import compare_simulated, last_phases
from epcgroup.node.simreport import node_figures, to_json, whole_figures
from epcgroup.node.simulate import SimOptions, notes, recording_of, scenario_of
from epcgroup.observe.figures import Window, figures
from epcgroup.observe.verdict import ISOLATED, NO_INTERFERENCE
from epcgroup.sim.ledger import Ledger
from epcgroup.sim.machine import simulate
from epcgroup.sim.result import POD_COLUMNS, Result
from epcgroup.sim.trace.writer import open_writer
from epcgroup.units import LIMIT_MAX

EXAMPLES = Path(__file__).parents[3] / "examples"
NS = 10**9
MIB = 1 << 20
COLUMN = {name: index for index, name in enumerate(POD_COLUMNS)}

NODE = "{apiVersion: v1, kind: Node, metadata: {name: n}, status: {capacity: {sgx.intel.com/epc: 16Mi}}}\n"
POD = """\
---
apiVersion: v1
kind: Pod
metadata:
  name: %s
  annotations:
    epcgroup.io/start: %s
    epcgroup.io/model: |
      %s
spec:
  containers:
    - {name: main, resources: {limits: {sgx.intel.com/epc: %s}}}
"""
STEADY = (
    "{memory: 2Mi, populate: true, touches: [{uniform: all}],"
    " requests: {paced: 100, draws: 2, compute: 10us}}"
)
SWEEP = "{memory: 24Mi, touches: [{loop: all}], requests: {paced: 5000, compute: 5us}}"


def pod(name: str, model: str = STEADY, claim: str = "4Mi", start: str = "0s") -> str:
    return POD % (name, start, model, claim)


def read(*documents: str) -> Manifest:
    return parse_manifest("m.yaml", NODE + "".join(documents))


def result_of(manifest: Manifest, seconds: int = 4, **options: object) -> Result:
    return simulate(scenario_of(manifest, replace(SimOptions(seconds * NS), **options)))  # type: ignore[arg-type]


def test_the_scenario_of_the_example_is_what_the_manifest_says() -> None:
    scenario = scenario_of(load_manifest(EXAMPLES / "noisy-neighbour.yaml"), SimOptions(20 * NS))
    assert scenario.capacity_bytes == 64 * MIB
    kv, greedy, _ = scenario.pods
    assert (kv.name, kv.claim_bytes, kv.limit_bytes, kv.start_ns, kv.end_ns) == (
        "kv",
        40 * MIB,
        40 * MIB,
        0,
        None,
    )
    assert (greedy.start_ns, greedy.containers[0].limit_bytes) == (2 * NS, 12 * MIB)
    assert greedy.containers[0].program.nr_pages == 64 * MIB // 4096
    assert not kv.restarts


def test_limits_are_the_claims_times_a_factor() -> None:
    manifest = read(pod("a", claim="5Mi"))
    half = scenario_of(manifest, SimOptions(NS, limit_factor=0.3)).pods[0]
    assert half.limit_bytes == half.containers[0].limit_bytes == int(0.3 * 5 * MIB) // 4096 * 4096
    assert half.claim_bytes == 5 * MIB
    assert scenario_of(manifest, SimOptions(NS, limit_factor=float("inf"))).pods[0].limit_bytes == LIMIT_MAX


@pytest.mark.parametrize(
    ("policy", "restarts"), [("Always", True), ("OnFailure", True), ("Never", False), (None, False)]
)
def test_restart_policies(policy: str | None, restarts: bool) -> None:
    text = NODE + pod("a")
    if policy is not None:
        text = text.replace("spec:\n", f"spec:\n  restartPolicy: {policy}\n")
    assert scenario_of(parse_manifest("m.yaml", text), SimOptions(NS)).pods[0].restarts is restarts


def test_a_restart_policy_that_is_none() -> None:
    text = NODE + pod("a").replace("spec:\n", "spec:\n  restartPolicy: OnFailur\n")
    with pytest.raises(
        ManifestError, match=r"'OnFailur': allowed are Always, OnFailure, Never; did you mean"
    ):
        parse_manifest("m.yaml", text)


COMMAND = """\
---
apiVersion: v1
kind: Pod
metadata: {name: a, annotations: {epcgroup.io/end: %s}}
spec:
  initContainers:
    - {name: seed, args: [x]}
    - {name: side, restartPolicy: Always, args: [python, -m, epcgroup.workloads.scan]}
  containers: [{name: main, command: [%s], env: [{name: SIZE, value: 2Mi}]}]
"""


def test_programs_end_by_themselves_or_when_they_are_told() -> None:
    scan = 'python, -m, epcgroup.workloads.scan, --size, $(SIZE), --duration, "3"'
    assert scenario_of(read(COMMAND % ("9s", scan)), SimOptions(NS)).pods[0].end_ns == 3 * NS
    assert scenario_of(read(COMMAND % ("2s", scan)), SimOptions(NS)).pods[0].end_ns == 2 * NS
    manifest = read(COMMAND % ("9s", "python, -m, epcgroup.workloads.scan"))
    scenario = scenario_of(manifest, SimOptions(NS))
    assert scenario.pods[0].end_ns == 9 * NS
    assert [container.name for container in scenario.pods[0].containers] == ["side", "main"]
    assert list(notes(manifest)) == ["pod a: init containers are not simulated: seed"]


def test_a_program_nobody_knows_says_how_to_describe_it() -> None:
    with pytest.raises(ManifestError) as caught:
        scenario_of(read(COMMAND % ("9s", "redis-server")), SimOptions(NS))
    assert str(caught.value) == (
        "m.yaml:10: document 2 (Pod a): spec.containers[0]: how this program uses its memory is not known"
        " (redis-server): say it in the pod's annotation epcgroup.io/model, for example the name of a model"
        " (steady); see docs/simulator.md"
    )


def test_arguments_that_the_program_would_refuse() -> None:
    with pytest.raises(ManifestError, match=r"m\.yaml:10: .*scan would refuse its arguments: .*'64MB'"):
        scenario_of(
            read(COMMAND % ("9s", "python, -m, epcgroup.workloads.scan, --size, 64MB")), SimOptions(NS)
        )
    with pytest.raises(ManifestError, match=r'm\.yaml:9: .*\["epcgroup.io/model"\]: kv would refuse'):
        scenario_of(read(pod("a", "kv --rte 5")), SimOptions(NS))


def test_a_trace_is_found_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(NODE + pod("a", "{trace: t.npy, repeat: true}"))
    with pytest.raises(ManifestError, match=r"m\.yaml:9: .*t\.npy: No such file"):
        scenario_of(load_manifest(tmp_path / "m.yaml"), SimOptions(NS))
    with open_writer(tmp_path / "t.npy", {"made": "by a test"}) as writer:
        writer.append(np.arange(50, dtype=np.uint32))
    program = scenario_of(load_manifest(tmp_path / "m.yaml"), SimOptions(NS)).pods[0].containers[0].program
    assert (program.trace, program.nr_pages) == (str(tmp_path / "t.npy"), 50)
    (tmp_path / "m.yaml").write_text(NODE + pod("a", "{trace: t.npy, memory: 64Ki}"))
    with pytest.raises(ManifestError, match=r"memory of 16 pages is too small: trace .* refers to 50"):
        scenario_of(load_manifest(tmp_path / "m.yaml"), SimOptions(NS))
    (tmp_path / "t.npy").write_bytes(b"no trace")
    with pytest.raises(ManifestError, match=r"m\.yaml:9: .*trace .*t\.npy"):
        scenario_of(load_manifest(tmp_path / "m.yaml"), SimOptions(NS))


def test_pods_wait_for_room_as_the_scheduler_has_it() -> None:
    """The simulator's queue and the ledger that the live runner uses agree on who finds room."""
    manifest = read(*(pod(name, claim=claim) for name, claim in
                      [("a", "6Mi"), ("b", "8Mi"), ("c", "4Mi"), ("d", "2Mi"), ("e", "1Mi")]))  # fmt: skip
    ledger = Ledger(manifest.node.capacity_bytes)
    fits = [ledger.bind(one.name, effective_claim(one)) for one in manifest.pods]
    assert fits == [True, True, False, True, False]
    assert [phase == "Running" for phase in last_phases(result_of(manifest, 1))] == fits


def test_a_pod_that_waits_comes_when_another_ends() -> None:
    first = pod("a", claim="12Mi").replace("annotations:\n", "annotations:\n    epcgroup.io/end: 2s\n")
    result = result_of(read(first, pod("b", claim="8Mi")))
    recording = recording_of(read(first, pod("b", claim="8Mi")), result)
    assert last_phases(result) == ["Succeeded", "Running"]
    waiting = [sample.t_ns for sample in recording.samples if "/kubepods/b" not in sample.groups]
    assert max(waiting) <= 2 * NS
    assert recording.reports["/kubepods/b/main"][0].t_ns >= 2 * NS
    assert recording.reports["/kubepods/a/main"][-1].phase == "done"


def test_the_recording_says_what_the_result_says() -> None:
    manifest = read(pod("a"), pod("greedy", SWEEP, "8Mi", "1s"))
    result = result_of(manifest)
    recording = recording_of(manifest, result)
    assert recording.samples[0].groups == {}
    last = recording.samples[-1]
    assert (last.t_ns, last.phases) == (4 * NS, {"a": "Running", "greedy": "Running"})
    row = result.pods[-1, 1]
    seen = last.groups["/kubepods/greedy"]
    assert (seen.current_bytes, seen.peak_bytes, seen.limit_bytes) == (
        row[COLUMN["current_bytes"]], row[COLUMN["peak_bytes"]], 8 * MIB)  # fmt: skip
    assert (seen.faults, seen.loaded, seen.evictions) == tuple(
        row[COLUMN[name]] for name in ("faults", "loaded", "evictions")
    )
    assert sum(seen.reclaimed_by.values()) == seen.evictions > 0
    report = recording.reports["/kubepods/greedy/main"][-1]
    assert report.operations == len(report.latency) == row[COLUMN["requests"]]
    found = figures(recording, recording.targets[1], Window(0, 4 * NS))
    assert found.operations_per_s == pytest.approx(5000, rel=0.02)
    assert found.evictions_per_s == pytest.approx(seen.evictions / 4)
    assert found.stall_some is not None
    assert 0 < found.stall_some < 1


def test_mainline_knows_no_limits() -> None:
    manifest = read(pod("a"))
    recording = recording_of(manifest, result_of(manifest, 1, series="mainline"))
    assert recording.samples[-1].groups["/kubepods/a"].limit_bytes == LIMIT_MAX


def test_filling_memory_is_no_work() -> None:
    slow = "{populate: true, touches: [{uniform: all}], requests: {paced: 0.5}}"
    manifest = read(pod("a", slow))
    lines = recording_of(manifest, result_of(manifest, 1)).reports["/kubepods/a/main"]
    assert lines[-1].phase == "run"
    assert all(line.operations == 0 for line in lines if line.phase == "load")


@pytest.mark.parametrize("series", ["fair", "v17", "mainline"])
def test_a_model_without_memory_fits_its_claim(series: str) -> None:
    result = result_of(read(pod("a", "steady"), pod("b", "hot-cold", "300Ki")), 3, series=series)
    assert result.pods[-1, :, COLUMN["evictions"]].tolist() == [0, 0]
    assert result.pods[-1, 0, COLUMN["resident_pages"]] > 950


def test_the_summary_is_of_the_whole_run() -> None:
    manifest = read(pod("a"), pod("greedy", SWEEP, "8Mi"))
    result = result_of(manifest)
    figures_of = {found.pod: found for found in whole_figures(manifest, result)}
    assert figures_of["a"].faults_per_s == pytest.approx(512 / 4)
    assert figures_of["greedy"].phase == "Running"
    node = node_figures(result)
    assert node.free_bytes + sum(found.current_bytes for found in figures_of.values()) == pytest.approx(
        16 * MIB, abs=64 << 10
    )
    assert node.stall_some >= node.stall_full >= 0
    assert to_json(manifest, result) == to_json(manifest, result_of(manifest)), "the same on every run"


def test_the_verdict_is_by_the_rules_of_a_live_comparison() -> None:
    manifest = load_manifest(EXAMPLES / "noisy-neighbour.yaml")
    options = SimOptions(20 * NS, costs="softepc")
    comparison = compare_simulated(manifest, cases(manifest), options)
    assert comparison.verdict.verdict in (ISOLATED, NO_INTERFERENCE)
    assert {found.pod: found.role for found in comparison.verdict.pods} == {
        "kv": "victim", "greedy-a": "greedy", "greedy-b": "greedy"}  # fmt: skip
    names = [check.name for check in comparison.verdict.checks]
    assert names[:2] == ["pods failed", "roomy: evictions/s"]
    assert not [name for name in names if "verified" in name or "checksum" in name]
    assert comparison.nr_failed == 0
    assert all(check.ok for check in comparison.verdict.checks if "not enforced" not in check.name)
    kv = [run.figures["kv"] for run in comparison.runs]
    assert [bool(found.evictions_per_s) for found in kv] == [False, True, False]


def test_threads_change_nothing() -> None:
    manifest = read(pod("a"), pod("greedy", SWEEP, "8Mi"))
    one, three = (
        compare_simulated(manifest, cases(manifest), SimOptions(2 * NS), threads) for threads in (1, 3)
    )
    digests = [[dict(run.simulation or {})["digest"] for run in found.runs] for found in (one, three)]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 3
    assert one.verdict == three.verdict
