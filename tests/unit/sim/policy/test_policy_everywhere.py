"""Policies in the simulator's loop, and without the compiler."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from epcgroup.errors import UsageError
from epcgroup.sim.machine import simulate
from epcgroup.sim.policy import names
from epcgroup.sim.policy.check import check
from epcgroup.sim.policy.replay import replay
from epcgroup.sim.result import POD_COLUMNS
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Program, Scenario
from epcgroup.sim.trace.writer import open_writer
from epcgroup.units import PAGE_SIZE

_NR_PAGES = 500


def _trace(length: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    random = np.random.default_rng(5)
    return (random.zipf(1.2, length) % _NR_PAGES).astype(np.uint32)


def _line(policy: str) -> str:
    return f"{policy} {replay(_trace(1500), 40, policy)} {check(policy, seed=3, nr_steps=30)}"


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    """What each policy does where nothing is compiled."""
    program = (
        "from tests.unit.sim.policy import test_policy_everywhere as here\n"
        "for name in here.names():\n"
        "    print(here._line(name))\n"
    )
    text = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    ).stdout
    return {line.split()[0]: line for line in text.splitlines()}


@pytest.mark.parametrize("policy", names())
def test_without_the_compiler_policies_choose_the_same(policy: str, plain: dict[str, str]) -> None:
    assert plain[policy] == _line(policy)


def _scenario(path: Path, policy: str, *, populate: bool = False) -> Scenario:
    program = Program(nr_pages=_NR_PAGES, trace=str(path), populate=populate)
    pods = tuple(
        PodSpec(name, (ContainerSpec("c", program, limit_bytes=110 * PAGE_SIZE),)) for name in ("a", "b")
    )
    return Scenario(1000 * PAGE_SIZE, pods, 20_000_000_000, policy=policy)


def test_in_the_loop_of_the_simulator(tmp_path: Path) -> None:
    trace = _trace(20_000)
    with open_writer(tmp_path / "t.npy", {"made": "by a test"}) as writer:
        writer.append(trace)
    misses = {}
    for policy in ("second-chance", "s3-fifo", "optimum"):
        result = simulate(_scenario(tmp_path / "t.npy", policy))
        assert result.nr_accesses == 2 * len(trace)
        assert result.digest == simulate(_scenario(tmp_path / "t.npy", policy)).digest
        misses[policy] = result.pods[-1, :, POD_COLUMNS.index("faults")].tolist()
    assert misses["optimum"] < misses["s3-fifo"] < misses["second-chance"]
    # The limit holds a SECS and two VA pages too, and the background keeps 13 pages free.
    best, worst = (replay(trace, capacity, "optimum") for capacity in (107, 90))
    assert best < misses["optimum"][0] < worst
    with pytest.raises(UsageError, match="must know the future"):
        simulate(_scenario(tmp_path / "t.npy", "optimum", populate=True))
