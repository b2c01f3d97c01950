"""The life of one pod: Pending, Running, Succeeded or Failed, with reasons, as Kubernetes has it.

A pod is driven by ``step``; nothing here waits. A container is not restarted: as it ends, so does the pod.

What must not live here: which pods fit (``claims.py``), groups (``groups.py``), the loop (``runner.py``).
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from epcgroup.node.objects import Container, Pod
from epcgroup.node.process import describe_exit

SIGTERM_STATUS: Final = (-15, 143)
#: Reason of a pod whose enclave was killed. Source: Kubernetes, reasons of a terminated container.
OOM_KILLED: Final = "OOMKilled"


class Phase(StrEnum):
    """Phase of a pod. Source: Kubernetes API, PodPhase."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Process(Protocol):
    """A process as ``podrun`` needs it; ``process.GatedProcess`` is one."""

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


@dataclass(slots=True)
class ContainerRun:
    """One container: its process while it runs, its exit status afterwards."""

    container: Container
    process: Process | None = None
    status: int | None = None
    killed: bool = False

    @property
    def running(self) -> bool:
        """True from its start to its end."""
        return self.process is not None and self.status is None

    def poll(self) -> None:
        """Take note of the end of the process."""
        if self.process is not None and self.status is None:
            self.status = self.process.poll()

    def to_json(self) -> dict[str, object]:
        """Return how it ended."""
        return {"name": self.container.name, "exit_status": self.status, "killed": self.killed}


@dataclass(slots=True)
class PodRun:
    """One pod and how far it is.

    Attributes:
        pod: what it is.
        launch: starts a container of it and returns the process.
        why_killed: says why the enclave of a container was killed for want of EPC; empty if it was not.
        phase: where it is.
        reason: one word why, as in ``kubectl get``; empty while all is normal.
        message: the same for people.
    """

    pod: Pod
    launch: Callable[[Container], Process]
    why_killed: Callable[[Container], str] = lambda container: ""
    phase: Phase = Phase.PENDING
    reason: str = ""
    message: str = ""
    init: list[ContainerRun] = field(default_factory=list)
    main: list[ContainerRun] = field(default_factory=list)
    _stop_reason: str = ""
    _kill_at_ns: int = 0

    def __post_init__(self) -> None:
        self.init = [ContainerRun(container) for container in self.pod.init_containers]
        self.main = [ContainerRun(container) for container in self.pod.containers]

    @property
    def ended(self) -> bool:
        """True when nothing of it will run any more."""
        return self.phase in (Phase.SUCCEEDED, Phase.FAILED)

    @property
    def started(self) -> bool:
        """True once a container of it was started."""
        return any(run.process is not None for run in [*self.init, *self.main])

    @property
    def _all(self) -> list[ContainerRun]:
        return self.init + self.main

    def pend(self, reason: str, message: str) -> None:
        """Say why it is not running yet."""
        self.reason, self.message = reason, message

    def step(self, now_ns: int) -> bool:
        """Start what may start, note what has ended, move the phase; True if nothing more will run."""
        if self.ended:
            return True
        for run in self._all:
            run.poll()
        if self._stop_reason:
            self._stopping(now_ns)
        elif self._init_done():
            self._run_main(now_ns)
        return self.phase in (Phase.SUCCEEDED, Phase.FAILED)

    def _init_done(self) -> bool:
        """Run the init containers one after the other; True when the last is done or, a sidecar, started."""
        for run in self.init:
            if run.process is None and not self._start(run):
                return False
            if run.container.sidecar:
                continue
            if run.status is None:
                self.pend("Initializing", f"init container {run.container.name} is running")
                return False
            if run.status != 0:
                self._end_with("InitError", f"{run.container.name}: {describe_exit(run.status)}")
                return False
        return True

    def _run_main(self, now_ns: int) -> None:
        if self.phase is Phase.PENDING:
            if all(self._start(run) for run in self.main):
                self.phase, self.reason, self.message = Phase.RUNNING, "", ""
        elif not any(run.running for run in self.main):
            self.stop("Completed", now_ns)
            self._stopping(now_ns)

    def _start(self, run: ContainerRun) -> bool:
        """Start a container; False if that cannot be done, and so has failed the pod."""
        try:
            run.process = self.launch(run.container)
        except OSError as error:
            self._end_with("StartError", f"{run.container.name}: {error.strerror or error}")
        return run.process is not None

    def stop(self, reason: str, now_ns: int) -> None:
        """Begin to end it: SIGTERM now, SIGKILL after its grace; before it has started it just ends."""
        if self.ended or self._stop_reason:
            return
        self._stop_reason = reason
        self._kill_at_ns = now_ns + self.pod.grace_ns
        for run in self._all:
            if run.running and run.process is not None:
                run.process.terminate()

    def _stopping(self, now_ns: int) -> None:
        running = [run for run in self._all if run.running]
        if running and now_ns < self._kill_at_ns:
            return
        for run in running:
            self._kill(run)
        self._judge()

    def _judge(self) -> None:
        """Every process has ended: say how the pod did."""
        for run in self._all:
            if run.killed:
                grace = self.pod.grace_ns / 10**9
                self._end_with(
                    "KilledAfterGrace", f"{run.container.name} did not end within {grace:g} s of SIGTERM"
                )
                return
            # A sidecar or a stopped program may die of our SIGTERM; a finished one may not.
            allowed = (0, *SIGTERM_STATUS) if self._told_to_end(run) else (0,)
            if run.status is not None and run.status not in allowed:
                self._blame(run.container, run.status)
                return
        self.phase, self.reason, self.message = Phase.SUCCEEDED, self._stop_reason, ""

    def _blame(self, container: Container, status: int) -> None:
        """Say why a container failed."""
        why = self.why_killed(container) if status == -signal.SIGBUS else ""
        self._end_with(OOM_KILLED if why else "Error", f"{container.name}: {why or describe_exit(status)}")

    def _told_to_end(self, run: ContainerRun) -> bool:
        return run.container.sidecar or self._stop_reason != "Completed"

    def _end_with(self, reason: str, message: str) -> None:
        self.kill()
        self.phase, self.reason, self.message = Phase.FAILED, reason, message

    def _kill(self, run: ContainerRun) -> None:
        if run.process is not None:
            run.process.kill()
            run.status, run.killed = run.process.poll(), True

    def kill(self) -> None:
        """Kill every process of it at once."""
        for run in self._all:
            if run.running:
                self._kill(run)

    def to_json(self) -> dict[str, object]:
        """Return how it is."""
        return {
            "name": self.pod.name,
            "phase": str(self.phase),
            "reason": self.reason,
            "message": self.message,
            "containers": [run.to_json() for run in self._all],
        }
