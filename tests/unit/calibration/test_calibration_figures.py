"""Measured figures: written as TOML, read back, and complete in the data files of the package."""

import tomllib
from pathlib import Path

import pytest

from benchmarks.calibration import sources
from benchmarks.calibration.epc_costs import Costs
from benchmarks.calibration.figure import Figure, toml_of
from benchmarks.calibration.published.case import _texts
from benchmarks.calibration.workload_costs import pages_of_item
from epcgroup.sim import costs


def test_what_is_written_is_read_back() -> None:
    figure = Figure(20614.4, "ns", 'a "quoted" source, µs')
    text = toml_of(
        {"serial": True},
        {"cpus": 2},
        {"kv": {"get_ns": figure, "share": Figure(0.12345, "", "x")}},
        "two\nlines",
    )
    data = tomllib.loads(text)
    assert text.startswith("# two\n# lines\n")
    assert (data["serial"], data["measured"]["cpus"]) == (True, 2)
    assert data["kv"]["get_ns"] == {
        "value": 20614,
        "unit": "ns",
        "certainty": "measured",
        "source": 'a "quoted" source, µs',
    }
    assert data["kv"]["share"]["value"] == 0.123


def test_the_software_epc_is_written_in_the_keys_of_the_simulator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sources, "SOFTEPC_FILE", tmp_path / "softepc.toml")
    times = dict.fromkeys(Costs.__slots__, 1000.0) | {"first_touch": 20000.0, "service": 12000.0}
    sources.write_softepc(Costs(**times))
    model = costs.parse("softepc", (tmp_path / "softepc.toml").read_text())
    assert model.serial
    assert model.ps("fault") + model.ps("wake") == model.ps("add"), "service and wake-up are the whole wait"


@pytest.mark.parametrize("workload", ["kv", "btree", "scan", "matmul"])
def test_every_workload_has_measured_figures(workload: str) -> None:
    data = tomllib.loads(sources.WORKLOADS_FILE.read_text())
    assert data["measured"]["command"] == sources.COMMAND
    assert data[workload]["start_ns"]["value"] > 0
    assert all(figure["source"] and figure["certainty"] == "measured" for figure in data[workload].values())


def test_pages_of_an_item_follow_from_its_chunks() -> None:
    assert pages_of_item(60_000) == 15
    assert pages_of_item(16_000) == pytest.approx(14 / 3)


def test_every_published_experiment_is_told_whole() -> None:
    for text in _texts().values():
        assert {"title", "source", "published", "setup", "why", "assumptions"} == text.keys()
