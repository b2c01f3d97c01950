"""Records what the pager sees of one group's pages: every fault, and the touches its ager sees.

While a recording lasts, the handlers of the group's enclaves are wrapped; without one there is nothing in the
way of a fault. Events wait here until the client fetches them; when they are too many the recording ends, so
that one that nobody fetches costs no more than that memory.

What must not live here: the form of a trace (``sim/trace``), files.
"""

from array import array
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, Final

from epcgroup.abi import recording
from epcgroup.abi.recording import Kind
from epcgroup.errors import NoSuchGroupError, UsageError
from epcgroup.face.epc import Epc
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.fault import FaultServer, Note
from epcgroup.state import files

#: Words that wait at most: 16 MiB, a million events.
_MAX_WORDS: Final = 1 << 21
#: Words of one reply: the pager serves no fault while it makes one.
_REPLY_WORDS: Final = 1 << 15


class Recorder:
    """One recording at a time."""

    def __init__(self, epc: Epc, enclaves: dict[int, Enclave], faults: FaultServer) -> None:
        self._epc = epc
        self._enclaves = enclaves
        self._faults = faults
        self._path: str | None = None
        self._is_full = False
        self._words = array("Q")
        self._nr_taken = 0
        #: Pages of each enclave that was watched, in order; its place is its name in the events.
        self._sizes: list[int] = []
        self._places: dict[Enclave, int] = {}
        faults.watcher = self._note_for

    def carry_out(self, act: str, path: str) -> dict[str, Any]:
        """Start, fetch or stop; returns the fields of the reply.

        Every reply has the group's counters now, so that two of them tell what happened in between.

        Raises:
            UsageError: no such act, no such group, another recording runs, or none does.
        """
        if act == "start":
            self._start(path)
        elif act not in ("fetch", "stop"):
            raise UsageError(f"a recording can start, fetch or stop, not {act!r}")
        elif self._path is None:
            raise UsageError("no recording runs")
        counters = self._counters()
        if act == "stop":
            self._watch_no_more()
        reply = {**counters, **self._fetch()}
        if act == "stop" and not reply["nr_waiting"]:
            self._path, self._places = None, {}
        return reply

    def _start(self, path: str) -> None:
        if self._path is not None and not self._is_full:
            raise UsageError(f"a recording of {self._path} runs: one at a time")
        self._epc.lookup(path)
        self._path, self._is_full = path, False
        self._words, self._nr_taken = array("Q"), 0
        self._sizes, self._places = [], {}
        self._rewatch()

    def _watch_no_more(self) -> None:
        self._is_full = True
        self._rewatch()

    def _rewatch(self) -> None:
        for enclave in self._enclaves.values():
            if enclave.uffd >= 0:
                self._faults.rewatch(enclave)

    def _fetch(self) -> dict[str, Any]:
        taken = self._words[self._nr_taken : self._nr_taken + _REPLY_WORDS]
        self._nr_taken += len(taken)
        nr_waiting = len(self._words) - self._nr_taken
        if not nr_waiting:
            self._words, self._nr_taken = array("Q"), 0
        return {
            "events": recording.encode(taken),
            "nr_waiting": nr_waiting // recording.WORDS,
            "enclaves": self._sizes,
            "is_over": self._is_full,
            "now_ns": monotonic_ns(),
        }

    def _counters(self) -> dict[str, int]:
        """Return what the engine has counted for the group; nothing once the group is gone."""
        try:
            group = self._epc.lookup(str(self._path))
        except NoSuchGroupError:
            return {}
        figures = files.statistics(self._epc.state, group)
        return {key: figures[key] for key in ("created", "loaded")}

    def _note_for(self, enclave: Enclave) -> Note | None:
        """Return what notes the events of an enclave, None if it is not to be watched."""
        if self._path is None or self._is_full or not self._is_inside(enclave):
            return None
        place = self._places.get(enclave)
        if place is None:
            place = self._places[enclave] = len(self._sizes)
            self._sizes.append(enclave.nr_pages)
        prefixes = [recording.prefix(kind, place) for kind in (0, *Kind)]
        append, now = self._appender(), monotonic_ns
        return lambda kind, page: append((now(), prefixes[kind] | page))

    def _is_inside(self, enclave: Enclave) -> bool:
        own = self._epc.path_of(enclave.group)
        return self._path in (own, "/") or own.startswith(f"{self._path}/")

    def _appender(self) -> Callable[[tuple[int, int]], None]:
        def append(event: tuple[int, int]) -> None:
            if len(self._words) < _MAX_WORDS:
                self._words.extend(event)
            elif not self._is_full:
                self._watch_no_more()

        return append
