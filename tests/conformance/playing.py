"""A machine for single cases: plays operations of the trace language, shows what came of them."""

import re

import epcgroup.conformance.replay  # noqa: F401  (fills the table of operations)
from epcgroup.conformance.names import OPERATIONS, RefusalError
from epcgroup.conformance.player import LivelockError, Player
from epcgroup.conformance.script import parse
from epcgroup.engine import invariants, reclaim
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state import tree
from epcgroup.state.outcome import PageState

PAGE = 4096
#: The recorded series, and with ours.
RECORDED = ("mainline", "v2", "v17")
LIMITED = ("v2", "v17")
EVERY = ("mainline", "v2", "v17", "fair")
_FIELD = re.compile(r'([\w.]+)=("[^"]*"|\S*)')

Row = tuple[int, int]


class _Watched(Player):
    """A player that remembers which pages each batch held and which of them were written out."""

    def __init__(self, epc: Epc) -> None:
        super().__init__(epc)
        self.batches: list[tuple[list[Row], list[Row], str]] = []

    def act(self) -> None:
        rows = [(int(row[0]), int(row[1])) for row in self.epc.batch]
        group = tree.path_of(self.state, self.epc.names, int(self.epc.batch[0, 2]))
        super().act()
        written = [row for row in rows if self.epc.page_state(*row) is PageState.EVICTED]
        self.batches.append((rows, written, group))


class Machine:
    """One booted machine; ``do`` plays operations, the rest looks at the state."""

    def __init__(
        self,
        nr_pages: int,
        series: str,
        *,
        sgx2: bool = True,
        nr_enclave_pages: int = 1 << 16,
        checked: bool = True,
    ) -> None:
        """``checked``: the laws are asked after every operation (not where charges stand without pages)."""
        self.epc = Epc.create(
            nr_pages,
            series=series,
            nr_groups=32,
            nr_enclaves=32,
            nr_enclave_pages=nr_enclave_pages,
            sgx2=sgx2,
        )
        self.state = self.epc.state
        self._checked = checked
        self.player = _Watched(self.epc)

    def do(self, *lines: str) -> dict[str, str]:
        """Play operations, checking the laws after each; the fields of the last result."""
        fields: dict[str, str] = {}
        for op in parse("\n".join(lines)):
            try:
                text = OPERATIONS[op.name].handler(self.player, op)
            except RefusalError as refusal:
                text = f"err={refusal.word}"
            except LivelockError:
                return {"livelock": "1"}
            if self._checked:
                invariants.check(self.state)
            fields = {key: value.strip('"') for key, value in _FIELD.findall(text)}
        return fields

    def build(self, name: str, path: str, nr_pages: int, *, size: int = 1024, ready: bool = False) -> None:
        """An enclave with pages added by a new process ``p<name>`` in a group; must succeed."""
        process = f"p{name}"
        assert self.do(f"proc {process} {path}", f"enclave {name} {process} {size}") == {"ret": "0"}
        if nr_pages:
            assert self.do(f"add {name} {nr_pages}") == {"ret": "0", "count": str(nr_pages)}
        if ready:
            assert self.do(f"init {name}") == {"ret": "0"}

    def reclaim(self, path: str, want: int) -> list[tuple[str, int]]:
        """One reclaim pass from a group: (group of the first page, pages scanned) of each batch."""
        group = self.epc.lookup(path)
        before = len(self.player.batches)
        if self.state.machine[on.WALK] == on.WALK_SHARED:
            if reclaim.isolate_shared(self.state, at.CONTEXT_KSGXD, group, want, 0):
                self.player.act()
        else:
            reclaim.begin(self.state, at.CONTEXT_KSGXD, group, want)
            while reclaim.step(self.state, at.CONTEXT_KSGXD, 0):
                self.player.act()
        invariants.check(self.state)
        return [(where, len(rows)) for rows, _, where in self.player.batches[before:]]

    # Looking.

    def word(self, path: str, column: int) -> int:
        """A word of a group's row."""
        return int(self.state.groups[self.epc.lookup(path), column])

    def pages(self, path: str) -> int:
        """Usage of a group, in pages."""
        return self.word(path, at.GROUP_USAGE) // PAGE

    def peak(self, path: str) -> int:
        """Peak of a group, in pages."""
        return self.word(path, at.GROUP_PEAK) // PAGE

    def events(self, path: str) -> int:
        """The counter behind misc.events, the root's invisible one too."""
        return self.word(path, at.GROUP_EVENTS)

    def local(self, path: str) -> int:
        """The counter behind misc.events.local, the root's invisible one too."""
        return self.word(path, at.GROUP_EVENTS_LOCAL)

    def files(self, path: str) -> dict[str, str]:
        """Text of every kernel file of a group; newlines as ``\\n``."""
        return self.do(f"files {path}")

    def queued(self) -> list[str]:
        """Groups with a queued work item, in order."""
        found = []
        group = int(self.state.machine[at.WORK_HEAD])
        while group:
            found.append(self.epc.path_of(group))
            group = int(self.state.groups[group, at.GROUP_WORK_NEXT])
        return found

    @property
    def ksgxd_runs(self) -> bool:
        """Whether the reclaimer thread has been woken."""
        return bool(self.state.machine[at.KSGXD_AWAKE])

    def _in_state(self, name: str, wanted: PageState) -> list[int]:
        encl = self.player.enclaves[name]
        return [page for page in range(encl.size) if self.epc.page_state(encl.number, page) is wanted]

    def inside(self, name: str) -> list[int]:
        """Resident pages of an enclave."""
        return self._in_state(name, PageState.RESIDENT)

    def outside(self, name: str) -> list[int]:
        """Written-out pages of an enclave."""
        return self._in_state(name, PageState.EVICTED)

    def enclave(self, name: str, column: int) -> int:
        """A word of an enclave's row."""
        return int(self.state.enclaves[self.player.enclaves[name].number, column])

    def has_secs(self, name: str) -> bool:
        """Whether the SECS is in EPC."""
        return bool(self.enclave(name, at.ENCLAVE_SECS))

    def victims(self) -> list[int]:
        """Pages written out so far, in order, whatever the enclave."""
        return [page for _, written, _ in self.player.batches for _, page in written]

    def nr_written(self) -> list[int]:
        """Pages written out by each batch so far."""
        return [len(written) for _, written, _ in self.player.batches]
