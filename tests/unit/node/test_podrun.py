"""The life of a pod, with real processes."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from epcgroup.node.objects import Container, Pod
from epcgroup.node.podrun import Phase, PodRun, Process
from epcgroup.node.process import GatedProcess

FOREVER = "echo up; while :; do sleep 0.02; done"


class Launcher:
    """Starts containers for real and remembers in which order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.order: list[str] = []
        self.runs: list[PodRun] = []

    def __call__(self, container: Container) -> Process:
        self.order.append(container.name)
        variables = {"PATH": os.environ["PATH"]}
        process = GatedProcess(
            container.command, variables, self.folder, self.folder / f"{container.name}.log"
        )
        process.release()
        return process

    def pod(self, *containers: Container, init: tuple[Container, ...] = (), grace_ns: int = 10**10) -> PodRun:
        run = PodRun(Pod("p", containers, init, grace_ns=grace_ns), self)
        self.runs.append(run)
        return run

    def is_up(self, name: str) -> bool:
        log = self.folder / f"{name}.log"
        return log.exists() and log.read_text() == "up\n"


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    yield launcher
    for run in launcher.runs:
        run.kill()


def shell(name: str, script: str, *, sidecar: bool = False) -> Container:
    return Container(name, ("/bin/sh", "-c", script), sidecar=sidecar)


def turn(run: PodRun, condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"still {run.phase} ({run.reason})"
        run.step(time.monotonic_ns())
        time.sleep(0.01)


def test_a_pod_that_does_its_work_succeeds(launcher: Launcher) -> None:
    run = launcher.pod(shell("a", "exit 0"), shell("b", "exit 0"))
    phases = [run.phase]
    run.step(0)
    phases.append(run.phase)
    assert phases == [Phase.PENDING, Phase.RUNNING]
    turn(run, lambda: run.ended)
    assert (run.phase, run.reason) == (Phase.SUCCEEDED, "Completed")


def test_init_containers_run_first_in_order_and_to_success(launcher: Launcher) -> None:
    init = (shell("one", "sleep 0.1; echo one >>order"), shell("two", "echo two >>order"))
    run = launcher.pod(shell("main", "echo main >>order"), init=init)
    run.step(0)
    assert (launcher.order, run.phase, run.reason) == (["one"], Phase.PENDING, "Initializing")
    turn(run, lambda: run.ended)
    assert (launcher.folder / "order").read_text().split() == ["one", "two", "main"]
    assert run.phase is Phase.SUCCEEDED


def test_a_failed_init_container_fails_the_pod_and_stops_its_sidecars(launcher: Launcher) -> None:
    init = (shell("side", FOREVER, sidecar=True), shell("bad", "exit 4"))
    run = launcher.pod(shell("main", "exit 0"), init=init)
    turn(run, lambda: run.ended)
    assert (run.phase, run.reason, run.message) == (Phase.FAILED, "InitError", "bad: exit status 4")
    assert launcher.order == ["side", "bad"]
    assert run.init[0].status is not None


def test_a_sidecar_ends_with_the_pod_and_its_sigterm_is_no_failure(launcher: Launcher) -> None:
    run = launcher.pod(shell("main", "sleep 0.1"), init=(shell("side", FOREVER, sidecar=True),))
    turn(run, lambda: run.ended)
    assert run.phase is Phase.SUCCEEDED
    assert run.init[0].status == -15


def test_a_container_that_cannot_be_started_fails_its_pod_only(launcher: Launcher) -> None:
    words = tuple("x" * 100_000 for _ in range(100))
    run = launcher.pod(shell("first", FOREVER), Container("huge", ("echo", *words)))
    run.step(0)
    assert (run.phase, run.reason) == (Phase.FAILED, "StartError")
    assert run.message == "huge: Argument list too long"
    assert not any(container.running for container in run.main)
    init = launcher.pod(shell("main", FOREVER), init=(Container("huge", ("echo", *words)),))
    init.step(0)
    assert (init.phase, init.reason) == (Phase.FAILED, "StartError")


def test_the_others_go_on_when_one_container_fails(launcher: Launcher) -> None:
    run = launcher.pod(shell("bad", "exit 3"), shell("slow", "sleep 0.2; echo up"))
    turn(run, lambda: run.ended)
    assert (run.phase, run.reason, run.message) == (Phase.FAILED, "Error", "bad: exit status 3")
    assert launcher.is_up("slow")


def test_a_program_told_to_end_may_die_of_it(launcher: Launcher) -> None:
    run = launcher.pod(shell("main", FOREVER))
    turn(run, lambda: launcher.is_up("main"))
    run.stop("Ended", time.monotonic_ns())
    turn(run, lambda: run.ended)
    assert (run.phase, run.reason) == (Phase.SUCCEEDED, "Ended")


def test_a_program_told_to_end_may_still_fail(launcher: Launcher) -> None:
    run = launcher.pod(shell("main", "trap 'exit 9' TERM; " + FOREVER))
    turn(run, lambda: launcher.is_up("main"))
    run.stop("Ended", time.monotonic_ns())
    turn(run, lambda: run.ended)
    assert (run.phase, run.message) == (Phase.FAILED, "main: exit status 9")


def test_after_the_grace_it_is_killed_and_has_failed(launcher: Launcher) -> None:
    run = launcher.pod(shell("main", "trap '' TERM; " + FOREVER), grace_ns=200_000_000)
    turn(run, lambda: launcher.is_up("main"))
    run.stop("Ended", time.monotonic_ns())
    turn(run, lambda: run.ended)
    assert (run.phase, run.reason) == (Phase.FAILED, "KilledAfterGrace")
    assert run.message == "main did not end within 0.2 s of SIGTERM"


def test_stopping_before_it_started_runs_nothing(launcher: Launcher) -> None:
    run = launcher.pod(shell("main", "exit 1"))
    run.stop("Finished", 0)
    run.step(0)
    assert (run.phase, run.reason, launcher.order) == (Phase.SUCCEEDED, "Finished", [])
    assert run.to_json()["phase"] == "Succeeded"


def test_a_container_whose_enclave_was_killed_says_so(launcher: Launcher) -> None:
    killed = launcher.pod(shell("a", "kill -BUS $$"), shell("b", "exit 0"))
    killed.why_killed = lambda container: f"{container.name}: no room" if container.name == "a" else ""
    turn(killed, lambda: killed.ended)
    assert (killed.phase, killed.reason, killed.message) == (Phase.FAILED, "OOMKilled", "a: a: no room")
    other = launcher.pod(shell("a", "kill -BUS $$"))
    turn(other, lambda: other.ended)
    assert (other.reason, "SIGBUS" in other.message) == ("Error", True)
