"""Points of a sweep: ids that stay, and what each key does to a scenario."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.errors import UsageError
from epcgroup.plan.points import KEYS, Point, column, key_of
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Program, Requests, Scenario
from epcgroup.units import LIMIT_MAX, PAGE_SIZE


def pod(name: str, limit_bytes: int = 64 * PAGE_SIZE, arrivals: str = "poisson") -> PodSpec:
    program = Program(64, requests=Requests(arrivals, rate_per_s=100.0, think_ns=1000))
    return PodSpec(name, (ContainerSpec("main", program, limit_bytes),), limit_bytes=limit_bytes)


BASE = Scenario(256 * PAGE_SIZE, (pod("kv"), pod("scan", LIMIT_MAX)), 10**9)


def test_the_id_of_a_point_is_what_it_was_in_every_version() -> None:
    assert Point((("epc", 1 << 20), ("series", "fair"), ("seed", 1))).id == "fc2539c1df620c9d"


values = st.lists(st.tuples(st.sampled_from(sorted(KEYS)), st.integers(0, 99)), unique_by=lambda v: v[0])


@given(values)
def test_the_order_of_keys_does_not_matter(pairs: list[tuple[str, int]]) -> None:
    assert Point(tuple(pairs)).id == Point(tuple(reversed(pairs))).id


@given(values, values)
def test_other_values_are_another_id(one: list[tuple[str, int]], other: list[tuple[str, int]]) -> None:
    assert (Point(tuple(one)).id == Point(tuple(other)).id) == (dict(one) == dict(other))


def test_every_key_changes_what_it_says() -> None:
    words = {"series": "v17", "policy": "lru", "costs": "sgx1"}
    numbers = {"epc": 100 * PAGE_SIZE + 1, "limits": 0.5, "rate": 2.0, "cpus": 3, "seed": 7, "cost.load": 5.0}
    found = Point((*words.items(), *numbers.items())).of(BASE)
    assert (found.series, found.policy, found.costs, found.nr_cpus, found.seed) == (
        "v17",
        "lru",
        "sgx1",
        3,
        7,
    )
    assert found.capacity_bytes == 100 * PAGE_SIZE
    assert found.overrides == {"load": 5.0}
    kv, scan = found.pods
    assert (kv.limit_bytes, kv.containers[0].limit_bytes) == (32 * PAGE_SIZE, 32 * PAGE_SIZE)
    assert (scan.limit_bytes, scan.containers[0].limit_bytes) == (LIMIT_MAX, LIMIT_MAX)
    requests = kv.containers[0].program.requests
    assert (requests.rate_per_s, requests.think_ns) == (200.0, 500)
    assert {*words, *numbers} == {*KEYS, "cost.load"}


def test_one_pod_of_several() -> None:
    found = Point((("rate.scan", 3.0), ("limits.kv", 0.25))).of(BASE)
    assert [one.containers[0].program.requests.rate_per_s for one in found.pods] == [100.0, 300.0]
    assert [one.limit_bytes for one in found.pods] == [16 * PAGE_SIZE, LIMIT_MAX]


def test_what_cannot_be_swept() -> None:
    for name in ("epcs", "epc.kv", "rate.", "cost.", ""):
        with pytest.raises(KeyError):
            key_of(name)
    with pytest.raises(UsageError, match="no pod 'db': there are kv, scan"):
        Point((("rate.db", 2.0),)).of(BASE)
    recorded = Scenario(256 * PAGE_SIZE, (pod("kv", arrivals="recorded"),), 10**9)
    with pytest.raises(UsageError, match="recorded times have no rate"):
        Point((("rate", 2.0),)).of(recorded)


def test_columns_carry_their_unit() -> None:
    assert [column(name) for name in ("epc", "rate.kv", "cost.load")] == ["epc_bytes", "rate.kv", "cost.load"]
