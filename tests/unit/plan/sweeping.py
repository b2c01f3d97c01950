"""A small sweep that tests of this folder run: two pods that fight over 1 MiB for a tenth of a second."""

from collections.abc import Callable
from pathlib import Path

from epcgroup.plan import journal
from epcgroup.plan.pool import Pool
from epcgroup.plan.space import Choice, Space
from epcgroup.plan.sweep import Found, Sweep, found, run, write_table
from epcgroup.sim.scenario import Component, ContainerSpec, PodSpec, Program, Requests, Scenario
from epcgroup.units import PAGE_SIZE


def pod(name: str, nr_pages: int, kind: str) -> PodSpec:
    program = Program(
        nr_pages,
        (Component(kind, nr_pages),),
        Requests("poisson", rate_per_s=20_000.0, draws=2, compute_ns=2_000),
        populate=True,
    )
    limit = 160 * PAGE_SIZE
    return PodSpec(name, (ContainerSpec("main", program, limit),), claim_bytes=limit, limit_bytes=limit)


BASE = Scenario(512 * PAGE_SIZE, (pod("kv", 120, "zipf"), pod("scan", 400, "loop")), 10**8, sample_ns=10**7)
SPACE = Space(
    "grid",
    (
        ("epc", Choice((400 * PAGE_SIZE, 512 * PAGE_SIZE))),
        ("series", Choice(("mainline", "fair"))),
    ),
    seeds=(1, 2),
)


def sweep(space: Space = SPACE) -> Sweep:
    return Sweep(BASE, space, warm_up=0.1, identity=space.to_json())


def never() -> bool:
    return False


def silent(_: int) -> None:
    """Tell nobody how many points are done."""


def swept(
    folder: Path, where: Pool, plan: Sweep | None = None, stop: Callable[[], bool] = never
) -> Found | None:
    """Run a sweep in a folder, write its table; None if it was stopped."""
    plan = plan or sweep()
    folder.mkdir(exist_ok=True)
    with journal.opened(folder, plan.identity) as notes:
        if not run(plan, where, notes, stop, silent):
            return None
        result = found(plan, notes)
    write_table(plan, result, folder)
    return result
