"""The pods of a fleet as columns: when each comes, how long it stays, what it claims, takes and does.

Columns, not objects: a hundred thousand pods are a few megabytes.

What must not live here: models (``podmodels.py``), which node a pod goes to (``scheduler.py``).
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.plan.podmodels import Distributions, Model
from epcgroup.sim.trace.pods import PodRecord
from epcgroup.units import PAGE_SIZE, nr_pages

DAY_NS: Final = 24 * 3600 * 10**9
#: Times are whole milliseconds: what the last bit of a cosine is on a machine must not matter.
_STEP_NS: Final = 10**6
_NORMAL: Final = NormalDist()
_HALVINGS: Final = 48


@dataclass(frozen=True, slots=True)
class PodTable:
    """The pods in the order of their arrival.

    Attributes:
        arrival_ns: int64 (pods,).
        lifetime_ns: int64 (pods,), from when it is bound; at least 1.
        claim_bytes: int64 (pods,).
        enclave_pages: int32 (pods,): what it takes if it gets it.
        model: int16 (pods,): which model of the distributions.
        rate: float64 (pods,): its requests a second, times the model's.
    """

    arrival_ns: NDArray[np.int64]
    lifetime_ns: NDArray[np.int64]
    claim_bytes: NDArray[np.int64]
    enclave_pages: NDArray[np.int32]
    model: NDArray[np.int16]
    rate: NDArray[np.float64]

    @property
    def nr_pods(self) -> int:
        """How many there are."""
        return len(self.arrival_ns)

    @property
    def beyond(self) -> NDArray[np.bool_]:
        """Which pods take more than they claim, bool (pods,)."""
        return self.enclave_pages > self.claim_bytes // PAGE_SIZE


class _Draws:
    """One stream of random numbers for each column: one more column leaves the others as they are."""

    def __init__(self, seed: int, column: str) -> None:
        # Python promises that a text seeds the same stream in every version from 3.2 on.
        self._random = random.Random(f"{seed} {column}")

    def part(self) -> float:
        """Return a number of 0 to below 1."""
        return self._random.random()

    def log_normal(self, median: float, sigma: float) -> float:
        """Return a draw around a median; ``sigma`` is of the logarithm."""
        return median * math.exp(sigma * _NORMAL.inv_cdf(min(max(self.part(), 1e-9), 1 - 1e-9)))

    def between(self, bounds: Sequence[float]) -> float:
        """Return a draw between two bounds."""
        return bounds[0] + self.part() * (bounds[1] - bounds[0])


def generated(nr_pods: int, epc_bytes: int, duration_ns: int, seed: int, given: Distributions) -> PodTable:
    """Return pods drawn from distributions.

    Args:
        nr_pods: that come in ``duration_ns``, those included that are there at its start.
        epc_bytes: EPC of a node: claims are parts of it.
        duration_ns: of the simulation.
        seed: of all draws.
        given: the distributions.
    """
    which = _Draws(seed, "model")
    models = np.array([given.choose(which.part()) for _ in range(nr_pods)], np.int16)
    chosen = [given.models[number] for number in models]
    arrival_ns = _arrivals(chosen, duration_ns, seed, given)
    order = np.argsort(arrival_ns, kind="stable")
    claims = _claims(nr_pods, epc_bytes, seed, given)
    rates = _Draws(seed, "rate")
    table = PodTable(
        arrival_ns,
        _lifetimes(chosen, duration_ns, seed),
        claims,
        _use(claims, seed, given),
        models,
        np.array([rates.log_normal(1.0, given.rate_sigma) for _ in range(nr_pods)]),
    )
    return _reordered(table, order)


def _reordered(table: PodTable, order: NDArray[np.int64]) -> PodTable:
    """Return the pods in another order."""
    return PodTable(
        table.arrival_ns[order],
        table.lifetime_ns[order],
        table.claim_bytes[order],
        table.enclave_pages[order],
        table.model[order],
        table.rate[order],
    )


def _arrivals(
    chosen: Sequence[Model], duration_ns: int, seed: int, given: Distributions
) -> NDArray[np.int64]:
    draws = _Draws(seed, "arrival")
    parts = np.array([draws.part() for _ in chosen])
    here = np.array([model.stays for model in chosen], np.bool_)
    times = _by_day(parts, duration_ns, given) // _STEP_NS * _STEP_NS
    # Services were there before: they start within the first minute, one after another.
    minute = (parts * 60e9).astype(np.int64) // _STEP_NS * _STEP_NS
    return np.where(here, np.minimum(minute, duration_ns // 2), times)


def _by_day(parts: NDArray[np.float64], duration_ns: int, given: Distributions) -> NDArray[np.int64]:
    """Return the times by which each part of the arrivals has come, by halving."""
    whole = given.load_until(np.array([float(duration_ns)]), DAY_NS)[0]
    low, high = np.zeros_like(parts), np.full_like(parts, float(duration_ns))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        before = given.load_until(middle, DAY_NS) < parts * whole
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return low.astype(np.int64)


def _lifetimes(chosen: Sequence[Model], duration_ns: int, seed: int) -> NDArray[np.int64]:
    draws = _Draws(seed, "lifetime")

    def one(model: Model) -> int:
        hours = draws.log_normal(model.lifetime_hours, model.lifetime_sigma)
        # Two durations are beyond the end, also for a pod that comes late.
        return 2 * duration_ns if model.stays else max(round(hours * 3600e3), 1) * _STEP_NS

    return np.array([one(model) for model in chosen], np.int64)


def _claims(nr_pods: int, epc_bytes: int, seed: int, given: Distributions) -> NDArray[np.int64]:
    draws = _Draws(seed, "claim")
    step = given.step_pages * PAGE_SIZE
    most = max(int(given.most_share * epc_bytes) // step, 1)

    def one() -> int:
        return min(
            max(round(draws.log_normal(given.median_share, given.claim_sigma) * epc_bytes / step), 1), most
        )

    return np.array([one() for _ in range(nr_pods)], np.int64) * step


def _use(claims: NDArray[np.int64], seed: int, given: Distributions) -> NDArray[np.int32]:
    """Return how many pages each pod takes: less than its claim, or for some of them more."""
    draws, sizes = _Draws(seed, "beyond"), _Draws(seed, "use")

    def one(claim: int) -> int:
        beyond = draws.part() < given.beyond_share
        size = sizes.between(given.beyond if beyond else given.within) * nr_pages(claim)
        whole = math.ceil(size / given.step_pages) if beyond else int(size // given.step_pages)
        # The smallest claims are one step: what stays within it is a part of that.
        return whole * given.step_pages or max(int(size), 1)

    return np.array([one(int(claim)) for claim in claims], np.int32)


def of_records(pods: Sequence[PodRecord], seed: int, given: Distributions) -> PodTable:
    """Return the pods of a list; what a list does not know (use, model, rate) is drawn.

    Args:
        pods: in the order of their arrival.
        seed: of all draws.
        given: the distributions.
    """
    which, rates = _Draws(seed, "model"), _Draws(seed, "rate")
    claims = np.array([pod.epc_bytes for pod in pods], np.int64)
    return PodTable(
        np.array([pod.arrival_ns for pod in pods], np.int64),
        np.array([pod.lifetime_ns for pod in pods], np.int64),
        claims,
        _use(claims, seed, given),
        np.array([given.choose(which.part()) for _ in pods], np.int16),
        np.array([rates.log_normal(1.0, given.rate_sigma) for _ in pods]),
    )
