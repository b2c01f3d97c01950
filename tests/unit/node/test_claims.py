"""Claims are counted as the scheduler counts them."""

import pytest

from epcgroup.node.claims import effective_claim
from epcgroup.node.objects import Container, Pod
from epcgroup.node.quantity import nice_for, parse_duration_ns


def container(claim: int | None, *, sidecar: bool = False) -> Container:
    return Container(f"c{claim}-{sidecar}", ("true",), (), claim, sidecar)


@pytest.mark.parametrize(
    ("init", "claims", "expected"),
    [
        ([], [None], 0),
        ([], [10, 20, None], 30),
        ([(25, False), (40, False)], [10, 20], 40),
        ([(25, False)], [10, 20], 30),
        # a sidecar counts beside the containers and beside every init container after it
        ([(5, True)], [10, 20], 35),
        ([(5, True), (40, False)], [10, 20], 45),
        ([(40, False), (5, True)], [10, 20], 40),
        ([(30, True), (30, True), (1, False)], [1], 61),
    ],
)
def test_effective_claim(init: list[tuple[int, bool]], claims: list[int | None], expected: int) -> None:
    inits = tuple(container(claim, sidecar=sidecar) for claim, sidecar in init)
    assert effective_claim(Pod("p", tuple(container(c) for c in claims), inits)) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5400), ("0s", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_ns(text) == seconds * 10**9


@pytest.mark.parametrize(
    ("millis", "nice"), [(1000, 0), (500, 3), (100, 10), (2000, -3), (0, 15), (10**6, -10)]
)
def test_a_request_of_cpu_becomes_a_nice_value(millis: int, nice: int) -> None:
    assert nice_for(millis) == nice
