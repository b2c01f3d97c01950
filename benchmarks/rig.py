"""Starts a pager (ours or the C twin) and a touching client on chosen CPUs; returns what it measured."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.native_build import compiled
from epcgroup.abi.control import ControlClient
from epcgroup.units import PAGE_SIZE

GROUP = "/bench"


def _on_cpus(cpus: Sequence[int]) -> Any:  # noqa: ANN401 - what preexec_fn takes
    return lambda: os.sched_setaffinity(0, set(cpus))


@contextmanager
def _process(command: list[str], cpus: Sequence[int]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_on_cpus(cpus)
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def _run_client(arguments: list[str], cpus: Sequence[int], control: ControlClient | None) -> dict[str, Any]:
    with _process([sys.executable, "-m", "benchmarks.toucher", *arguments], cpus) as client:
        if control is not None:
            control.write(GROUP, "epc.procs", str(client.pid))
        output, _ = client.communicate("go\n", timeout=300)
        if client.returncode:
            raise SystemExit(f"the benchmark's client failed with {client.returncode}")
    answer: dict[str, Any] = json.loads(output)
    return answer


def run_ours(
    client: list[str],
    *,
    limit_pages: int,
    cpus: tuple[Sequence[int], Sequence[int]],
    pager: Sequence[str] = (),
    module: str = "epcgroup.pager",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the client against our pager, in a group of ``limit_pages``; return (its answer, statistics).

    Args:
        client: arguments of the client, without ``--socket``.
        limit_pages: ``misc.max`` of the client's group, in pages.
        cpus: CPUs of (pager, client).
        pager: further arguments of the pager.
        module: what is started as the pager.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/pager.sock"
        command = [sys.executable, "-m", module, "--socket", path, "--log", f"{folder}/log", "--epc", "256Mi"]
        with _process([*command, *pager], cpus[0]) as process:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise SystemExit("the pager did not start")
            with ControlClient(path) as control:
                control.mkdir(GROUP)
                control.write(GROUP, "misc.max", f"sgx_epc {limit_pages * PAGE_SIZE}")
                answer = _run_client(["--socket", path, *client], cpus[1], control)
                return answer, control.statistics()


def run_twin(
    client: list[str],
    *,
    limit_pages: int,
    cpus: tuple[Sequence[int], Sequence[int]],
    background: bool = False,
) -> dict[str, Any]:
    """Run the client against the C twin of the loop and return its answer."""
    twin = compiled("twin.c", libraries=("crypto",))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "twin.sock"
        command = [str(twin), str(path), str(limit_pages), str(int(background))]
        with _process(command, cpus[0]) as process:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise SystemExit("the C twin did not start")
            return _run_client(["--socket", str(path), *client], cpus[1], None)
