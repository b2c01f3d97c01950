"""What to simulate, as values: a node, its pods, how each program refers to pages, and what things cost.

Everything is immutable, hashable and picklable: a scenario is the unit of work of a sweep, on this machine or
another. Times are nanoseconds of virtual time, sizes are pages of 4 KiB unless the name says otherwise.

What must not live here: how it is run (``machine.py``), manifests (``node/``), cost data (``costs.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from epcgroup.state.limit import OOM_NAMES
from epcgroup.units import LIMIT_MAX

#: How a component draws the page a touch begins at.
ZIPF, UNIFORM, SCAN, LOOP, PHASES = "zipf", "uniform", "scan", "loop", "phases"
KINDS: Final = (ZIPF, UNIFORM, SCAN, LOOP, PHASES)
#: How requests come.
CLOSED, PACED, POISSON, RECORDED = "closed", "paced", "poisson", "recorded"
ARRIVALS: Final = (CLOSED, PACED, POISSON, RECORDED)
#: What a group does when nothing under a limit is reclaimable (``epc.oom``).
DENY, KILL = OOM_NAMES


@dataclass(frozen=True, slots=True)
class Component:
    """One way of referring to pages; a program mixes several by weight.

    Attributes:
        kind: ``zipf`` and ``uniform`` draw independently, ``scan`` walks its pages once and
            stays at the end, ``loop`` walks them round and round, ``phases`` draws uniformly from a working
            set that moves: phase k is the k-th set of the area, round and round, and phase 0 begins with the
            first request.
        nr_pages: size of its area.
        first_page: where its area begins in the enclave.
        weight: its share of the draws of the program, relative to the other components.
        exponent: of the Zipf distribution; the ranks are spread over the area, the same way in every run.
        items: of ``zipf``: so many items share the objects evenly, an object is as popular as its items
            together; 0: one item an object.
        chance: of being drawn at all in a request that draws from each component (``Requests.draws`` of 0).
        span: consecutive pages one draw touches: one of ``nr_pages // span`` objects that do not overlap.
        set_pages: size of the working set of ``phases``.
        phase_ns: how long a working set of ``phases`` lasts.
        grows_from_pages: part of the area in use at first; None: all of it.
        growth_pages_per_s: how fast the part in use grows up to ``nr_pages``.
    """

    kind: str
    nr_pages: int
    first_page: int = 0
    weight: float = 1.0
    exponent: float = 0.99
    span: int = 1
    items: int = 0
    chance: float = 1.0
    set_pages: int = 0
    phase_ns: int = 0
    grows_from_pages: int | None = None
    growth_pages_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Requests:
    """How work comes and what one request does.

    Attributes:
        arrivals: ``closed``: the next one ``think_ns`` after the last was answered (with bursts: the last of
            a burst); ``paced``: every 1/``rate_per_s`` s; ``poisson``: at random, ``rate_per_s`` on average;
            ``recorded``: at the trace's own times. All but the first are open loops: the latency counts from
            the arrival, waiting included.
        rate_per_s: requests a second.
        think_ns: pause of a closed loop.
        burst: requests that arrive together (the rate is that of requests, not of bursts).
        draws: draws from the components by one request; 0: one from each of them, in their order.
        compute_ns: processor time of a request without its page references.
        page_ns: processor time of one page reference that hits, on top of the cost model's ``hit``.
    """

    arrivals: str = CLOSED
    rate_per_s: float = 0.0
    think_ns: int = 0
    burst: int = 1
    draws: int = 1
    compute_ns: int = 0
    page_ns: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in one container: an enclave and the references to its pages.

    Attributes:
        nr_pages: size of the enclave.
        components: mixed by weight; empty when there is a trace.
        requests: how work comes.
        populate: whether the pages in use at first (all, but for components that grow) are touched once, in
            order, before the first request.
        populate_ns: processor time of a page that is populated, on top of the cost model's ``hit``.
        trace: file of a page reference stream (``trace.py``) that is followed instead of the components.
        repeat: whether the trace starts again at its end; else the program ends there.
        provenance: where its parameters come from, for people.
    """

    nr_pages: int
    components: tuple[Component, ...] = ()
    requests: Requests = Requests()
    populate: bool = False
    populate_ns: int = 0
    trace: str | None = None
    repeat: bool = False
    provenance: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container: its group ``/kubepods/POD/NAME``, its limit and its program."""

    name: str
    program: Program
    limit_bytes: int = LIMIT_MAX


@dataclass(frozen=True, slots=True)
class PodSpec:
    """One pod: a group ``/kubepods/NAME`` with a group for each container below it.

    Attributes:
        name: unique in the scenario.
        containers: at least one; they start together.
        claim_bytes: what the scheduler counts; a pod that does not fit waits until it does.
        limit_bytes: ``misc.max`` of the pod's group.
        start_ns: when it is created.
        end_ns: when it is stopped, or None: with the run.
        restarts: whether a container that is killed starts again after ``restart_ns``.
        restart_ns: that time.
        oom: ``epc.oom`` of its groups, where the series has it: one of ``OOM_NAMES``.
    """

    name: str
    containers: tuple[ContainerSpec, ...]
    claim_bytes: int = 0
    limit_bytes: int = LIMIT_MAX
    start_ns: int = 0
    end_ns: int | None = None
    restarts: bool = False
    restart_ns: int = 10_000_000_000
    oom: str = DENY


@dataclass(frozen=True, slots=True)
class Scenario:
    """A node and what happens on it.

    Attributes:
        capacity_bytes: EPC of the node.
        pods: in the order of the manifest.
        duration_ns: virtual time of the run.
        series: behaviour of the engine.
        policy: who is evicted (``policy/``); ``second-chance`` is the kernel's.
        costs: name of the cost model.
        overrides: cost → value in the unit of the model, on top of it.
        nr_cpus: processors that programs and background reclaim share; 0: one each.
        seed: of every random choice.
        sample_ns: time between two samples; 0: about 200 in a run.
        quantum_ns: how far a program may run ahead of the others while all it refers to is resident. Faults
            are always served in the order of virtual time.
    """

    capacity_bytes: int
    pods: tuple[PodSpec, ...]
    duration_ns: int
    series: str = "fair"
    policy: str = "second-chance"
    costs: str = "sgx2"
    overrides: Mapping[str, float] = field(default_factory=dict, hash=False)
    nr_cpus: int = 0
    seed: int = 1
    sample_ns: int = 0
    quantum_ns: int = 10_000
