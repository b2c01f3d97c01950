"""A naive model of the EPC manager: plain objects, everything computed by looking at everything.

Written from the behaviour's description, not from the engine. It knows series mainline, v17 and fair, and the
operations the pager uses.
"""

from epcgroup.state.outcome import Outcome
from epcgroup.state.series import Series
from tests.property.model_parts import PAGE, Enclave, Group, Pass


class Model:
    def __init__(self, nr_pages: int, series: Series) -> None:
        self.on = series
        self.one_list = series.walk == 0
        self.capacity = self.free = nr_pages
        self.root = Group("", None)
        self.queue: list[Group] = []
        self.current: Group | None = None
        self.awake = False
        self.batch: list[tuple[Enclave, int, Group]] = []
        self.batch_by = ""
        self.passes: dict[str, Pass | None] = {"alloc": None, "worker": None, "ksgxd": None}
        self.refuser: Group | None = None
        self.enclaves: list[Enclave] = []  # alive, oldest first
        self.victim: tuple[Enclave, int, int] | None = None  # with its pages and its group's overrun

    def mkdir(self, parent: Group, name: str) -> Group:
        group = Group(name, parent)
        parent.children.append(group)
        return group

    def rmdir(self, group: Group) -> bool:
        if group is self.root or any(not child.dead for child in group.children):
            return False
        group.dead = True
        self._bury(group)
        return True

    def _bury(self, group: Group) -> None:
        while group.dead and not group.usage and not group.children and group.parent:
            for ancestor in group.parent.up():
                if ancestor.cursor is group:
                    ancestor.cursor = group.after(ancestor)
            if group in self.queue:
                self.queue.remove(group)
            if self.current is group:
                self.current = None
            for key, running in self.passes.items():
                if running and running.root is group:
                    self.passes[key] = None
            group.parent.children.remove(group)
            group.parent.refused += group.refused
            group.parent.oom_kills += group.oom_kills
            group = group.parent

    def request(self, group: Group) -> None:
        if group not in self.queue:
            self.queue.append(group)

    def _return(self, group: Group) -> None:
        group.uncharge()
        self.free += 1
        self._bury(group)

    def _allocate(self, group: Group, may_reclaim: bool) -> Outcome:
        """CREATED when a page was taken."""
        self.refuser = None
        if self._step("alloc"):
            return Outcome.EVICT
        return self._take_watched(group, may_reclaim) if self.one_list else self._take(group, may_reclaim)

    def _take_watched(self, group: Group, may_reclaim: bool) -> Outcome:
        if not self.free:
            if not self.root.lru:
                return Outcome.REFUSED
            if may_reclaim:
                return self._start("alloc", self.root, 1)
            self._wake()
            return Outcome.BUSY
        self.free -= 1
        for level in group.up():
            level.add_page()
        self._wake()
        return Outcome.CREATED

    def _take(self, group: Group, may_reclaim: bool) -> Outcome:
        refuser = group.try_charge(self.capacity)
        if refuser is not None:
            self.refuser = refuser
            where = refuser if self.on.reclaims_refuser else group
            if not where.listed():
                return self._last_resort(refuser) if may_reclaim else Outcome.REFUSED
            if not may_reclaim:
                self.request(group)
                return Outcome.BUSY
            return self._start("alloc", where, 1)
        self.free -= 1
        if self.on.queues_near_limit:
            for level in group.up():
                if level.usage > level.trigger and level.listed() and self.current is not level:
                    self.request(level)
        self._wake()
        return Outcome.CREATED

    def _last_resort(self, level: Group) -> Outcome:
        if not level.kills or (level.usage + 1) * PAGE <= level.max:
            return Outcome.REFUSED
        candidates = [enclave for enclave in self.enclaves if level in enclave.home.up()]
        if not candidates:
            return Outcome.REFUSED
        rank, _, victim = max((each.rank(level), age, each) for age, each in enumerate(candidates))
        self.victim = victim, rank[2], rank[0]
        return Outcome.KILL

    def finish_kill(self) -> None:
        assert self.victim
        victim, self.victim = self.victim[0], None
        victim.killed = True
        victim.home.oom_kills += 1
        self.release(victim)

    def _wake(self) -> None:
        if self.free < 32 and self.root.listed():
            self.awake = True

    # Reclaim.

    def _start(self, who: str, root: Group, want: int) -> Outcome:
        self.passes[who] = Pass(root, 1 if self.one_list else want)
        return Outcome.EVICT if self._step(who) else Outcome.REFUSED

    def _step(self, who: str) -> int:
        running = self.passes[who]
        if running is None:
            return 0
        root = self.root if self.one_list else running.root
        if running.done >= running.want or not root.listed():
            self.passes[who] = None
            return 0
        size = 16
        if self.on.prefers_over:
            size = min(16, max(root.listed() // 8 + 1, running.want - running.done))
        group = self._choose(root)
        taken, group.lru = group.lru[:size], group.lru[size:]
        for enclave, page in taken:
            charged = enclave.pages[page]
            assert charged is not None
            self.batch.append((enclave, page, charged))
        running.done += len(taken)
        self.batch_by = who
        return len(taken)

    def _choose(self, root: Group) -> Group:
        if self.one_list:
            return root
        order = list(root.tree())
        at = order.index(root.cursor) if root.cursor else 0
        ring = [group for group in order[at:] + order[:at] if group.lru]
        chosen = ring[0]
        if self.on.prefers_over:
            spare = [group for group in ring if not any(up.is_low for up in group.up(root))]
            crowded = [g for g in spare if any(up.usage > up.target for up in g.up(root))]
            chosen = (crowded or spare or ring)[0]
        root.cursor = chosen.after(root)
        return chosen

    def finish(self, outcomes: list[int]) -> None:
        by, batch, self.batch = self.batch_by, self.batch, []
        for (enclave, page, charged), outcome in zip(batch, outcomes, strict=True):
            if outcome:
                (self.root if self.one_list else charged).lru.append((enclave, page))
                continue
            enclave.pages[page] = None
            if enclave.ready and enclave.secs and not any(enclave.pages.values()):
                secs, enclave.secs, enclave.secs_out = enclave.secs, None, True
                self._return(secs)
            current = self.current
            self._return(charged)
            if current and by == "worker" and current.forced:
                current.forced -= 1

    def isolate(self) -> int:
        while self.current or self.queue:
            if not self.current:
                self.current = self.queue.pop(0)
                self.passes["worker"] = None
            size = self._work(self.current)
            if size:
                return size
            self.current.forced = 0
            self.current = None
        if not self.awake:
            return 0
        size = self._step("ksgxd")
        if not size and self.free < 64 and self.root.listed():
            self._start("ksgxd", self.root, 16)
            size = len(self.batch)
        self.awake = size > 0
        return size

    def _work(self, group: Group) -> int:
        size = self._step("worker")
        if size or not group.listed():
            return size
        if self.on.queues_near_limit:
            excess = max(group.usage - group.target, group.forced)
            due, want = excess > 0, min(16, max(excess, 1))
        else:
            limit = min(level.max // PAGE for level in group.up())
            due, want = group.usage >= (limit - 32 if limit > 128 else limit), 16
        return self._start("worker", group, want) and len(self.batch) if due else 0

    # Enclaves.

    def _grow(self, enclave: Enclave, group: Group, may_reclaim: bool) -> Outcome:
        due = enclave.count >= 512 * len(enclave.va) if self.on.va_when_needed else enclave.count % 512 == 0
        if due:
            answer = self._allocate(group, may_reclaim)
            if answer is not Outcome.CREATED:
                return answer
            enclave.va.append(group)
        enclave.count += 1
        return Outcome.CREATED

    def create(self, enclave: Enclave) -> Outcome:
        group = enclave.home
        if self.on.admits_by_floor:
            limits = [level.max // PAGE if level.parent else self.capacity for level in group.up()]
            if 2 + -(-(1 + enclave.size) // 512) > min(limits):
                list(group.up())[limits.index(min(limits))].refused += 1
                return Outcome.NO_PAGE  # stands for AdmissionError
        answer = Outcome.CREATED if enclave.count else self._grow(enclave, group, True)
        if answer is Outcome.CREATED:
            answer = self._allocate(group, True)
        self._note(enclave, -2, answer)
        if answer is Outcome.CREATED:
            enclave.secs = group
            self.enclaves.append(enclave)
        elif answer not in (Outcome.EVICT, Outcome.KILL):
            self.release(enclave)
        return answer

    def release(self, enclave: Enclave) -> None:
        if enclave in self.enclaves:
            self.enclaves.remove(enclave)
        self._let_go(enclave)
        for page in sorted(enclave.pages):
            self._drop(enclave, page)
        enclave.pages.clear()
        for group in [enclave.secs] if enclave.secs else []:
            self._return(group)
        enclave.secs = None
        for group in reversed(enclave.va):
            self._return(group)
        enclave.va.clear()

    def _let_go(self, enclave: Enclave) -> None:
        held, enclave.held = enclave.held, None
        if held:
            self._return(held)

    def _drop(self, enclave: Enclave, page: int) -> None:
        charged = enclave.pages[page]
        if charged:
            (self.root if self.one_list else charged).lru.remove((enclave, page))
            self._return(charged)

    def fault(self, enclave: Enclave, page: int, group: Group) -> Outcome:
        if enclave.pages.get(page):
            return Outcome.HIT
        if enclave.killed or (page not in enclave.pages and not enclave.ready):
            return Outcome.NO_PAGE
        answer = self._bring(enclave, page, group)
        self._note(enclave, page, answer)
        return answer

    def _note(self, enclave: Enclave, what: int, answer: Outcome) -> None:
        """One ``max`` event for each refused allocation, however often it is asked again."""
        if self.refuser and enclave.asked != what:
            self.refuser.refused += 1
            enclave.asked = what
        if answer not in (Outcome.EVICT, Outcome.BUSY, Outcome.KILL):
            enclave.asked = -1

    def _bring(self, enclave: Enclave, page: int, group: Group) -> Outcome:
        may_reclaim = bool(self.on.fault_reclaims)
        if enclave.secs_out:
            answer = self._allocate(group, may_reclaim)
            if answer is not Outcome.CREATED:
                return answer
            enclave.secs, enclave.secs_out = group, False
        if enclave.held is not group:
            self._let_go(enclave)
            answer = self._allocate(group, may_reclaim)
            if answer is not Outcome.CREATED:
                return answer
            enclave.held = group
        is_new = page not in enclave.pages
        if is_new:
            answer = self._grow(enclave, group, may_reclaim)
            if answer is not Outcome.CREATED:
                if answer not in (Outcome.EVICT, Outcome.KILL):
                    self._let_go(enclave)
                return answer
        enclave.held = None
        enclave.pages[page] = group
        (enclave.loaded.discard if is_new else enclave.loaded.add)(page)
        (self.root if self.one_list else group).lru.append((enclave, page))
        return Outcome.CREATED if is_new else Outcome.LOADED

    def undo(self, enclave: Enclave, page: int) -> None:
        self._drop(enclave, page)
        if page in enclave.loaded:
            enclave.pages[page] = None
            return
        del enclave.pages[page]
        enclave.count -= 1
        spare = self.on.va_when_needed and enclave.count <= 512 * (len(enclave.va) - 1)
        if (enclave.count % 512 == 0 and not self.on.va_when_needed) or spare:
            self._return(enclave.va.pop())

    def forget(self, enclave: Enclave, page: int) -> None:
        if page in enclave.pages:
            self._drop(enclave, page)
            del enclave.pages[page]
            enclave.count -= 1
