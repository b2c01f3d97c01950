"""What is fetched ahead changes no result."""

from pathlib import Path

import numpy as np

from epcgroup.sim import ahead
from epcgroup.sim.machine import simulate
from epcgroup.sim.scenario import ContainerSpec, PodSpec, Program, Scenario
from epcgroup.sim.trace.writer import open_writer
from epcgroup.units import PAGE_SIZE


def test_a_machine_large_enough_to_look_ahead_does_the_same(tmp_path: Path) -> None:
    with open_writer(tmp_path / "t.npy", {"test": "ahead"}) as writer:
        writer.append(np.random.default_rng(1).integers(0, 900, 30_000, np.uint32))
    pods = tuple(
        PodSpec(
            f"pod{number}",
            (ContainerSpec("main", Program(900, trace=str(tmp_path / "t.npy"))),),
            limit_bytes=limit * PAGE_SIZE,
        )
        for number, limit in enumerate((100, 600))
    )
    small, large = (
        simulate(Scenario(nr_frames * PAGE_SIZE, pods, 10**9)) for nr_frames in (ahead._FROM - 1, ahead._FROM)
    )
    assert large.pods.tolist() == small.pods.tolist()
    assert int(large.pods[-1, :, 4].sum()) > 30_000
