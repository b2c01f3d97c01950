"""A simulator as one would write it first: plain Python over the plain ``Epc``, one event at a time.

It knows nothing of the compiled loop: tasks are objects, stall comes from a time line of all changes of mood.
For tiny scenarios; pods start, and die without starting again.
"""

import math
from collections import deque

from epcgroup.engine import enclave
from epcgroup.errors import AdmissionError
from epcgroup.face.epc import Epc
from epcgroup.sim import costs as models
from epcgroup.sim import draws, spread
from epcgroup.sim.scenario import Scenario
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.outcome import Outcome, Written
from tests.property.sim_reference_task import IDLE, PRODUCTIVE, ROOM, STALLED, Rng, Task

NEVER = 2**62
#: What a task does that has an enclave.
ALIVE = ("build", "run", "fault", "sleep", "depart")


class Reference:
    """One scenario, run to its end by ``run``; figures are attributes."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.costs = models.find(scenario.costs).overridden(scenario.overrides)
        behaviour = on.find(scenario.series)
        self.on_demand = self.costs.on_demand and bool(behaviour.sgx2)
        tasks = [(n, c) for n, pod in enumerate(scenario.pods) for c in pod.containers]
        self.tasks = [
            Task(number, pod, c.program, self._rng(pod, c.name), self._rng(pod, c.name, "spread"))
            for number, (pod, c) in enumerate(tasks)
        ]
        self.epc = Epc.create(
            scenario.capacity_bytes // 4096,
            series=scenario.series,
            nr_groups=64,
            nr_enclaves=1 + len(tasks),
            nr_enclave_pages=sum(task.program.nr_pages for task in self.tasks),
            sgx2=self.on_demand,
        )
        self.limited = bool(behaviour.has_resource)
        self.epc.mkdir("/kubepods")
        self.pod_of_group: dict[int, int] = {}
        nr_pods = len(scenario.pods)
        self.counts = [
            dict.fromkeys(("hits", "created", "loaded", "refused", "requests"), 0) for _ in range(nr_pods)
        ]
        self.direct = [0] * nr_pods
        self.latencies: list[list[int]] = [[] for _ in range(nr_pods)]
        #: Of every kill: when (ns), whose, for whom.
        self.kills: list[tuple[int, int, int]] = []
        self.reclaimed_by = [[0] * (nr_pods + 1) for _ in range(nr_pods)]
        self.debts: deque[int] = deque(maxlen=96)
        self.credits = [0] * nr_pods
        self.awake = False
        self.background_clock = self.background_time = self.nr_batches = 0
        self.server_free = self.until = 0
        self.cpus = [0] * scenario.nr_cpus

    def _rng(self, pod: int, *names: str) -> Rng:
        return Rng(draws.seed_of(self.scenario.seed, self.scenario.pods[pod].name, *names))

    def ps(self, key: str) -> int:
        return self.costs.ps(key)

    def run(self) -> None:
        end = self.scenario.duration_ns * 1000
        starts = sorted((pod.start_ns * 1000, number) for number, pod in enumerate(self.scenario.pods))
        for time, pod in starts:
            if time <= end:
                self.go_on(time)
                self.start(pod, time)
        self.go_on(end)

    def start(self, number: int, time: int) -> None:
        pod = self.scenario.pods[number]
        path = f"/kubepods/{pod.name}"
        self._group(path, number, pod.limit_bytes)
        containers = iter(pod.containers)
        for task in self.tasks:
            if task.pod == number:
                container = next(containers)
                task.group = self._group(f"{path}/{container.name}", number, container.limit_bytes)
                self._start(task, time)

    def _group(self, path: str, pod: int, limit: int) -> int:
        number = self.epc.mkdir(path)
        self.pod_of_group[number] = pod
        if self.limited:
            self.epc.write(path, "misc.max", f"sgx_epc {limit}" if limit < 2**64 - 1 else "sgx_epc max")
        if "epc.oom" in self.epc.files(path):
            self.epc.write(path, "epc.oom", self.scenario.pods[pod].oom)
        return number

    def _start(self, task: Task, time: int) -> None:
        clock = time + self.ps("ecreate")
        victims: list[Task] = []
        try:
            outcome, enclave = self.epc.enclave_create(task.group, task.program.nr_pages)
            while outcome in (Outcome.EVICT, Outcome.KILL):
                clock += self._make_room(outcome, victims)
                outcome, enclave = self.epc.enclave_create(task.group, task.program.nr_pages)
        except AdmissionError:
            self.counts[task.pod]["refused"] += 1
            self._leave(task)
            return
        self.wake(time)
        self._end_killed(victims, task, time)
        if outcome is not Outcome.CREATED:
            self.counts[task.pod]["refused"] += 1
            self._leave(task)
            return
        task.enclave, task.clock, task.since, task.started = enclave, clock, clock, clock
        task.what = "run"
        task.step = max(1, self.ps("hit") + task.program.populate_ns * 1000)
        if self.on_demand:
            self.epc.enclave_init(enclave)
        else:
            task.what, task.to_build = "build", list(range(task.program.nr_pages))
        if task.program.populate:
            parts = task.program.components
            task.to_populate = list(
                range(
                    max(
                        p.first_page + (p.nr_pages if p.grows_from_pages is None else p.grows_from_pages)
                        for p in parts
                    )
                )
            )

    # Batches.

    def act(self, cost: int) -> int:
        batch = self.epc.batch.copy()
        cause = self.pod_of_group.get(self.epc.batch_cause, -1) if self.epc.batch_cause else -2
        outcomes = self.epc.age()
        for (_, _, group), outcome in zip(batch.tolist(), outcomes.tolist(), strict=True):
            if outcome == Written.WRITTEN:
                self._blame(self.pod_of_group[group], cause)
        written = self.epc.finish(outcomes)
        return cost + len(batch) * self.ps("scan") + written * self.ps("evict")

    def _make_room(self, outcome: Outcome, victims: list[Task]) -> int:
        """Carry out a batch or a kill; returns its time. The task killed is a victim from then on."""
        if outcome is not Outcome.KILL:
            return self.act(self.ps("batch"))
        number = self.epc.victim
        (victim,) = (task for task in self.tasks if task.enclave == number and task.what in ALIVE)
        victims.append(victim)
        assert self.epc.finish_kill() == number
        return self.ps("batch")

    def _end_killed(self, victims: list[Task], by: Task, time: int) -> None:
        for task in victims:
            task.become(IDLE, time)
            self.epc.enclave_release(task.enclave)
            self.kills.append((time // 1000, task.number, by.number))
        for task in sorted(victims, key=lambda victim: victim.number):
            self._leave(task)

    def _blame(self, victim: int, cause: int) -> None:
        """Count a page written out for ``cause``: a pod, -1 for a group of none, -2 for the machine."""
        if cause == -2:
            cause = self.debts.popleft() if self.debts else -1
        else:
            self.credits[victim] = min(self.credits[victim] + 1, 96)
        self.reclaimed_by[victim][cause] += 1

    def _charged(self, pod: int) -> None:
        if self.credits[pod]:
            self.credits[pod] -= 1
        else:
            self.debts.append(pod)

    def wake(self, clock: int) -> None:
        if not self.awake and self.epc.has_work():
            self.awake = True
            self.background_clock = max(self.background_clock, clock)

    def background(self) -> None:
        clock = self.background_clock
        free = max(
            [clock]
            + ([self.server_free] if self.costs.serial else [])
            + ([min(self.cpus)] if self.cpus else [])
        )
        if free > clock:
            self.background_clock = free
        elif not self.epc.isolate():
            self.awake = False
        else:
            spent = self.act(self.ps("background"))
            self.background_clock += spent
            self.background_time += spent
            self.nr_batches += 1
            self.occupy(clock, clock + spent)
            if self.costs.serial:
                self.server_free = clock + spent

    def occupy(self, clock: int, end: int) -> None:
        if self.cpus:
            self.cpus[self.cpus.index(min(self.cpus))] = end

    # Turns.

    def go_on(self, until: int) -> None:
        self.until = until
        while True:
            waiting = sorted(
                (t.clock, t.since, t.number) for t in self.tasks if t.what not in ("off", "failed")
            )
            top = waiting[0][0] if waiting else NEVER
            background = self.background_clock if self.awake else NEVER
            if min(top, background) >= until:
                return
            if background < top or (background == top and not self.costs.serial):
                self.background()
            else:
                nearest = min([until, background] + [clock for clock, _, _ in waiting[1:2]])
                self.turn(self.tasks[waiting[0][2]], nearest)

    def turn(self, task: Task, nearest: int) -> None:
        if task.what == "sleep":
            self._sleep_on(task)
            return
        if task.what == "depart":
            self._depart(task)
            return
        if task.what != "fault":
            task.become(PRODUCTIVE, task.clock)
        if self.cpus and min(self.cpus) > task.clock:
            task.clock = min(self.cpus)
            return
        begin = task.clock
        busy = begin
        if task.what == "run":
            self._work(task, max(nearest + self.scenario.quantum_ns * 1000, begin + 1))
            busy = task.since = task.clock
            if task.clock >= nearest:
                self.occupy(begin, busy)
                return
            if task.what == "depart":
                self._depart(task)
        if task.what in ("fault", "build"):
            busy = self._fault(task)
        self.occupy(begin, busy)

    def _sleep_on(self, task: Task) -> None:
        done = task.seen != self.nr_batches
        if done or not self.awake:
            task.what = "fault"
            task.last_try = not done
        if done or self.awake:
            task.clock = max(task.clock, self.background_clock)
        task.since = task.clock

    def _depart(self, task: Task) -> None:
        task.become(IDLE, task.clock)
        task.what, task.clock, task.since = "run", task.arrived, task.arrived

    def _work(self, task: Task, limit: int) -> None:
        task.clock, task.owed = task.clock + task.owed, 0
        while task.what == "run" and task.clock < min(limit, self.until):
            if not task.pages:
                self._more(task)
            elif self.epc.page_state(task.enclave, task.pages[0]) == 1:
                self.epc.fault(task.enclave, task.pages[0], task.group)
                self._mark(task, task.pages.pop(0))
                task.clock += task.step
                self.counts[task.pod]["hits"] += 1
            else:
                task.what = "fault"

    def _mark(self, task: Task, page: int) -> None:
        offset = int(self.epc.state.enclaves[task.enclave, 2])
        self.epc.state.marks[offset + page] |= 16

    def _more(self, task: Task) -> None:
        if task.to_populate:
            task.pages, task.to_populate = task.to_populate[:ROOM], task.to_populate[ROOM:]
            return
        requests = task.program.requests
        task.step = max(1, self.ps("hit") + requests.page_ns * 1000)
        if task.draws_left:
            task.draw()
            return
        if task.request == "serving":
            self.latencies[task.pod].append((task.clock - task.arrived) // 1000)
            self.counts[task.pod]["requests"] += 1
        if task.request != "waiting":
            task.expect()
        if task.arrived > task.clock:
            task.what = "depart"
            return
        task.request = "serving"
        task.clock += requests.compute_ns * 1000
        task.draws_left = requests.draws or len(task.program.components)

    # Faults.

    def _ask(self, task: Task) -> Outcome:
        if task.what == "build":
            answer = enclave.add(self.epc.state, task.enclave, task.to_build[0], task.group, False)
            return Outcome(abs(answer))
        return self.epc.fault(task.enclave, task.pages[0], task.group)

    def _fault(self, task: Task) -> int:
        clock = task.clock
        page = task.to_build[0] if task.what == "build" else task.pages[0]
        if self.costs.serial and self.server_free > clock:
            if self.epc.page_state(task.enclave, page) == 2:
                task.become(STALLED, clock)
            task.clock = self.server_free
            return clock
        spent = 0
        victims: list[Task] = []
        outcome = self._ask(task)
        while outcome in (Outcome.EVICT, Outcome.KILL) or (
            outcome is Outcome.BUSY and self.costs.serial and self.epc.isolate()
        ):
            spent += self._make_room(outcome, victims)
            outcome = self._ask(task)
        self.wake(clock)
        busy = clock if task in victims else self._conclude(task, outcome, clock, spent)
        self._end_killed(victims, task, clock)
        return busy

    def _conclude(self, task: Task, outcome: Outcome, clock: int, spent: int) -> int:
        if outcome is Outcome.BUSY and not (self.costs.serial or task.last_try) and self.epc.has_work():
            task.become(STALLED, clock)
            task.seen, task.what = self.nr_batches, "sleep"
            task.clock = max(clock, self.background_clock)
            return clock
        if outcome not in (Outcome.CREATED, Outcome.LOADED):
            self._die(task)
            return clock
        if outcome is Outcome.LOADED or spent:
            task.become(STALLED, clock)
        self.counts[task.pod]["loaded" if outcome is Outcome.LOADED else "created"] += 1
        self.direct[task.pod] += spent
        self._charged(task.pod)
        return self._go_on(task, clock + spent, outcome)

    def _go_on(self, task: Task, end: int, outcome: Outcome) -> int:
        if task.what == "build":
            end += self.ps("add")
            task.to_build.pop(0)
            task.clock = task.since = end
            if not task.to_build:
                self.epc.enclave_init(task.enclave)
                task.what = "run"
        else:
            end += (
                self._load_cost(task) if outcome is Outcome.LOADED else self.ps("fault") + self.ps("create")
            )
            task.clock = task.since = end + self.ps("wake")
            task.owed, task.what, task.last_try = task.step, "run", False
            task.pages.pop(0)
        if self.costs.serial:
            self.server_free = end
        return end

    def _load_cost(self, task: Task) -> int:
        """What a fault that loads a page costs: the row nearest to the present overcommit, a draw from it."""
        mean, points = self.ps("fault") + self.ps("load"), self.costs.spread
        rows = spread.rows_of(points)
        if not rows:
            return mean
        live = [task.enclave for task in self.tasks if task.what not in ("off", "failed")]
        nr_pages = int(
            self.epc.state.enclaves[live][:, [at.ENCLAVE_NR_CHILDREN, at.ENCLAVE_NR_EVICTED]].sum()
        )
        overcommit = nr_pages / (self.scenario.capacity_bytes // 4096)
        nearest = min(range(len(rows)), key=lambda row: abs(math.log(rows[row][0] / overcommit)))
        values = spread.quantiles(points, mean).reshape(len(rows), -1)[nearest]
        return int(values[task.spread_rng.below(len(values))])

    def _die(self, task: Task) -> None:
        self.counts[task.pod]["refused"] += 1
        task.become(IDLE, task.clock)
        self.epc.enclave_release(task.enclave)
        self._leave(task)

    def _leave(self, task: Task) -> None:
        """A container has failed; its pod goes with the last one."""
        task.what = "failed"
        if all(other.what == "failed" for other in self.tasks if other.pod == task.pod):
            pod = self.scenario.pods[task.pod]
            for container in pod.containers:
                self.epc.rmdir(f"/kubepods/{pod.name}/{container.name}")
            self.epc.rmdir(f"/kubepods/{pod.name}")

    # Stall, from the time line.

    def stall(self, pods: set[int]) -> tuple[int, int]:
        """Return (some, full) of the tasks of some pods together, in ps."""
        mine = [task for task in self.tasks if task.pod in pods]
        changes = [(time, task.number, mood) for task in mine for time, mood in task.moods]
        changes.sort(key=lambda change: change[0])
        moods: dict[int, int] = {}
        some = full = last = 0
        for time, number, mood in [*changes, (self.scenario.duration_ns * 1000, -1, IDLE)]:
            if STALLED in moods.values():
                some += time - last
                full += (time - last) * (PRODUCTIVE not in moods.values())
            last = time
            moods[number] = mood
        return some, full
