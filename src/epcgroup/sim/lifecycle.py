"""Pods and containers in virtual time: when they start and end, their groups, limits and enclaves.

Everything here happens between two segments of the compiled loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from epcgroup.errors import AdmissionError
from epcgroup.face.epc import Epc
from epcgroup.sim import accounting, build, service
from epcgroup.sim import layout as at
from epcgroup.sim.agenda import Agenda
from epcgroup.sim.costs import Costs
from epcgroup.sim.deaths import Deaths
from epcgroup.sim.feed import Feed
from epcgroup.sim.layout import Arrays
from epcgroup.sim.ledger import Ledger
from epcgroup.sim.result import PHASES
from epcgroup.sim.samples import Recorder
from epcgroup.sim.scenario import DENY, ContainerSpec, PodSpec, Scenario
from epcgroup.state import layout as engine
from epcgroup.state import series as on
from epcgroup.state.outcome import Outcome
from epcgroup.units import LIMIT_MAX

if TYPE_CHECKING:
    from epcgroup.sim.policy.bind import BoundPolicy

ROOT: Final = "/kubepods"
_PENDING, _RUNNING, _SUCCEEDED, _FAILED = range(len(PHASES))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a simulation consists of.

    Attributes:
        scenario: what to simulate.
        costs: its cost model, with its overrides.
        epc: the engine.
        arrays: what compiled code works on; ``arrays.buffer`` is the engine's state.
        feeds: of the tasks that follow traces.
        agenda: what is to happen when.
        recorder: what is seen of it.
        act: ``service.act`` for the policy.
        policy: who decides which pages leave; None: the engine's second chance.
    """

    scenario: Scenario
    costs: Costs
    epc: Epc
    arrays: Arrays
    feeds: dict[int, Feed]
    agenda: Agenda
    recorder: Recorder
    act: Callable[[Arrays, int], int]
    policy: "BoundPolicy | None"


