"""Manifests: real Kubernetes objects in, values or one exact error out."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.errors import ManifestError
from epcgroup.node.manifest import load_manifest, parse_manifest
from epcgroup.node.objects import expand

NODE = """\
apiVersion: v1
kind: Node
metadata: {name: sgx-1}
status:
  capacity: {cpu: "2", sgx.intel.com/epc: 96Mi, sgx.intel.com/enclave: 110}
"""

POD = """\
---
apiVersion: v1
kind: Pod
metadata:
  name: kv
  labels: {app: kv}
  annotations: {epcgroup.io/start: 2s, epcgroup.io/end: 1m30s, prometheus.io/scrape: "true"}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 3
  initContainers:
    - {name: seed, command: [python, -m, seed], resources: {limits: {sgx.intel.com/epc: 8Mi}}}
    - {name: proxy, command: [proxy], restartPolicy: Always}
  containers:
    - name: main
      image: example.com/kv:1
      command: [python, -m, epcgroup.workloads.kv]
      args: [--size, 24Mi]
      env: [{name: A, value: "1"}, {name: B, value: $(A)-$(C)-$$(A)}]
      resources:
        requests: {sgx.intel.com/epc: 24Mi, cpu: 500m}
        limits: {sgx.intel.com/epc: 24Mi, sgx.intel.com/enclave: 1}
