"""How a loop and a policy come together, and what the layer between promises."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from epcgroup.compiled.jit import inlined, jit
from epcgroup.errors import UsageError
from epcgroup.sim.policy import fifo, find, hooks, load, queue
from epcgroup.sim.policy.bind import stamp
from epcgroup.sim.policy.fifo import Fifo
from epcgroup.sim.policy.hooks import touch
from epcgroup.sim.policy.memory import FRAME_LIST, FRAME_OWN, OWN_WORDS, Memory
from epcgroup.sim.policy.replay import EXACT, Replay, one_group, replay
from epcgroup.sim.policy.steps import Steps
from epcgroup.state import layout as at
from epcgroup.state.layout import State
from epcgroup.state.outcome import Outcome
from epcgroup.state.series import SERIES


class Bookkeeper(Fifo):
    """FIFO that notes what it is told: 1 in the frame's row while it is in, faults in the words."""

    name = "bookkeeper"

    @staticmethod
    def inserted(s: State, m: Memory, group: int, frame: int) -> None:
        m.words[OWN_WORDS] += m.frames[frame, FRAME_OWN] != 0  # twice in
        m.frames[frame, FRAME_OWN] = group
        queue.append(m, group, 0, frame)

    @staticmethod
    def touched(s: State, m: Memory, frame: int) -> None:
        m.words[OWN_WORDS] += m.frames[frame, FRAME_OWN] == 0  # used, but not in

    @staticmethod
    def removed(s: State, m: Memory, group: int, frame: int, evicted: bool) -> None:
        m.words[OWN_WORDS] += m.frames[frame, FRAME_OWN] != group  # out of where it is not
        m.frames[frame, FRAME_OWN] = 0
        m.words[OWN_WORDS + 1 + evicted] += 1
        queue.remove(m, group, frame)


class Liar(Fifo):
    """Names frames that cannot leave: none, beyond the last, overhead, a free one."""

    name = "liar"

    @staticmethod
    def victim(s: State, m: Memory, group: int) -> int:
        m.words[OWN_WORDS] += 1
        turn = m.words[OWN_WORDS] % 5
        if turn == 1:
            return 0
        if turn == 2:
            return len(m.frames)
        if turn == 3:
            return -7
        if turn == 4:
            return 1  # a VA page
        return len(m.frames) - 1


_HERE = __name__


def test_a_page_is_told_in_and_out_in_turns_whatever_becomes_of_its_enclave() -> None:
    epc, group, enclave = one_group(60, 20)
    steps = Steps(epc, f"{_HERE}:Bookkeeper")
    for page in [*range(30), *range(25, 40), *range(60)]:
        steps.refer(enclave, page, group)
    for page in epc.residents(enclave)[:5].tolist():
        epc.forget(enclave, page)  # lost behind the policy's back
    for page in range(60):
        steps.refer(enclave, page, group)
    epc.enclave_release(enclave)
    outcome, enclave = epc.enclave_create(group, 60)
    assert outcome is Outcome.CREATED
    epc.enclave_init(enclave)
    for page in range(60):
        steps.refer(enclave, page, group)
    faults, vanished, evicted = steps.memory.words[OWN_WORDS : OWN_WORDS + 3].tolist()
    assert faults == 0
    assert evicted == len(steps.left) > 100
    assert vanished >= 15
    steps.check()


def test_a_policy_that_names_nonsense_does_no_harm() -> None:
    epc, group, enclave = one_group(60, 20)
    steps = Steps(epc, f"{_HERE}:Liar")
    for page in range(60):
        assert steps.refer(enclave, page, group) is Outcome.CREATED
    assert [page for _, page in steps.left] == list(range(40)), "the engine's choice: oldest first"
    assert steps.nr_declined == 40
    steps.check()


