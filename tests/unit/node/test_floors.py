"""Enclaves that can never fit under their claim are found before anything runs."""

import pytest

from epcgroup.errors import ManifestError
from epcgroup.node.floors import check_floors
from epcgroup.node.manifest import parse_manifest
from epcgroup.node.objects import Manifest
from epcgroup.state.floor import floor_pages

NODE = """\
apiVersion: v1
kind: Node
metadata: {name: n}
status: {capacity: {sgx.intel.com/epc: 16Mi}}
---
apiVersion: v1
kind: Pod
metadata:
  name: p
  annotations: {a: b}
spec:
  containers:
    - name: c
      command: [python, -m, epcgroup.workloads.scan, --size, 8Mi]
      resources: {limits: {sgx.intel.com/epc: CLAIM}}
"""
#: 2,048 pages in use need 5 VA pages.
LEAST = 7


def made(claim: str, **replaced: str) -> Manifest:
    text = NODE.replace("CLAIM", claim)
    for old, new in replaced.items():
        text = text.replace({"command": "epcgroup.workloads.scan", "model": "a: b"}[old], new)
    return parse_manifest("m.yaml", text)


def test_a_claim_below_the_floor_is_refused_where_it_stands() -> None:
    assert floor_pages(2048) == LEAST
    check_floors(made(f"{4 * LEAST}Ki"))
    with pytest.raises(ManifestError) as caught:
        check_floors(made(f"{4 * LEAST - 4}Ki"))
    assert str(caught.value) == (
        "m.yaml:13: document 2 (Pod p): spec.containers[0]: its enclave of 2048 pages (8Mi) needs at least"
        " 7 pages (28Ki) of EPC (SECS, version arrays, one page), its claim is 6 pages (24Ki): claim more or"
        " make the enclave smaller"
    )


def test_where_nobody_looks_at_the_floor_nothing_is_refused() -> None:
    check_floors(made("24Ki"), "v17")
    check_floors(made("24Ki"), "mainline")


@pytest.mark.parametrize("module", ["http.server", "epcgroup.workloads.scan, --growth, lots"])
def test_what_is_not_known_is_left_to_the_program(module: str) -> None:
    check_floors(made("24Ki", command=module))


def test_a_model_counts_where_it_is_what_runs() -> None:
    small = made("24Ki", model='epcgroup.io/model: "{memory: 1Mi, touches: [{loop: all}]}"')
    check_floors(small, is_simulated=True)
    with pytest.raises(ManifestError):
        check_floors(small)
    large = made("24Ki", model="epcgroup.io/model: scan --size 9Mi", command="http.server")
    check_floors(large)
    with pytest.raises(ManifestError):
        check_floors(large, is_simulated=True)
