"""``simulate``: one scenario from its start to its end, in segments of the compiled loop."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from epcgroup.errors import UsageError
from epcgroup.face import entry
from epcgroup.face.epc import Epc
from epcgroup.sim import build, checks, costs, loop, requests, service
from epcgroup.sim import layout as at
from epcgroup.sim.agenda import Agenda
from epcgroup.sim.costs import Costs
from epcgroup.sim.feed import Feed
from epcgroup.sim.lifecycle import Lifecycle, Parts
from epcgroup.sim.policy import SECOND_CHANCE
from epcgroup.sim.policy import find as find_policy
from epcgroup.sim.result import Result
from epcgroup.sim.samples import Recorder
from epcgroup.sim.scenario import RECORDED, Scenario
from epcgroup.sim.trace.format import Trace, read_trace
from epcgroup.state import series as on
from epcgroup.state.layout import Sizes
from epcgroup.units import PAGE_SIZE

#: References until Python looks in: some tenths of a second.
_BUDGET: Final = 1 << 23
_SAMPLES: Final = 200

Progress = Callable[[int], None]


def simulate(scenario: Scenario, progress: Progress | None = None) -> Result:
    """Run a scenario in virtual time.

    Thread-safe: simulations share nothing but read-only tables, and the loop holds no lock of Python's. The
    result depends on the scenario only.

    Args:
        scenario: what to simulate.
        progress: called now and then with the virtual time reached, in ns; what it raises ends the run.

    Raises:
        UsageError: the scenario contradicts itself, names something unknown, or has a broken trace.
    """
    traces = {
        program.trace: read_trace(program.trace)
        for program in checks.programs_of(scenario)
        if program.trace is not None
    }
    checks.check(scenario, traces)
    return Simulation(scenario, traces).run(progress)


class Simulation:
    """One simulation under way.

    Attributes:
        epc: its engine, to be looked at between two segments.
        arrays: what its loop works on.
    """

    def __init__(self, scenario: Scenario, traces: Mapping[str, Trace]) -> None:
        self._scenario = scenario
        self._feeds = _feeds_of(scenario, traces)
        self._agenda = Agenda()
        policy = None if scenario.policy == SECOND_CHANCE else find_policy(scenario.policy)
        self._loop = loop.run if policy is None else policy.bind_to(loop.run)
        model = costs.find(scenario.costs).overridden(scenario.overrides)
        self.epc = _epc_of(scenario, model)
        memory = np.zeros(0, np.uint8)
        if policy is not None:
            nr_references = sum(len(feed.references) for feed in self._feeds.values())
            memory = policy.memory(_sizes(scenario), nr_references if policy.needs_future else 0)
        self.arrays = build.arrays_of(scenario, model, traces, entry.buffer_of(self.epc.state), memory)
        self._recorder = Recorder(self.epc.state, self.arrays)
        self._pods = Lifecycle(
            Parts(
                scenario,
                model,
                self.epc,
                self.arrays,
                self._feeds,
                self._agenda,
                self._recorder,
                service.act if policy is None else policy.bind_to(service.act),
                policy,
            )
        )
        self._plan_samples()

    def _plan_samples(self) -> None:
        end = self._scenario.duration_ns
        every = self._scenario.sample_ns or max(1, end // _SAMPLES)
        for time_ns in range(every, end, every):
            self._agenda.add(time_ns * at.PS, Agenda.SAMPLE)
        self._agenda.add(end * at.PS, Agenda.SAMPLE)

    def run(self, progress: Progress | None) -> Result:
        """Go from event to event of the agenda until the end."""
        end = self._scenario.duration_ns * at.PS
        while self._agenda and self._agenda.next_time() <= end:
            self._go_on(self._agenda.next_time(), progress)
            self._happen(*self._agenda.pop())
        return self._recorder.result(
            self._scenario, self._pods.messages(), self._pods.reasons(), tuple(self._pods.deaths.kills)
        )

    def _happen(self, time: int, kind: int, index: int) -> None:
        if kind == Agenda.SAMPLE:
            self._recorder.sample(time)
        elif kind == Agenda.START:
            self._pods.arrive(index, time)
        elif kind == Agenda.END:
            self._pods.end(index, time)
        else:
            self._pods.start_container(index, time)

    def _go_on(self, until: int, progress: Progress | None) -> None:
        """Let the programs run until a time, or until something earlier comes up on the agenda."""
        words = self.arrays.machine
        reason = at.PAUSED
        while reason != at.DONE:
            words[at.UNTIL] = min(until, self._agenda.next_time())
            words[at.BUDGET] = _BUDGET
            reason = self._loop(self.arrays)
            if words[at.NR_KILLED]:
                self._pods.end_killed()
            if reason == at.REFILL:
                self._refill(int(words[at.WHO]))
            elif reason == at.DIED:
                task = int(words[at.WHO])
                self._pods.die(task, int(self.arrays.tasks[task, at.CLOCK]), int(words[at.OUTCOME]))
            if progress is not None:
                progress(self._reached() // at.PS)

    def _reached(self) -> int:
        """Return the virtual time reached, in ps."""
        tasks = self.arrays.tasks
        clocks = tasks[tasks[:, at.WHAT] != at.OFF, at.CLOCK]
        return int(min(self.arrays.machine[at.UNTIL], clocks.min(initial=at.NEVER)))

    def _refill(self, task: int) -> None:
        """Bring more of a task's trace, or end its program."""
        if not self._feeds[task].fill(self.arrays):
            row = self.arrays.tasks[task]
            if row[at.REQUEST] == at.SERVING:
                requests.answer_last(self.arrays, task)
            self._pods.finish(task, int(row[at.CLOCK]))


def _sizes(scenario: Scenario) -> Sizes:
    programs = checks.programs_of(scenario)
    return Sizes(
        nr_frames=scenario.capacity_bytes // PAGE_SIZE,
        nr_groups=2 + len(scenario.pods) + len(programs),
        nr_enclaves=1 + len(programs),
        nr_pages=sum(program.nr_pages for program in programs),
        nr_processes=1,
    )


def _epc_of(scenario: Scenario, model: Costs) -> Epc:
    sizes = _sizes(scenario)
    try:
        return Epc.create(
            sizes.nr_frames,
            series=scenario.series,
            nr_groups=sizes.nr_groups,
            nr_enclaves=sizes.nr_enclaves,
            nr_enclave_pages=sizes.nr_pages,
            sgx2=model.on_demand and bool(on.find(scenario.series).sgx2),
        )
    except MemoryError:
        raise UsageError(
            f"enclaves of {sizes.nr_pages} pages in all need {sizes.nbytes / 2**30:.1f} GiB for the engine's "
            "state, more than this machine has: make them smaller"
        ) from None


def _feeds_of(scenario: Scenario, traces: Mapping[str, Trace]) -> dict[int, Feed]:
    return {
        task: Feed(task, traces[program.trace], program.repeat, program.requests.arrivals == RECORDED)
        for task, program in enumerate(checks.programs_of(scenario))
        if program.trace is not None
    }