def test_pages_the_policy_was_not_told_of_leave_first() -> None:
    epc, group, enclave = one_group(60, 20)
    for page in range(8):
        assert epc.fault(enclave, page, group) is Outcome.CREATED
    steps = Steps(epc, "lru")
    for page in [*range(8, 20), 0, *range(20, 29)]:
        steps.refer(enclave, page, group)
    assert [page for _, page in steps.left] == [*range(8), 8]


def test_pages_beyond_what_a_pass_may_write_stay() -> None:
    series = replace(EXACT, nr_to_scan=16, nr_max_written=4)
    epc, group, enclave = one_group(60, 20, series)
    steps = Steps(epc, "lru")
    for page in range(21):
        steps.refer(enclave, page, group)
    assert sorted(page for _, page in steps.left) == [0, 1, 2, 3]
    steps.check()


def test_a_list_is_that_of_the_group_or_the_one_of_all() -> None:
    epc, group, enclave = one_group(60, 20)
    steps = Steps(epc, "lru")
    steps.refer(enclave, 3, group)
    frame = epc.state.pages[steps.element(enclave, 3)]
    assert steps.memory.frames[frame, FRAME_LIST] == group


@jit
def _no_hook(value: int) -> int:
    return value + 1


@jit
def _hidden(s: State, memory: NDArray[np.uint8], element: int) -> None:
    hooks.touch(s, memory, element)


@inlined
def _inner(s: State, memory: NDArray[np.uint8], element: int) -> None:
    touch(s, memory, element)


def test_loops_that_cannot_be_bound_are_refused() -> None:
    with pytest.raises(UsageError, match="calls none of the hooks"):
        find("lru").bind_to(_no_hook)
    with pytest.raises(UsageError, match=r"hooks\.touch reaches a hook of a policy: import it by name"):
        find("lru").bind_to(_hidden)


def test_a_copy_is_made_once_and_leaves_the_loop_alone() -> None:
    bound = find("lru").bind_to(_inner)
    assert bound is find("lru").bind_to(_inner)
    assert bound is not find("fifo").bind_to(_inner)
    plain, copy = (getattr(function, "py_func", function) for function in (_inner, bound))
    assert plain.__globals__["touch"] is touch
    assert copy.__globals__["touch"] is not touch
    assert copy.__qualname__.endswith("epcgroup_sim_policy_lru_Lru")


def test_an_edited_policy_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(fifo.__file__).read_text()
    file = tmp_path / "edited_policy.py"
    file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    policy = load("edited_policy:Fifo")
    first = stamp(policy)
    assert stamp(policy) == first
    file.write_text(text.replace("Last in the queue", "At the end"))
    assert stamp(policy) != first


def test_replay_says_what_it_cannot_do() -> None:
    trace = np.arange(10, dtype=np.uint32)
    with pytest.raises(UsageError, match="at least one reference"):
        replay(trace[:0], 5)
    with pytest.raises(UsageError, match="capacity of 0 pages"):
        replay(trace, 0)
    with pytest.raises(UsageError, match="no policy 'best'"):
        replay(trace, 5, "best")
    with pytest.raises(UsageError, match="enforces no limits"):
        replay(trace, 5, series=SERIES["mainline"])
    with pytest.raises(UsageError, match="a page was refused"):
        replay(trace, 5, series=SERIES["v2"])  # B1: never scans pages made on demand


def test_marks_of_requests_are_no_part_of_a_page() -> None:
    trace = np.array([1, 2, 1, 3, 2], np.uint32)
    marked = trace | np.uint32(1 << 31)
    for policy in ("lru", "optimum", "second-chance"):
        assert replay(trace, 2, policy) == replay(marked, 2, policy)


def test_a_replay_goes_on_where_it_stopped() -> None:
    machine = Replay(100, 10, "2q")
    trace = np.random.default_rng(3).integers(0, 100, 2000, dtype=np.uint32)
    assert machine.follow(trace[:700]) + machine.follow(trace[700:]) == replay(trace, 10, "2q")
    assert machine.epc.state.groups[machine.group, at.GROUP_NR_LRU] == 10
