"""How programs ended before their time: refused a page, killed, not admitted; for people and for figures.

What must not live here: what becomes of their containers and pods (``lifecycle.py``).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epcgroup.face.epc import Epc
from epcgroup.sim import layout as at
from epcgroup.sim.result import Kill
from epcgroup.state import layout as engine
from epcgroup.state.outcome import Outcome

_REASONS: Final = {
    Outcome.REFUSED: "nothing is reclaimable under its limit",
    Outcome.BUSY: "the background found nothing to reclaim",
    Outcome.NO_PAGE: "the page does not exist",
    Outcome.LIVELOCK: "reclaim goes round without writing a page out",
}
#: Words for why a pod failed. Source of the second: Kubernetes, reasons of a terminated container.
ERROR, OOM_KILLED, NOT_ADMITTED = "Error", "OOMKilled", "AdmissionError"


@dataclass(frozen=True, slots=True)
class _Death:
    """When (ps), why in one word, and for people."""

    time: int
    reason: str
    text: str


class Deaths:
    """What is known of the dead; ``names``: POD/CONTAINER of each task.

    Attributes:
        kills: those of the engine, in the order of time.
    """

    def __init__(self, epc: Epc, names: Sequence[tuple[str, str]]) -> None:
        self._epc = epc
        self._names = names
        self._deaths: dict[int, list[_Death]] = {}
        self.kills: list[Kill] = []

    def __contains__(self, task: int) -> bool:
        return task in self._deaths

    def _note(self, task: int, time: int, reason: str, text: str) -> None:
        self._deaths.setdefault(task, []).append(_Death(time, reason, text))

    def refused(self, task: int, time: int, outcome: int) -> None:
        """A task was given no page."""
        self._note(task, time, ERROR, _REASONS.get(Outcome(outcome), "no page to be had"))

    def not_admitted(self, task: int, time: int, why: str) -> None:
        """A task's enclave can never fit below a limit."""
        self._note(task, time, NOT_ADMITTED, why)

    def killed(self, task: int, enclave: int, time: int, by: int) -> None:
        """A task's enclave was killed for a page that task ``by`` asked for."""
        level, nr_pages, over_pages = self._noted(enclave)
        pod, container = self._names[task]
        kill = Kill(time // at.PS, pod, container, "/".join(self._names[by]), level, nr_pages, over_pages)
        self.kills.append(kill)
        text = f"{kill.by} asked for a page, nothing below {level} was reclaimable (epc.oom)"
        self._note(task, time, OOM_KILLED, text)

    def _noted(self, enclave: int) -> tuple[str, int, int]:
        """Return what the engine has written down about the kill of an enclave: level, pages, overrun."""
        words: NDArray[np.int64] = self._epc.state.machine
        for kill in range(int(words[engine.NR_KILLS]) - 1, -1, -1):
            row = words[engine.KILLS + engine.KILL_COLUMNS * (kill % engine.KILL_ROWS) :]
            if row[engine.KILL_ENCLAVE] == enclave:
                level = self._epc.path_of(int(row[engine.KILL_LEVEL]))
                return level, int(row[engine.KILL_PAGES]), int(row[engine.KILL_OVER])
        return "", 0, 0

    def messages(self) -> Iterator[str]:
        """Yield a line for each task that died."""
        for task, deaths in self._deaths.items():
            first = deaths[0]
            times = "once" if len(deaths) == 1 else f"{len(deaths)} times, first"
            what = "was not admitted" if first.reason == NOT_ADMITTED else f"was killed (SIGBUS) {times}"
            yield f"{'/'.join(self._names[task])} {what} at {first.time / 1e12:.3f} s: {first.text}"

    def reason(self, tasks: Iterable[int]) -> str:
        """Return why the first of some tasks that died did, in one word; empty if none did."""
        return next((self._deaths[task][-1].reason for task in tasks if task in self._deaths), "")