class Lifecycle:
    """The pods of a node."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._scenario = parts.scenario
        self._epc = parts.epc
        self._arrays = parts.arrays
        self._recorder = parts.recorder
        self._behaviour = on.find(parts.scenario.series)
        self._ledger = Ledger(parts.scenario.capacity_bytes)
        self._containers = build.containers_of(parts.scenario.pods)
        self._tasks_of: list[list[int]] = [[] for _ in parts.scenario.pods]
        for task, (pod, _) in enumerate(self._containers):
            self._tasks_of[pod].append(task)
        self._pending: list[int] = []
        self._running: list[set[int]] = [set() for _ in parts.scenario.pods]
        names = [(parts.scenario.pods[pod].name, container.name) for pod, container in self._containers]
        #: Programs that ended before their time.
        self.deaths = Deaths(parts.epc, names)
        self._epc.mkdir(ROOT)
        for number, spec in enumerate(parts.scenario.pods):
            parts.agenda.add(spec.start_ns * at.PS, Agenda.START, number)

    # Pods.

    def arrive(self, pod: int, time: int) -> None:
        """A pod is created: it starts if its claim fits, else it waits."""
        self._pending.append(pod)
        self._admit(time)

    def _admit(self, time: int) -> None:
        for pod in list(self._pending):
            spec = self._scenario.pods[pod]
            if self._ledger.bind(spec.name, spec.claim_bytes):
                self._pending.remove(pod)
                self._start_pod(pod, spec, time)

    def _start_pod(self, pod: int, spec: PodSpec, time: int) -> None:
        path = f"{ROOT}/{spec.name}"
        self._recorder.groups[pod] = self._make_group(path, pod, spec.limit_bytes)
        self._recorder.phases[pod] = _RUNNING
        if spec.end_ns is not None:
            self._parts.agenda.add(max(spec.end_ns * at.PS, time), Agenda.END, pod)
        self._running[pod] = set(self._tasks_of[pod])
        for task in self._tasks_of[pod]:
            container = self._containers[task][1]
            row = self._arrays.tasks[task]
            row[at.GROUP] = self._make_group(f"{path}/{container.name}", pod, container.limit_bytes)
            self.start_container(task, time)

    def _make_group(self, path: str, pod: int, limit_bytes: int) -> int:
        number = self._epc.mkdir(path)
        self._arrays.pod_of_group[number] = pod
        if limit_bytes != LIMIT_MAX and self._behaviour.has_resource:
            self._epc.write(path, "misc.max", f"sgx_epc {limit_bytes}")
        oom = self._scenario.pods[pod].oom
        if oom != DENY and self._behaviour.has_soft_limits:
            self._epc.write(path, "epc.oom", oom)
        return number

    def end(self, pod: int, time: int) -> None:
        """A pod is stopped, or taken off the list of those that wait."""
        if self._recorder.phases[pod] == _RUNNING:
            self._stop_pod(pod, time, _SUCCEEDED)

    def _stop_pod(self, pod: int, time: int, phase: int) -> None:
        spec = self._scenario.pods[pod]
        for task in self._tasks_of[pod]:
            self._release(task, time)
        self._keep_peak(pod)
        for container in spec.containers:
            self._epc.rmdir(f"{ROOT}/{spec.name}/{container.name}")
        self._epc.rmdir(f"{ROOT}/{spec.name}")
        self._recorder.groups[pod] = 0
        self._recorder.phases[pod] = phase
        self._ledger.release(spec.name)
        self._admit(time)

    def _keep_peak(self, pod: int) -> None:
        peak = self._epc.state.groups[self._recorder.groups[pod], engine.GROUP_PEAK]
        self._recorder.peaks[pod] = max(self._recorder.peaks[pod], peak)

    # Containers.

    def start_container(self, task: int, time: int) -> None:
        """Create the enclave of a container and let its program begin; it dies if there is no room."""
        pod, container = self._containers[task]
        if self._recorder.phases[pod] != _RUNNING:
            return
        row = self._arrays.tasks[task]
        try:
            outcome, enclave, spent = self._create(task, container)
        except AdmissionError as error:
            self._refuse(task, time, str(error))
            return
        self._wake_background(time)
        if self._arrays.machine[at.NR_KILLED]:
            self._arrays.machine[at.KILLED_AT] = time
            self.end_killed()
        if outcome is not Outcome.CREATED:
            self._arrays.pods[pod, at.REFUSED] += 1
            self.die(task, time, outcome)
            return
        row[at.ENCLAVE] = enclave
        row[at.OFFSET] = self._epc.state.enclaves[enclave, engine.ENCLAVE_OFFSET]
        row[at.CLOCK] = row[at.SINCE] = row[at.STARTED] = time + spent
        self._load_program(task, container)

    def _create(self, task: int, container: ContainerSpec) -> tuple[Outcome, int, int]:
        """Create the enclave of a task; returns how that came out, its number, and the time it took."""
        spent, batch = self._parts.costs.ps("ecreate"), self._parts.costs.ps("batch")
        group = int(self._arrays.tasks[task, at.GROUP])
        while True:
            outcome, enclave = self._epc.enclave_create(group, container.program.nr_pages)
            if outcome is Outcome.EVICT:
                spent += self._parts.act(self._arrays, batch)
            elif outcome is Outcome.KILL:
                spent += service.kill(self._arrays, task)
            else:
                return outcome, enclave, spent

    def _refuse(self, task: int, time: int, why: str) -> None:
        """An enclave can never fit below its limit: its program does not start, now or later."""
        self._arrays.pods[self._containers[task][0], at.REFUSED] += 1
        self.deaths.not_admitted(task, time, why)
        self._leave(task, time)

    def _load_program(self, task: int, container: ContainerSpec) -> None:
        """Set a task to the beginning of its program."""
        row = self._arrays.tasks[task]
        program = container.program
        builds = not (self._parts.costs.on_demand and self._behaviour.sgx2)
        row[at.WHAT] = at.BUILD if builds else at.RUN
        row[at.BUILD_NEXT], row[at.BUILD_END] = 0, program.nr_pages
        if not builds:
            self._epc.enclave_init(int(row[at.ENCLAVE]))
        row[at.POPULATE_NEXT], row[at.POPULATE_END] = 0, build.nr_populated(program)
        row[at.POSITION] = row[at.END] = row[at.WINDOW]
        row[at.STEP] = build.populate_step(program, self._parts.costs)
        row[at.REQUEST] = at.LOADING
        row[at.DRAWS_LEFT] = row[at.BURST_LEFT] = row[at.OWED] = row[at.NR_WAITS] = 0
        first = int(row[at.FIRST_COMPONENT])
        self._arrays.components[first : first + len(program.components), at.WALKED] = 0
        if task in self._parts.feeds:
            self._load_trace(self._parts.feeds[task], int(row[at.OFFSET]))

    def _load_trace(self, feed: Feed, first_element: int) -> None:
        feed.rewind()
        policy = self._parts.policy
        if policy is not None and policy.needs_future:
            policy.foresee(self._arrays.memory, first_element, feed.references, feed.repeats)

    def _wake_background(self, time: int) -> None:
        words = self._arrays.machine
        if not words[at.AWAKE] and self._epc.has_work():
            words[at.AWAKE] = 1
            words[at.BACKGROUND_CLOCK] = max(words[at.BACKGROUND_CLOCK], time)

    def _release(self, task: int, time: int) -> None:
        row = self._arrays.tasks[task]
        accounting.become(self._arrays.tasks, self._arrays.pods, task, at.IDLE, time)
        if row[at.WHAT] != at.OFF:
            row[at.WHAT] = at.OFF
            self._epc.enclave_release(int(row[at.ENCLAVE]))
            self._arrays.machine[at.NR_ENCLAVE_PAGES] = self._nr_enclave_pages()

    def _nr_enclave_pages(self) -> int:
        tasks = self._arrays.tasks
        enclaves = self._epc.state.enclaves[tasks[tasks[:, at.WHAT] != at.OFF, at.ENCLAVE]]
        return int(enclaves[:, [engine.ENCLAVE_NR_CHILDREN, engine.ENCLAVE_NR_EVICTED]].sum())

    def die(self, task: int, time: int, outcome: int) -> None:
        """A program is killed (SIGBUS): its container starts again, or its pod fails with the last one."""
        self.deaths.refused(task, time, outcome)
        self._release(task, time)
        self._restart_or_leave(task, time)

    def end_killed(self) -> None:
        """End the programs whose enclaves were killed, as by SIGBUS."""
        words, tasks = self._arrays.machine, self._arrays.tasks
        time, by = int(words[at.KILLED_AT]), int(words[at.WHO])
        words[at.NR_KILLED] = 0
        killed = np.flatnonzero(tasks[:, at.WHAT] == at.KILLED).tolist()
        for task in killed:
            self.deaths.killed(task, int(tasks[task, at.ENCLAVE]), time, by)
            self._release(task, time)
        for task in killed:
            self._restart_or_leave(task, time)

    def _restart_or_leave(self, task: int, time: int) -> None:
        spec = self._scenario.pods[self._containers[task][0]]
        if spec.restarts:
            self._parts.agenda.add(time + spec.restart_ns * at.PS, Agenda.RESTART, task)
        else:
            self._leave(task, time)

    def finish(self, task: int, time: int) -> None:
        """A program has come to its end."""
        self._release(task, time)
        self._leave(task, time)

    def _leave(self, task: int, time: int) -> None:
        pod = self._containers[task][0]
        self._running[pod].discard(task)
        if not self._running[pod] and self._recorder.phases[pod] == _RUNNING:
            failed = any(other in self.deaths for other in self._tasks_of[pod])
            self._stop_pod(pod, time, _FAILED if failed else _SUCCEEDED)

    # For people.

    def messages(self) -> tuple[str, ...]:
        """Return what people should know about the pods."""
        return (*self._never_fitted(), *self.deaths.messages())

    def _never_fitted(self) -> list[str]:
        capacity = self._scenario.capacity_bytes
        pods = [self._scenario.pods[pod] for pod in self._pending]
        return [
            f"pod {pod.name} never fitted: it claims {pod.claim_bytes} bytes of {capacity}" for pod in pods
        ]

    def reasons(self) -> tuple[str, ...]:
        """Return why each pod failed, in one word; empty for those that did not."""
        return tuple(
            self.deaths.reason(self._tasks_of[pod]) if phase == _FAILED else ""
            for pod, phase in enumerate(self._recorder.phases)
        )
