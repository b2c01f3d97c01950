"""What a run on this machine is made of while it lasts: its pager, its groups, who looks."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from epcgroup.node.groups import Groups
from epcgroup.node.objects import Container, Pod
from epcgroup.node.pagerprocess import PagerProcess
from epcgroup.observe.sampler import Sampler

#: Variables of ours that a container gets; everything else of our environment stays here.
_PASSED_ON: Final = ("LANG", "LC_ALL", "TZ", "NUMBA_CACHE_DIR", "PYTHONPATH", "VIRTUAL_ENV")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a run.

    Attributes:
        folder: private to the run and gone after it. Names of pods have a folder of their own in it.
        pager: serves its EPC.
        groups: of its pods.
        sampler: reads its groups and reports.
    """

    folder: Path
    pager: PagerProcess
    groups: Groups
    sampler: Sampler

    def home(self, pod: Pod, container: Container) -> Path:
        """Return the working folder of a container."""
        return self.folder / "pods" / pod.name / container.name

    def temporary(self) -> Path:
        """Return the folder for temporary files, made if need be.

        What a killed container leaves in it goes with the run. It is one for all: the path of a socket in it
        must not hold the long name of a pod.
        """
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    def environment(self, pod: Pod, container: Container, report: Path) -> dict[str, str]:
        """Return the variables a container starts from."""
        given = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return given | {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home(pod, container)),
            "TMPDIR": str(self.temporary()),
            "PYTHONUNBUFFERED": "1",
            "EPCG_SOCKET": str(self.pager.socket),
            "EPCG_STATS": str(report),
            "EPCG_POD": pod.name,
            "EPCG_CONTAINER": container.name,
        }


@contextmanager
def same_signals_afterwards() -> Iterator[None]:
    """Let signals held back inside (:func:`hold_signals`) come when the block is left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hold_signals() -> None:
    """Hold back the signals that end a run: nothing may break into the taking down."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
