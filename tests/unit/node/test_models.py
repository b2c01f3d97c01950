"""The annotation ``epcgroup.io/model``: what can be said with it, and one exact error for what cannot."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import ManifestError
from epcgroup.node.manifest import check_commands, parse_manifest
from epcgroup.node.models import PROGRAMS, _named
from epcgroup.node.objects import Manifest
from epcgroup.node.simulate import SimOptions, scenario_of
from epcgroup.sim import checks
from epcgroup.sim.scenario import Component, Program, Requests
from epcgroup.units import PAGE_SIZE

GOLDEN = Path(__file__).parents[2] / "golden" / "sim" / "model-errors.txt"
MIB = (1 << 20) // PAGE_SIZE

Strategy = st.SearchStrategy[object]
#: Data of a claim of 32 MiB: without the SECS, 16 VA pages and 32 pages that the worker keeps free.
FITTING = 32 * MIB - 1 - 16 - 32

HEAD = """\
{apiVersion: v1, kind: Node, metadata: {name: n}, status: {capacity: {sgx.intel.com/epc: 96Mi}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: p
  annotations:
"""
TAIL = """
spec:
  containers:
    - {name: main, resources: {limits: {sgx.intel.com/epc: 32Mi}}}
"""
TWO = """
spec:
  initContainers:
    - {name: proxy, restartPolicy: Always, args: [a]}
  containers:
    - {name: main, resources: {limits: {sgx.intel.com/epc: 32Mi}}}
"""


def manifest(model: str, key: str = "epcgroup.io/model", tail: str = TAIL) -> Manifest:
    """A pod whose model is the given text, as a block below the annotation."""
    body = "".join(f"      {line}\n" for line in model.splitlines())
    return parse_manifest("m.yaml", f"{HEAD}    {key}: |\n{body}{tail}")


def program(model: str) -> Program:
    (container,) = manifest(model).pods[0].containers
    assert container.model is not None
    assert container.model.program is not None
    return container.model.program


def test_everything_that_can_be_said() -> None:
    found = program("""\
memory: 48Mi
populate: true
touches:
  - {zipf: 16Mi, skew: 1.2, weight: 3, span: 16Ki, items: 5000, chance: 0.5}
  - {uniform: 25%, first: 16Mi}
  - {loop: 8Mi, first: 40Mi, grows: {from: 2Mi, by: 1Mi}}
  - {phases: all, set: 12.5%, every: 1m30s}
  - {scan: 4096}
requests: {poisson: 250.5, burst: 5, draws: each, compute: 20us, page: 300ns}
""")
    assert found.nr_pages == 48 * MIB
    assert found.populate
    assert found.components == (
        Component("zipf", 16 * MIB, weight=3.0, exponent=1.2, span=4, items=5000, chance=0.5),
        Component("uniform", 12 * MIB, 16 * MIB),
        Component("loop", 8 * MIB, 40 * MIB, grows_from_pages=2 * MIB, growth_pages_per_s=float(MIB)),
        Component("phases", 48 * MIB, set_pages=6 * MIB, phase_ns=90 * 10**9),
        Component("scan", 1),
    )
    assert found.requests == Requests("poisson", 250.5, 0, 5, 0, 20_000, 300)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ("{closed: 1.5ms}", Requests("closed", think_ns=1_500_000)),
        ("{closed: 0s, draws: 4}", Requests("closed", draws=4)),
        ("{paced: 3000}", Requests("paced", 3000.0)),
    ],
)
def test_ways_in_which_requests_come(requests: str, expected: Requests) -> None:
    assert program(f"touches: [{{uniform: all}}]\nrequests: {requests}").requests == expected


def test_without_a_word_it_takes_the_claim_and_works_without_pause() -> None:
    found = program("touches: [{uniform: all}]")
    assert found.nr_pages == FITTING
    assert (found.requests, found.populate) == (Requests(), False)


def test_a_trace_has_its_own_pages_and_requests() -> None:
    found = program("trace: t.npy\nrepeat: true\nrequests: {recorded: true, compute: 5us}")
    assert (found.trace, found.repeat, found.nr_pages) == ("t.npy", True, 0)
    assert found.requests == Requests("recorded", compute_ns=5000)


def test_a_name_with_arguments_is_one_of_our_programs() -> None:
    (container,) = manifest("kv --rate 100").pods[0].containers
    assert container.model is not None
    assert container.model.words == ("kv", "--rate", "100")


@pytest.mark.parametrize("name", sorted(_named()))
def test_named_models_fit_any_claim(name: str) -> None:
    found = program(name)
    assert found.nr_pages == FITTING
    assert found.provenance == f"named model {name}"
    assert all(one.first_page + one.nr_pages <= found.nr_pages for one in found.components)
    assert name not in PROGRAMS


def test_a_model_is_of_the_only_container_or_of_the_one_it_names() -> None:
    pod = manifest("steady", "epcgroup.io/model.main", TWO).pods[0]
    assert pod.containers[0].model is not None
    assert pod.init_containers[0].model is None
    with pytest.raises(ManifestError, match=r"whose model\? The pod has the containers main, proxy"):
        manifest("steady", tail=TWO)


def test_a_pod_with_a_model_only_cannot_be_run() -> None:
    with pytest.raises(ManifestError, match=r"m\.yaml:\d+: .*can be simulated \(epcg sim\), not run"):
        check_commands(manifest("steady"))


#: What is wrong → the text below the annotation. The messages are in the golden file, in this order.
WRONG = {
    "unknown name": "stedy",
    "nothing": "' '",
    "unknown name with arguments": "steady --rate 5",
    "not YAML": "touches: [{zipf: 3Mi",
    "unknown field": "memry: 4Mi\ntouches: [{uniform: all}]",
    "nothing touched": "memory: 4Mi",
    "empty": "touches: []",
    "touches and trace": "touches: [{uniform: all}]\ntrace: x",
    "no kind": "touches: [{weight: 3}]",
    "two kinds": "touches: [{zipf: 1Mi, scan: 1Mi}]",
    "unknown kind": "touches: [{zip: 1Mi}]",
    "field of another kind": "touches: [{uniform: all, skew: 0.9}]",
    "no size": "touches: [{uniform: everything}]",
    "too large": "memory: 4Mi\ntouches: [{uniform: 8Mi}]",
    "beyond the end": "memory: 4Mi\ntouches:\n  - {uniform: 2Mi, first: 3Mi}",
    "share": "touches: [{uniform: 101%}]",
    "skew": "touches: [{zipf: all, skew: eleven}]",
    "weight": "touches: [{zipf: all, weight: 0}]",
    "fewer items than pages": "touches: [{zipf: 1Mi, items: 100}]",
    "chance": "touches: [{uniform: all, chance: 2}]",
    "nothing for certain": "touches: [{uniform: all, chance: 0.5}]\nrequests: {closed: 0s, draws: each}",
    "phases without set": "touches: [{phases: all, every: 1s}]",
    "phases of no length": "touches: [{phases: all, set: 1Mi, every: 0s}]",
    "set smaller than a draw": "touches: [{phases: all, set: 4Ki, every: 1s, span: 64Ki}]",
    "growth from less than a draw": "touches: [{loop: all, span: 64Ki, grows: {from: 4Ki, by: 4Ki}}]",
    "growth": "touches: [{loop: all, grows: {from: 1Mi}}]",
    "no arrivals": "touches: [{uniform: all}]\nrequests: {rate: 5}",
    "no way of arriving": "touches: [{uniform: all}]\nrequests: {burst: 5}",
    "two ways of arriving": "touches: [{uniform: all}]\nrequests: {paced: 5, poisson: 5}",
    "rate of nothing": "touches: [{uniform: all}]\nrequests: {paced: 0}",
    "duration": "touches: [{uniform: all}]\nrequests: {closed: 5}",
    "draws": "touches: [{uniform: all}]\nrequests: {closed: 0s, draws: 0}",
    "recorded without trace": "touches: [{uniform: all}]\nrequests: {recorded: true}",
    "draws of a trace": "trace: x\nrequests: {closed: 0s, draws: 3}",
    "repeat without trace": "touches: [{uniform: all}]\nrepeat: true",
    "truth": "touches: [{uniform: all}]\npopulate: 1",
    "a list": "- uniform",
    "no memory at all": "memory: 0\ntouches: [{uniform: all}]",
}


def error_of(model: str) -> str:
    with pytest.raises(ManifestError) as caught:
        manifest(model)
    return str(caught.value)


def test_errors_are_as_they_were() -> None:
    said = "".join(f"{name}\n  {error_of(model)}\n" for name, model in WRONG.items())
    assert said == GOLDEN.read_text()


def test_lines_are_those_of_the_file() -> None:
    assert error_of("memory: 4Mi\ntouches:\n  - {uniform: 2Mi, first: 3Mi}").startswith(
        "m.yaml:11: document 2 (Pod p)"
    )
    text = f'{HEAD}    epcgroup.io/model: "touches: [{{uniform: 9Ki, x: 1}}]"{TAIL}'
    with pytest.raises(ManifestError, match=r"^m\.yaml:8: .*\.touches\[0\]\.x: is not a field of touches"):
        parse_manifest("m.yaml", text)


def test_a_structure_instead_of_text_is_explained() -> None:
    text = f"{HEAD}    epcgroup.io/model: {{touches: [{{uniform: all}}]}}{TAIL}"
    with pytest.raises(ManifestError, match=r"is text in Kubernetes: write '\|' after the colon"):
        parse_manifest("m.yaml", text)


def test_without_claim_and_memory_there_is_no_size() -> None:
    with pytest.raises(ManifestError, match="how much memory"):
        manifest("steady", tail="\nspec: {containers: [{name: main}]}\n")


@given(st.text(max_size=60))
def test_any_text_is_a_model_or_an_error(text: str) -> None:
    with suppress(ManifestError):
        manifest(text.replace("\n", " "))


def some(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from(values)


SIZES = some("all", "25%", "0.01%", "4Ki", "64Ki", "1Mi")
COMMON = {
    "first": some(0, "4Ki", "50%"),
    "weight": some(1, 9),
    "span": some("4Ki", "64Ki"),
    "chance": some(0.5, 1),
}
GROWTH = st.fixed_dictionaries({"from": SIZES, "by": SIZES})
#: Kind → fields of its own: those it needs, those it may have.
OWN: dict[str, tuple[dict[str, Strategy], dict[str, Strategy]]] = {
    "zipf": ({}, {"skew": some(0, 0.99), "items": some(1, 300, 5000)}),
    "uniform": ({}, {}),
    "scan": ({}, {}),
    "loop": ({}, {"grows": GROWTH}),
    "phases": ({"set": SIZES, "every": some("0s", "1us", "2s")}, {}),
}
TOUCH = st.one_of(
    *(
        st.fixed_dictionaries({kind: SIZES, **needed}, optional={**own, **COMMON})
        for kind, (needed, own) in OWN.items()
    )
)
REQUESTS = st.one_of(
    *(
        st.fixed_dictionaries({kind: value}, optional={"draws": some(1, 5, "each"), "burst": some(1, 9)})
        for kind, value in (("closed", some("0s", "1ms")), ("paced", some(0, 7)), ("poisson", some(0.5, 7)))
    )
)
MODEL = st.fixed_dictionaries(
    {"touches": st.lists(TOUCH, min_size=1, max_size=3)},
    optional={"memory": some("4Ki", "1Mi", "4Mi"), "populate": some(True, False), "requests": REQUESTS},
)


@settings(max_examples=400)
@given(MODEL)
def test_what_the_grammar_takes_the_simulator_takes(model: dict[str, object]) -> None:
    with suppress(ManifestError):
        scenario = scenario_of(manifest(yaml.safe_dump(model)), SimOptions(10**9))
        checks.check(scenario, {})
