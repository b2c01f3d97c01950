"""The manifests under ``examples/`` can be run as they stand."""

from pathlib import Path

import pytest

from epcgroup.node.claims import effective_claim
from epcgroup.node.manifest import load_manifest
from epcgroup.sim.ledger import Ledger

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_pod_of_an_example_fits(path: Path) -> None:
    manifest = load_manifest(path)
    ledger = Ledger(manifest.node.capacity_bytes)
    assert all(ledger.bind(pod.name, effective_claim(pod)) for pod in manifest.pods)
    assert all(effective_claim(pod) for pod in manifest.pods)


def test_there_is_the_example_that_errors_point_at() -> None:
    assert "noisy-neighbour.yaml" in [path.name for path in EXAMPLES]
