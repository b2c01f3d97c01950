"""The machine of a trace: carries out what the engine decides, at once and in one thread.

Ages come from page tables, written pages go to the backing store, reclaim runs when the script says so.
"""

from collections.abc import Callable
from typing import Final

from epcgroup.conformance.world import Backing, Enclave, Guest, Mapping, Process
from epcgroup.engine import allocate, background, enclave, oom, reclaim, shared
from epcgroup.errors import UsageError
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at
from epcgroup.state import series as on
from epcgroup.state.outcome import Outcome

_EVICT: Final = (Outcome.EVICT, -Outcome.EVICT)


class LivelockError(UsageError):
    """An operation would never return (series v2)."""


class Player:
    """Everything a script has made: the engine, processes, enclaves, guest areas."""

    def __init__(self, epc: Epc) -> None:
        self.epc = epc
        self.state = epc.state
        self.processes: dict[str, Process] = {}
        self.enclaves: dict[str, Enclave] = {}
        self.guests: dict[str, Guest] = {}
        self.failures = [0]
        #: Paths by number of creation, as the printer met them; a group never moves.
        self.paths: dict[int, str] = {}
        self._serial = 0
        self._by_number: dict[int, Enclave] = {}

    # Driving the engine.

    def drive(self, step: Callable[[], int]) -> int:
        """Repeat a step, acting on each batch it isolates and each kill, until it answers else; the answer.

        Raises:
            LivelockError: it would never end.
        """
        while True:
            answer = step()
            if answer in _EVICT:
                self.act()
            elif abs(answer) == Outcome.KILL:
                oom.finish_kill(self.state)
                self._bury()
            elif abs(answer) == Outcome.LIVELOCK:
                raise LivelockError("an allocation never returns")
            else:
                return answer

    def act(self) -> None:
        """Age the isolated batch, write out what is old, account for it. Source: sgx_reclaim_pages."""
        nr = int(self.state.machine[at.BATCH_NR])
        words = self.state.machine[at.BATCH : at.BATCH + at.BATCH_COLUMNS * nr]
        rows = [(int(number), int(page)) for number, page in words.reshape(nr, at.BATCH_COLUMNS)[:, :2]]
        accepted: list[int] = []
        for row, (number, page) in enumerate(rows):
            if len(accepted) < self.state.machine[at.BATCH_MAX_WRITTEN] and self._is_accepted(number, page):
                accepted.append(row)
            else:
                reclaim.put_back(self.state, row)
        for row in accepted:
            self._by_number[rows[row][0]].zap(rows[row][1])
        for row in accepted:
            self._write(row, *rows[row])
        reclaim.close_batch(self.state)

    def _is_accepted(self, number: int, page: int) -> bool:
        encl = self._by_number[number]
        if not self.state.machine[at.BATCH_IGNORE_AGE]:
            for mapping in reversed(encl.mappings):
                if mapping.is_young(page):
                    mapping.entries[page] = 1
                    return False
        return encl.backing.get(page)

    def _write(self, row: int, number: int, page: int) -> None:
        encl = self._by_number[number]
        encl.backing.write(page)
        if reclaim.write_row(self.state, row) and encl.backing.get(encl.size):
            encl.backing.write(encl.size)
            reclaim.write_secs(self.state, number)
        reclaim.free_row(self.state, row)

    def run_items(self, nr: int | None = None) -> int:
        """Run queued work items, at most ``nr``; returns how many ran."""
        done = 0
        while nr is None or done < nr:
            if not background.begin_item(self.state):
                break
            while True:
                answer = background.item_step(self.state)
                if answer == shared.ENDLESS:
                    raise LivelockError("a work item never returns")
                if answer == 0:
                    break
                self.act()
            done += 1
        return done

    def run_ksgxd(self, nr: int | None = None) -> int:
        """Let ksgxd run at most ``nr`` rounds, or until it sleeps; returns the rounds done."""
        machine = self.state.machine
        done = 0
        while machine[at.KSGXD_AWAKE] and (nr is None or done < nr):
            if not background.ksgxd_wants(self.state):
                machine[at.KSGXD_AWAKE] = 0
                break
            batch = background.ksgxd_round(self.state)
            while batch:
                self.act()
                batch = reclaim.step(self.state, at.CONTEXT_KSGXD, 0)
            done += 1
        return done

    def reclaim_direct(self, group: int) -> None:
        """Reclaim in advance for one page of an SGX2 call."""
        stage = allocate.reclaim_direct(self.state, group, 0)
        while stage:
            self.act()
            stage = allocate.reclaim_direct(self.state, group, stage)

    def write_limit(self, group: int) -> None:
        """Series v2: bring the usage of a group below the limit just written, or kill."""
        shared.reset(self.state, at.CONTEXT_WRITE)
        while True:
            answer = shared.write_step(self.state, group)
            self._bury()
            if answer == shared.ENDLESS:
                raise LivelockError("a limit write never returns")
            if answer == 0:
                return
            self.act()

    def _bury(self) -> None:
        """Drop the page tables and the backing store of enclaves that were killed."""
        for encl in self.enclaves.values():
            if self.is_killed(encl) and encl.backing.contents | encl.backing.pcmd | set(encl.mappings):
                encl.backing = Backing(self.failures)
                for mapping in encl.mappings:
                    mapping.entries = bytearray(encl.size)

    # Making and ending things.

    def add_process(self, name: str, group: int) -> Process:
        """Make a process in a group."""
        self._serial += 1
        process = Process(name, self._serial, group)
        self.processes[name] = process
        self.epc.attach_process(process.serial, group)
        return process

    def move(self, process: Process, group: int) -> None:
        """Migrate a process; charges stay where they are."""
        process.group = group
        self.epc.attach_process(process.serial, group)

    def exit(self, process: Process) -> None:
        """End a process: its mappings, then its descriptors, then its guest areas."""
        for encl in list(self.enclaves.values()):
            self.unmap(encl, process)
        for encl in list(self.enclaves.values()):
            if encl.holder is process:
                encl.holder = None
                self.settle(encl)
        for guest in [each for each in self.guests.values() if each.process is process]:
            self.close_guest(guest)
        process.alive = False
        self.epc.detach_process(process.serial)
        del self.processes[process.name]

    def add_enclave(self, name: str, number: int, size: int, process: Process) -> Enclave:
        """Record an enclave that was created and mapped by a process."""
        encl = Enclave(name, number, size, process, process, Backing(self.failures))
        self.enclaves[name] = encl
        self._by_number[number] = encl
        self.map(encl, process)
        return encl

    def map(self, encl: Enclave, process: Process) -> None:
        """Map all of an enclave into a process.

        The kernel keeps an address space on the enclave's list after munmap, so a second mapping takes the
        place of the first one in the order in which ages are asked.
        """
        if process not in encl.order:
            encl.order.append(process)
        encl.mappings.append(Mapping(process, bytearray(encl.size)))
        encl.mappings.sort(key=lambda mapping: encl.order.index(mapping.process))

    def unmap(self, encl: Enclave, process: Process) -> None:
        """Remove the mapping a process has of an enclave."""
        encl.mappings = [each for each in encl.mappings if each.process is not process]
        self.settle(encl)

    def settle(self, encl: Enclave) -> None:
        """Free an enclave whose last reference is gone."""
        if encl.holder is None and not encl.mappings and encl.name in self.enclaves:
            del self.enclaves[encl.name]
            del self._by_number[encl.number]
            enclave.release(self.state, encl.number)

    def close_guest(self, guest: Guest) -> None:
        """Close a guest area."""
        del self.guests[guest.name]
        enclave.release(self.state, guest.number)

    def is_killed(self, encl: Enclave) -> bool:
        """Return whether an enclave was killed (series v2, fair)."""
        return bool(self.state.enclaves[encl.number, at.ENCLAVE_FLAGS] & at.ENCLAVE_KILLED)

    def run_as(self, process: Process) -> None:
        """Note on which NUMA node the next operation runs."""
        self.state.machine[at.NODE] = process.node

    @property
    def series(self) -> str:
        """Name of the engine's behaviour."""
        return self.epc.series

    def writes_reclaim(self) -> bool:
        """Return whether a limit write reclaims in the writer's context (series v2)."""
        return bool(self.state.machine[on.WRITE_RECLAIMS])
