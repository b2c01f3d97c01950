"""Run a manifest once: a pager, groups, pods, samples, from the first second to a clean end.

What must not live here: how a pod lives (``podrun.py``), what samples mean (observe), what is printed (cli).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from epcgroup.cgroupfs.pagertree import PagerTree
from epcgroup.errors import RunError
from epcgroup.node.claims import REFUSAL, effective_claim
from epcgroup.node.clock import Clock, SystemClock
from epcgroup.node.groups import Groups, nr_groups
from epcgroup.node.mount import offered
from epcgroup.node.objects import Container, Manifest, Pod
from epcgroup.node.pagerprocess import PagerOptions, PagerProcess, with_room_for
from epcgroup.node.parts import Parts, hold_signals, same_signals_afterwards
from epcgroup.node.podrun import Phase, PodRun
from epcgroup.node.privatefolder import private_folder
from epcgroup.node.process import GatedProcess
from epcgroup.observe.sample import Recording, Sample, Target
from epcgroup.observe.sampler import Sampler
from epcgroup.sim.ledger import Ledger

_TICK_SECONDS: Final = 0.05
_SAMPLE_NS: Final = 250_000_000


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run a manifest.

    Attributes:
        pager: how to run the pager.
        duration_ns: when all pods are stopped, or None: when they have ended or somebody stops the run.
        folder: where logs and reports go.
        keep_ns: how much of the past the recording keeps, or None: all.
        mount: whether to offer the tree of groups as files.
    """

    pager: PagerOptions
    folder: Path
    duration_ns: int | None = None
    keep_ns: int | None = None
    mount: bool = False


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run left behind.

    Attributes:
        options: how it was run.
        recording: what was seen.
        pods: every pod and how it ended.
        pager: the pager's statistics at the end.
        nr_bad_lines: lines of the programs' reports that were no reports.
        end_ns: when the pods were told to end, CLOCK_MONOTONIC.
        interrupted: whether somebody stopped it.
    """

    options: RunOptions
    recording: Recording
    pods: tuple[PodRun, ...]
    pager: dict[str, Any]
    nr_bad_lines: int
    end_ns: int
    interrupted: bool

    @property
    def failed(self) -> list[PodRun]:
        """The pods that failed."""
        return [run for run in self.pods if run.phase is Phase.FAILED]


@dataclass(slots=True)
class Watcher:
    """What a caller wants to hear while a run goes on; every hook may be left out.

    Attributes:
        on_wait: called with words for people when something takes long before the start.
        on_start: called once, when the pager serves, with the run.
        on_sample: called after each sample.
        stop: asked on each turn; True ends the run cleanly.
    """

    on_wait: Callable[[str], None] = field(default=lambda text: None)
    on_start: Callable[["NodeRun"], None] = field(default=lambda run: None)
    on_sample: Callable[["NodeRun", Sample], None] = field(default=lambda run, sample: None)
    stop: Callable[[], bool] = field(default=lambda: False)


class NodeRun:
    """One run of a manifest on this machine.

    Attributes:
        manifest: what is run.
        recording: what has been seen so far.
        pods: every pod, in the order of the manifest.
        mount: where the tree of groups can be read as files, or None.
        mount_problem: why it cannot although that was asked for; else empty.
    """

    def __init__(self, manifest: Manifest, options: RunOptions, clock: Clock | None = None) -> None:
        self.manifest = manifest
        self.options = options
        self._clock = clock or SystemClock()
        targets = tuple(self._target(pod) for pod in manifest.pods)
        self.recording = Recording(targets, 0)
        self.pods = tuple(PodRun(pod, self._launcher(pod), self._kill_teller(pod)) for pod in manifest.pods)
        self.mount: Path | None = None
        self.mount_problem = ""
        self._ledger = Ledger(manifest.node.capacity_bytes)
        self._parts: Parts | None = None

    @property
    def elapsed_ns(self) -> int:
        """Time since the pager began to serve."""
        return self._clock.now_ns() - self.recording.start_ns

    @property
    def phases(self) -> dict[str, str]:
        """Pod → phase."""
        return {run.pod.name: str(run.phase) for run in self.pods}

    def run(self, watcher: Watcher | None = None) -> RunResult:
        """Run to the end.

        Raises:
            RunError: the pager could not be started.
            PagerDiedError: the pager died.
        """
        watcher = watcher or Watcher()
        self._clear_folders()
        with ExitStack() as stack:
            stack.enter_context(same_signals_afterwards())
            parts = self._parts = stack.enter_context(self._started(watcher.on_wait))
            stack.callback(self._kill_all)
            stack.callback(hold_signals)
            self.recording.start_ns = self._clock.now_ns()
            watcher.on_start(self)
            interrupted = self._loop(parts, watcher)
            end_ns = self._clock.now_ns()
            self._stop_all(parts, watcher, "Stopped" if interrupted else "Finished")
            parts.sampler.read_reports()
            parts.sampler.read_kills()
            return RunResult(
                self.options, self.recording, self.pods, parts.pager.control.statistics(),
                parts.sampler.nr_bad_lines, end_ns, interrupted,
            )  # fmt: skip

    @contextmanager
    def _started(self, say: Callable[[str], None]) -> Iterator[Parts]:
        """Everything a run needs, in a private folder; taken down in reverse order."""
        with ExitStack() as stack:
            folder = stack.enter_context(private_folder())
            log = self.options.folder / "logs" / "pager.log"
            options = with_room_for(nr_groups(self.manifest.pods), self.options.pager)
            pager = PagerProcess(folder, log, options, say)
            stack.callback(pager.stop)
            tree = PagerTree(pager.socket)
            stack.callback(tree.close)
            if self.options.mount:
                self.mount, self.mount_problem = stack.enter_context(offered(pager.socket, folder / "groups"))
            yield Parts(folder, pager, Groups(tree), Sampler(tree, self.recording))

    def _clear_folders(self) -> None:
        """Make the folders for logs and reports; files of an earlier run would be taken for ours."""
        for name, suffix in (("logs", ".log"), ("reports", ".jsonl")):
            folder = self.options.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(f"*{suffix}"):
                path.unlink()

    def _loop(self, parts: Parts, watcher: Watcher) -> bool:
        """Turn until the run is over; True if it was interrupted."""
        next_sample_ns = 0
        while True:
            if watcher.stop():
                return True
            elapsed_ns = self.elapsed_ns
            parts.pager.check()
            self._advance(parts, elapsed_ns)
            if elapsed_ns >= next_sample_ns:
                self._look(parts, watcher)
                next_sample_ns = elapsed_ns + _SAMPLE_NS
            if self._over(elapsed_ns):
                return False
            self._clock.wait(_TICK_SECONDS)

    def _over(self, elapsed_ns: int) -> bool:
        if self.options.duration_ns is not None and elapsed_ns >= self.options.duration_ns:
            return True
        # An unschedulable pod waits for room; when nothing runs or will run, none will come.
        coming = any(not run.started and not run.ended and not run.reason for run in self.pods)
        return not coming and not any(run.started and not run.ended for run in self.pods)

    def _advance(self, parts: Parts, elapsed_ns: int) -> None:
        for run in self.pods:
            if run.ended:
                continue
            if run.pod.name not in self._ledger.claimed and not self._bind(parts, run, elapsed_ns):
                continue
            if run.pod.end_ns is not None and elapsed_ns >= run.pod.end_ns:
                run.stop("Ended", self._clock.now_ns())
            if run.step(self._clock.now_ns()):
                self._ledger.release(run.pod.name)

    def _bind(self, parts: Parts, run: PodRun, elapsed_ns: int) -> bool:
        """Create a pod when its time has come; False while it must wait."""
        if elapsed_ns < run.pod.start_ns:
            return False
        if not self._ledger.bind(run.pod.name, effective_claim(run.pod)):
            run.pend("Unschedulable", REFUSAL)
            return False
        run.pend("", "")
        parts.groups.make(run.pod)
        return True

    def _look(self, parts: Parts, watcher: Watcher) -> None:
        now_ns = self._clock.now_ns()
        sample = parts.sampler.look(now_ns, self.phases)
        if self.options.keep_ns is not None:
            self.recording.forget_before(now_ns - self.options.keep_ns)
        watcher.on_sample(self, sample)

    def _stop_all(self, parts: Parts, watcher: Watcher, reason: str) -> None:
        self._look(parts, watcher)
        running = [run for run in self.pods if run.started]
        for run in running:
            run.stop(reason, self._clock.now_ns())
        while not all(run.ended for run in running):
            parts.pager.check()
            for run in running:
                run.step(self._clock.now_ns())
            self._clock.wait(_TICK_SECONDS)

    def _kill_all(self) -> None:
        for run in self.pods:
            run.kill()

    def _file(self, folder: str, pod: Pod, container: Container, suffix: str) -> Path:
        return self.options.folder.resolve() / folder / f"{pod.name}.{container.name}{suffix}"

    def log_of(self, pod: Pod, container: Container) -> Path:
        """Return the file a container's output goes to."""
        return self._file("logs", pod, container, ".log")

    def _target(self, pod: Pod) -> Target:
        reports = {
            pod.container_path(container): self._file("reports", pod, container, ".jsonl")
            for container in pod.all_containers
        }
        return Target(pod.name, effective_claim(pod), pod.path, reports)

    def _launcher(self, pod: Pod) -> Callable[[Container], GatedProcess]:
        return lambda container: self._launch(pod, container)

    def _kill_teller(self, pod: Pod) -> Callable[[Container], str]:
        """Return what says why the enclave of a container was killed; empty text if none was."""

        def tell(container: Container) -> str:
            kills = self._parts.groups.kills(pod, container) if self._parts is not None else []
            return str(kills[-1]) if kills else ""

        return tell

    def _launch(self, pod: Pod, container: Container) -> GatedProcess:
        """Start a container: its process is a member of its group before its program runs."""
        parts = self._parts
        if parts is None:
            raise RunError("a container can be launched only while its run lasts")
        folder = parts.home(pod, container)
        folder.mkdir(parents=True)
        report = self._file("reports", pod, container, ".jsonl")
        variables = container.environment(parts.environment(pod, container, report))
        words, log = container.words(variables), self.log_of(pod, container)
        process = GatedProcess(words, variables, folder, log, container.nice)
        try:
            parts.groups.join(pod, container, process.pid)
        except BaseException:
            process.kill()
            raise
        process.release()
        return process
