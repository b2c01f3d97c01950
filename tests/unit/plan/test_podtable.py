"""Generated pods: the distributions they are drawn from, whole pages, and draws that do not move."""

from pathlib import Path

import numpy as np
import pytest

from epcgroup.plan.podmodels import distributions
from epcgroup.plan.podtable import DAY_NS, PodTable, generated, of_records
from epcgroup.sim.trace.pods import PodRecord
from epcgroup.units import PAGE_SIZE

GIVEN = distributions()
NR = 6000


@pytest.fixture(scope="module")
def pods() -> PodTable:
    return generated(NR, GIVEN.epc_bytes, DAY_NS, 1, GIVEN)


def test_shares_of_the_models_add_up_and_are_met(pods: PodTable) -> None:
    assert sum(model.share for model in GIVEN.models) == pytest.approx(1.0)
    for number, model in enumerate(GIVEN.models):
        assert np.mean(pods.model == number) == pytest.approx(model.share, abs=0.02)


def test_claims_are_log_normal_whole_steps_within_bounds(pods: PodTable) -> None:
    step = GIVEN.step_pages * PAGE_SIZE
    assert np.all(pods.claim_bytes % step == 0)
    assert pods.claim_bytes.min() >= step
    assert pods.claim_bytes.max() <= GIVEN.most_share * GIVEN.epc_bytes
    assert np.median(pods.claim_bytes) / GIVEN.epc_bytes == pytest.approx(GIVEN.median_share, rel=0.05)


def test_some_take_more_than_they_claim_and_the_others_keep_room_for_what_is_no_data(pods: PodTable) -> None:
    claim_pages = pods.claim_bytes // PAGE_SIZE
    use = pods.enclave_pages / claim_pages
    assert np.mean(pods.beyond) == pytest.approx(GIVEN.beyond_share, abs=0.015)
    assert use[~pods.beyond].max() <= GIVEN.within[1]
    assert GIVEN.beyond[0] <= use[pods.beyond].min()


def test_services_are_there_from_the_start_and_jobs_follow_the_day(pods: PodTable) -> None:
    stays = np.array([model.stays for model in GIVEN.models])[pods.model]
    assert pods.arrival_ns[stays].max() < 60 * 10**9
    assert np.all(pods.lifetime_ns[stays] == 2 * DAY_NS)
    hours = pods.arrival_ns[~stays] / DAY_NS * 24
    by_day = np.mean((hours > GIVEN.peak_hour - 6) & (hours < GIVEN.peak_hour + 6))
    # Half a turn around the peak has 1/2 + swing/pi of the arrivals.
    assert by_day == pytest.approx(0.5 + GIVEN.swing / np.pi, abs=0.03)


def test_pods_come_in_order(pods: PodTable) -> None:
    assert np.all(np.diff(pods.arrival_ns) >= 0)
    assert np.all(pods.arrival_ns % 10**6 == 0)
    assert pods.lifetime_ns.min() > 0


def test_the_mean_load_of_a_day_is_one_and_most_is_at_the_peak() -> None:
    hour = DAY_NS // 24
    assert GIVEN.mean_load(0, DAY_NS, DAY_NS) == 1.0
    peak = round(GIVEN.peak_hour) * hour
    assert GIVEN.mean_load(peak - hour, peak + hour, DAY_NS) == pytest.approx(1 + GIVEN.swing, abs=0.01)
    assert GIVEN.mean_load(peak - 13 * hour, peak - 11 * hour, DAY_NS) == pytest.approx(
        1 - GIVEN.swing, abs=0.01
    )


def test_the_same_seed_is_the_same_fleet_and_another_is_not(pods: PodTable) -> None:
    again, other = (generated(NR, GIVEN.epc_bytes, DAY_NS, seed, GIVEN) for seed in (1, 2))
    assert all(np.array_equal(getattr(pods, name), getattr(again, name)) for name in PodTable.__slots__)
    assert not np.array_equal(pods.claim_bytes, other.claim_bytes)


def test_models_become_programs_of_the_enclaves_size() -> None:
    for model in GIVEN.models:
        program = model.program(100, 2.0)
        assert program.nr_pages == 100
        assert program.requests.rate_per_s == 2 * model.rate_per_s
        assert all(0 < part.first_page + part.nr_pages <= 100 for part in program.components)
        assert all(
            part.set_pages > 0 and part.phase_ns > 0 for part in program.components if part.kind == "phases"
        )


def test_pods_of_a_list_keep_what_the_list_knows() -> None:
    records = [PodRecord(f"p{i}", i * 10**9, (i + 1) * 10**9, (i + 1) * 100 * PAGE_SIZE) for i in range(40)]
    table = of_records(records, 1, GIVEN)
    assert table.arrival_ns.tolist() == [pod.arrival_ns for pod in records]
    assert table.lifetime_ns.tolist() == [pod.lifetime_ns for pod in records]
    assert table.claim_bytes.tolist() == [pod.epc_bytes for pod in records]
    use = table.enclave_pages * PAGE_SIZE / table.claim_bytes
    assert use[~table.beyond].max() <= GIVEN.within[1]
    assert len(set(table.model.tolist())) == len(GIVEN.models)


def test_the_documentation_has_the_numbers_of_the_models() -> None:
    text = (Path(__file__).parents[3] / "docs/fleet.md").read_text()
    for model in GIVEN.models:
        life = "–" if model.stays else f"{model.lifetime_hours:g} h, sigma {model.lifetime_sigma:g}"
        row = (
            f"| `{model.name}` | {model.share:.0%} | {'yes' if model.stays else 'no'} | {life}"
            f" | {model.rate_per_s:g} | {model.draws}, {model.compute_ns / 1000:g} µs |"
        ).replace("%", " %")
        assert row in text
    assert f"one of five takes {GIVEN.beyond[0]:g} to {GIVEN.beyond[1]:g} times its claim" in text
    assert f"median {GIVEN.median_share * 100:g} % of the node's EPC, sigma {GIVEN.claim_sigma:g}" in text
    assert GIVEN.beyond_share == 0.2