"""

CONTAINER = "command: [python, -m, epcgroup.workloads.kv]\n      args: [--size, 24Mi]"


def error_of(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        parse_manifest("m.yaml", text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("m.yaml")
    return message


def replaced(old: str, new: str, text: str = NODE + POD) -> str:
    assert text.count(old) == 1, f"{old!r} must stand once"
    return text.replace(old, new)


def test_everything_a_run_needs_is_read() -> None:
    manifest = parse_manifest("m.yaml", NODE + POD)
    assert manifest.node.name == "sgx-1"
    assert manifest.node.capacity_bytes == 96 << 20
    (pod,) = manifest.pods
    assert (pod.name, pod.start_ns, pod.end_ns, pod.grace_ns) == ("kv", 2 * 10**9, 90 * 10**9, 3 * 10**9)
    assert pod.path == "/kubepods/kv"
    seed, proxy = pod.init_containers
    assert (seed.claim_bytes, seed.sidecar) == (8 << 20, False)
    assert (proxy.claim_bytes, proxy.sidecar) == (None, True)
    (main,) = pod.containers
    assert main.claim_bytes == 24 << 20
    assert main.nice == 3
    assert main.command == ("python", "-m", "epcgroup.workloads.kv", "--size", "24Mi")
    assert pod.container_path(main) == "/kubepods/kv/main"


def test_variables_are_expanded_as_kubernetes_does() -> None:
    main = parse_manifest("m.yaml", NODE + POD).pods[0].containers[0]
    assert main.environment({"C": "3"}) == {"C": "3", "A": "1", "B": "1-3-$(A)"}
    assert expand("$(A)$(NONE)$$(A) $A", {"A": "x"}) == "x$(NONE)$(A) $A"


@pytest.mark.parametrize(
    ("name", "amount", "expected"),
    [
        ("sgx.intel.com/epc", "24Mi", 24 << 20),
        ("sgx.intel.com/epc", "25165824", 24 << 20),
        ("sgx.intel.com/epc", "1.5Mi", 3 << 19),
        ("sgx.intel.com/epc", "10000", 8192),
        ("sgx.intel.com/epc", "0", 0),
        ("kubernetes.azure.com/sgx_epc_mem_in_MiB", "24", 24 << 20),
        ("alibabacloud.com/sgx_epc_MiB", '"24"', 24 << 20),
    ],
)
def test_every_clouds_name_and_unit(name: str, amount: str, expected: int) -> None:
    text = replaced(
        "limits: {sgx.intel.com/epc: 24Mi, sgx.intel.com/enclave: 1}",
        f"limits: {{{name}: {amount}}}",
        replaced("requests: {sgx.intel.com/epc: 24Mi, cpu: 500m}", "requests: {cpu: 500m}"),
    )
    assert parse_manifest("m.yaml", text).pods[0].containers[0].claim_bytes == expected


def test_a_list_as_kubectl_prints_it() -> None:
    text = """\
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- {apiVersion: v1, kind: Node, metadata: {name: n}, status: {capacity: {sgx.intel.com/epc: 1Mi}}}
- {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, args: ["true"]}]}}
"""
    manifest = parse_manifest("m.yaml", text)
    assert [pod.name for pod in manifest.pods] == ["p"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("sgx.intel.com/epc: 24Mi, cpu", "sgx.intel.com/epc: 25Mi, cpu",
         "m.yaml:26: document 2 (Pod kv): "
         'spec.containers[0].resources.requests["sgx.intel.com/epc"]: \'25Mi\': '
         "must be equal to sgx.intel.com/epc limit of 24Mi"),
        ("limits: {sgx.intel.com/epc: 24Mi, sgx.intel.com/enclave: 1}", "limits: {sgx.intel.com/enclave: 1}",
         "'24Mi': limit must be set for sgx.intel.com/epc"),
        ("limits: {sgx.intel.com/epc: 24Mi,", "limits: {sgx.intel.com/epc: 24MiB,",
         "for example 64Mi; did you mean 24Mi?"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}", "{limits: {sgx.intel.com/epc: 10}}",
         "'10': is 10 bytes, less than one page of 4096; did you mean 10Mi?"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}", "{limits: {sgx.intel.com/ecp: 8Mi}}",
         'initContainers[0].resources.limits["sgx.intel.com/ecp"]: no resource of that name is known; '
         "did you mean 'sgx.intel.com/epc'?"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}", "{limits: {kubernetes.azure.com/sgx_epc_mem_in_mib: 8}}",
         "did you mean 'kubernetes.azure.com/sgx_epc_mem_in_MiB'?"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}", "{limits: {kubernetes.azure.com/sgx_epc_mem_in_MiB: 8Mi}}",
         "'8Mi': kubernetes.azure.com/sgx_epc_mem_in_MiB counts whole MiB: expected a number such as 64"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}",
         "{limits: {sgx.intel.com/epc: 8Mi, alibabacloud.com/sgx_epc_MiB: 9}}", "they must agree"),
        ("cpu: 500m}", "cpu: 0.5 cores}", "'0.5 cores': expected CPUs, for example 500m, 2 or 0.5"),
        ("epcgroup.io/start: 2s", "epcgroup.io/strat: 2s", "did you mean 'epcgroup.io/start'?"),
        ("epcgroup.io/start: 2s", "epcgroups.io/start: 2s", "did you mean 'epcgroup.io/start'?"),
        ("epcgroup.io/start: 2s", 'epcgroup.io/start: "2"',
         'metadata.annotations["epcgroup.io/start"]: \'2\': is not a duration: '
         "expected numbers with ms, s, m or h, for example 2s or 1m30s; did you mean 2s?"),
        ("epcgroup.io/start: 2s", "epcgroup.io/start: 2", 'is a number: expected text; quote it: "2"'),
        ("epcgroup.io/end: 1m30s", "epcgroup.io/oom: kil",
         'metadata.annotations["epcgroup.io/oom"]: \'kil\': allowed are deny, kill; did you mean \'kill\'?'),
        ("epcgroup.io/end: 1m30s", "epcgroup.io/end: 1s", "the end must come after epcgroup.io/start"),
        ("command: [python, -m, epcgroup.workloads.kv]", "comand: [python]",
         "spec.containers[0].comand: is not a field of a container; did you mean 'command'?"),
        ("  containers:\n", "  container:\n", "spec.container: is not a field of a pod's spec"),
        (CONTAINER, "tty: true", "has neither command nor args"),
        ("args: [--size, 24Mi]", "args: [--size, 24]", 'args[1]: \'24\': is a number: expected text'),
        ("args: [--size, 24Mi]", "args: --size", "args: '--size': expected a list (- item)"),
        ('{name: A, value: "1"}', "{name: A, valueFrom: {}}", "valueFrom: there is no cluster"),
        ('{name: A, value: "1"}', '{name: "A B", value: "1"}', "is not a name of a variable"),
        ("restartPolicy: Always", "restartPolicy: Never", "may only have restartPolicy Always"),
        ("terminationGracePeriodSeconds: 3", "terminationGracePeriodSeconds: -3", "of at least 0"),
        ("terminationGracePeriodSeconds: 3", f"terminationGracePeriodSeconds: {'9' * 5000}",
         "expected a whole number"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}", f"{{limits: {{sgx.intel.com/epc: {'9' * 5000}}}}}",
         "is not a size"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}", "{limits: {sgx.intel.com/epc: 99999999999Ti}}",
         "is not a size"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}", '{limits: {alibabacloud.com/sgx_epc_MiB: "²"}}',
         "'²': alibabacloud.com/sgx_epc_MiB counts whole MiB"),
        ("{limits: {sgx.intel.com/epc: 8Mi}}", f"{{limits: {{alibabacloud.com/sgx_epc_MiB: {'9' * 5000}}}}}",
         "counts whole MiB"),
        ("cpu: 500m}", f"cpu: {'9' * 5000}}}", "expected CPUs"),
        ("epcgroup.io/start: 2s", f"epcgroup.io/start: {'9' * 400}s", "is not a duration"),
        ("args: [--size, 24Mi]", r'args: ["a\0b"]', "'a\\x00b': holds a character that no program can"),
        ('{name: A, value: "1"}', r'{name: A, value: "\ud800"}', "holds a character that no program can"),
        ("  name: kv\n", f"  name: {'k' * 250}\n", "with its containers' names it is too long"),
        ("name: seed", "name: main", "two containers of this pod are called 'main'"),
        ("  name: kv\n", "  name: ../kv\n", "metadata.name: '../kv': a name is at most 253"),
        ("  name: kv\n", "  namespace: x\n", "metadata.name: is missing: expected a name"),
        ("kind: Pod", "kind: Pods", "allowed kinds are Node and Pod; did you mean 'Pod'?"),
        ("kind: Pod", "kind: Deployment", "document 2: kind: 'Deployment': cannot be run here"),
        ("---\napiVersion: v1\n", "---\napiVersion: v2\n", "a Pod is of apiVersion v1"),
        ("---\napiVersion: v1\n", "---\n", "apiVersion: is missing: expected v1"),
        ("---\n", "---\n" + NODE + "---\n", "a second Node: 'sgx-1' is there already"),
        ("---\n", POD + "---\n", "a second pod of the name 'kv'"),
        ("sgx.intel.com/epc: 96Mi", "sgx.intel.com/epc: 0", "a node without EPC cannot run anything"),
        ("sgx.intel.com/epc: 96Mi", "sgx.intel.com/epc: 508Ki",
         "'508Ki': a node has at least 512Ki of EPC"),
        ("sgx.intel.com/epc: 96Mi, ", "", 'status.capacity: has no "sgx.intel.com/epc"'),
        ("labels: {app: kv}", "labels: {app: kv", "m.yaml:12:"),
        ("labels: {app: kv}", "name: kv", "the same key stands twice"),
    ],
)  # fmt: skip
def test_errors_say_where_and_what_is_allowed(old: str, new: str, expected: str) -> None:
    assert expected in error_of(replaced(old, new))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "m.yaml: no Node"),
        (NODE, "m.yaml: no Pod"),
        (POD, "m.yaml: no Node"),
        ("a: [", "m.yaml:1:5: not YAML"),
        ("a: \x01", "not YAML"),
        ("- 1", "m.yaml:1: document 1: expected a mapping"),
        ("just text", "document 1: 'just text': expected a mapping"),
        ("<<: {a: b}", "merge keys"),
        ("? [a]\n: b", "a key must be text"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_files_that_are_no_manifest(text: str, expected: str) -> None:
    assert expected in error_of(text)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(b"kind: \xff")
    with pytest.raises(ManifestError, match="not UTF-8 text at byte 6"):
        load_manifest(path)


@given(st.integers(0, len(NODE + POD) - 1), st.sampled_from([*"{}[]:\"'\n\t -&*!|>%@`#x0", ""]))
def test_a_damaged_manifest_gives_values_or_one_error(position: int, character: str) -> None:
    text = NODE + POD
    damaged = text[:position] + character + text[position + 1 :]
    with suppress(ManifestError):
        assert parse_manifest("m.yaml", damaged).pods


def test_what_becomes_of_a_pod_at_its_limit_is_an_annotation() -> None:
    (pod,) = parse_manifest("m.yaml", NODE + POD).pods
    assert pod.oom == "deny"
    (pod,) = parse_manifest("m.yaml", NODE + POD.replace("end: 1m30s", "oom: kill")).pods
    assert pod.oom == "kill"
