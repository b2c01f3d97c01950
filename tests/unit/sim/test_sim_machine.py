"""Whole simulations: laws, determinism, equality with the bulk path, pods that come, die and go."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from epcgroup.abi.histogram import bucket_of
from epcgroup.engine import invariants
from epcgroup.errors import UsageError
from epcgroup.face.epc import Epc
from epcgroup.sim.machine import Simulation, simulate
from epcgroup.sim.result import PHASES, POD_COLUMNS, Kill
from epcgroup.sim.scenario import DENY, KILL, Component, Program, Requests, Scenario
from epcgroup.sim.trace.writer import open_writer
from epcgroup.state.outcome import Outcome
from epcgroup.state.series import SERIES
from epcgroup.units import PAGE_SIZE
from tests.unit.sim.scenarios import figures, pod, program, scenario

_MARK = np.uint32(1 << 31)
_PHASE = POD_COLUMNS.index("phase")


def _neighbours(**fields: object) -> Scenario:
    """Three pods of two containers each, together larger than the EPC."""
    pods = [
        pod(
            f"p{number}",
            program(Component("zipf", 700), draws=8),
            program(Component("uniform", 300, span=2), arrivals="poisson", rate_per_s=20_000, draws=3),
            limit_bytes=800 * PAGE_SIZE,
            start_ns=number * 1_000_000,
        )
        for number in range(3)
    ]
    return replace(scenario(*pods, nr_pages=1200, duration_ns=20_000_000, sample_ns=2_000_000), **fields)  # type: ignore[arg-type]


def _trace(folder: Path, references: list[int], arrivals: list[int] | None = None) -> str:
    path = folder / "trace.npy"
    words = np.array(references, np.uint32)
    with open_writer(path, {"made by": "a test"}, unit_ns=1000 if arrivals is not None else 0) as writer:
        writer.append(words, None if arrivals is None else np.array(arrivals, np.uint32))
    return str(path)


@pytest.mark.parametrize("series", sorted(SERIES))
def test_the_laws_hold_between_segments(series: str) -> None:
    simulation = Simulation(_neighbours(series=series, nr_cpus=2), {})
    checked_at: list[int] = []

    def check(time_ns: int) -> None:
        invariants.check(simulation.epc.state)
        checked_at.append(time_ns)

    simulation.run(check)
    assert len(checked_at) > 10


def test_counters_agree_with_each_other() -> None:
    result = simulate(_neighbours())
    found = [figures(result, number) for number in range(3)]
    total = sum(each["hits"] + each["faults"] + each["refused"] for each in found)
    assert total == result.nr_accesses
    for number, each in enumerate(found):
        assert each["evictions"] - each["loaded"] == each["evicted_pages"] > 0
        assert each["created"] == each["resident_pages"] + each["evicted_pages"]
        assert each["evictions"] == result.reclaimed_by[-1, number].sum()
        assert each["peak_bytes"] >= each["current_bytes"] >= each["resident_pages"] * PAGE_SIZE
    assert (np.diff(result.times_ns) == 2_000_000).all()


def test_a_result_depends_on_the_scenario_only() -> None:
    wanted = [_neighbours(seed=seed) for seed in (1, 2, 1, 2, 3, 1, 2, 3)]
    digests = [simulate(each).digest for each in wanted]
    with ThreadPoolExecutor(4) as threads:
        parallel = list(threads.map(lambda each: simulate(each).digest, wanted))
    assert parallel == digests
    assert len(set(digests)) == 3


def test_samples_do_not_change_what_happens_between_them() -> None:
    """Stopping the loop to look moves only how far a program runs ahead."""
    rare = figures(simulate(_neighbours(sample_ns=20_000_000, quantum_ns=0)))
    often = figures(simulate(_neighbours(sample_ns=100_000, quantum_ns=0)))
    assert often == rare


@pytest.mark.parametrize(("series", "costs"), [("fair", "sgx2"), ("mainline", "sgx2"), ("v17", "softepc")])
def test_one_trace_is_followed_as_the_bulk_path_does(series: str, costs: str, tmp_path: Path) -> None:
    """As where a core is spare: the background costs nothing; in v17 it is the server that waits for it."""
    random = np.random.default_rng(5)
    references = np.minimum(random.zipf(1.2, 300_000), 1000).astype(np.uint32) - 1
    free = dict.fromkeys(("background", "scan", "evict"), 0)
    following = Program(1000, trace=_trace(tmp_path, references.tolist()))
    limited = pod("p", following, limit_bytes=400 * PAGE_SIZE)
    timeless = scenario(limited, nr_pages=900, series=series, duration_ns=10**12, ns={**free, "wake": 1})
    result = simulate(replace(timeless, costs=costs))
    epc = Epc.create(900, series=series, nr_groups=4, nr_enclaves=2, nr_enclave_pages=1000, sgx2=True)
    for path in ("/kubepods", "/kubepods/p", "/kubepods/p/c0"):
        group = epc.mkdir(path)
    if SERIES[series].has_resource:
        epc.write("/kubepods/p", "misc.max", f"sgx_epc {400 * PAGE_SIZE}")
    outcome, enclave = epc.enclave_create(group, 1000)
    assert outcome is Outcome.CREATED
    epc.enclave_init(enclave)
    counters = epc.run(references, [(enclave, group)])
    found = figures(result)
    names = ("hits", "created", "loaded", "evictions", "refused")
    assert [found[name] for name in names] == [getattr(counters, name) for name in names]
    assert result.pods[-1, 0, _PHASE] == PHASES.index("Succeeded")


def test_requests_of_a_trace(tmp_path: Path) -> None:
    mark = 1 << 31
    path = _trace(tmp_path, [mark | 0, 1, mark | 2, mark | 0, 1, 2], [4, 1, 0])
    marked = Program(3, trace=path, requests=Requests("recorded", compute_ns=100))
    result = simulate(scenario(pod("p", marked), duration_ns=100_000))
    # Ready at 5,000. Arrivals at 9,000, 10,000, 10,000; the first needs 100 + 2 * 1,210.
    ends = [9_000 + 2_520, 11_520 + 1_310, 12_830 + 100 + 30]
    waits = [ends[0] - 9_000, ends[1] - 10_000, ends[2] - 10_000]
    found = [bucket for bucket, count in enumerate(result.latency[-1, 0]) for _ in range(count)]
    assert found == sorted(bucket_of(wait) for wait in waits)
    assert figures(result)["requests"] == 3


def test_a_trace_that_repeats_goes_on_to_the_end(tmp_path: Path) -> None:
    following = Program(3, trace=_trace(tmp_path, [0, 1, 2, 1]), repeat=True)
    found = figures(simulate(scenario(pod("p", following))))
    assert found["hits"] + found["faults"] == pytest.approx((1_000_000 - 5000 - 3 * 1200) / 10, abs=2)
    assert found["phase"] == PHASES.index("Running")


def test_a_trace_longer_than_its_window(tmp_path: Path) -> None:
    references = np.arange(600_000, dtype=np.uint32) % 50
    following = Program(50, trace=_trace(tmp_path, references.tolist()), populate=True)
    found = figures(simulate(scenario(pod("p", following), duration_ns=10**10)))
    assert (found["hits"], found["created"]) == (600_000, 50)
    assert found["phase"] == PHASES.index("Succeeded")


def test_a_program_without_room_is_killed_and_starts_again() -> None:
    # SECS and VA page are charged too: nothing is left for a page.
    spec = pod(
        "p", program(Component("loop", 4)), limit_bytes=2 * PAGE_SIZE, restarts=True, restart_ns=100_000
    )
    result = simulate(scenario(spec, series="v17"))  # ours would not admit it
    assert figures(result)["refused"] == 10
    assert figures(result)["phase"] == PHASES.index("Running")
    assert "p/c0 was killed (SIGBUS) 10 times, first at 0.000 s" in result.messages[0]
    once = simulate(scenario(replace(spec, restarts=False), series="v17"))
    assert figures(once)["refused"] == 1
    assert once.reasons == ("Error",)
    assert figures(once)["phase"] == PHASES.index("Failed")
    assert figures(once)["current_bytes"] == 0


def test_a_pod_fails_with_its_last_container() -> None:
    spec = pod("p", program(Component("loop", 4)), program(Component("loop", 1)))
    tight = replace(
        spec, containers=(replace(spec.containers[0], limit_bytes=2 * PAGE_SIZE), spec.containers[1])
    )
    found = figures(simulate(scenario(tight)))
    assert (found["refused"], found["phase"]) == (1, PHASES.index("Running"))
    assert found["requests"] > 1000


def test_an_enclave_that_can_never_fit_is_not_admitted_and_does_not_come_again() -> None:
    spec = pod("p", program(Component("loop", 4)), limit_bytes=2 * PAGE_SIZE, restarts=True)
    result = simulate(scenario(spec))
    assert (figures(result)["refused"], figures(result)["phase"]) == (1, PHASES.index("Failed"))
    assert result.reasons == ("AdmissionError",)
    (message,) = result.messages
    assert message.startswith("p/c0 was not admitted at 0.000 s: an enclave of 16384 bytes in /kubepods/p/c0")
    assert "the limit of /kubepods/p is 8192" in message


def test_a_kill_ends_a_program_and_who_asked_pays_and_goes_on() -> None:
    # A VA page and a SECS each: the first page of any is one too many. Of equals the younger one dies.
    loops = program(Component("loop", 2)), program(Component("loop", 2))
    spec = pod("p", *loops, limit_bytes=4 * PAGE_SIZE, oom=KILL)
    result = simulate(scenario(spec, ns={"batch": 7_000}))
    (kill,) = result.kills
    assert kill == Kill(5_000, "p", "c1", "p/c0", "/kubepods/p", 2, 0)
    found = figures(result)
    assert (found["refused"], found["phase"], found["direct_ns"]) == (0, PHASES.index("Running"), 7_000)
    assert found["requests"] > 1000
    assert result.reasons == ("",)
    assert result.messages[0].startswith("p/c1 was killed (SIGBUS) once at 0.000 s: p/c0 asked for a page")


def test_a_program_that_was_killed_starts_again_if_its_pod_does() -> None:
    loops = program(Component("loop", 2)), program(Component("loop", 2))
    spec = pod("p", *loops, limit_bytes=4 * PAGE_SIZE, oom=KILL, restarts=True, restart_ns=100_000)
    result = simulate(scenario(spec))
    # It takes the pages of the other for its structures, which asks for them: the younger one dies again.
    assert {(kill.container, kill.by) for kill in result.kills} == {("c1", "p/c0")}
    assert len(result.kills) == 10
    denied = simulate(scenario(replace(spec, oom=DENY)))
    assert denied.kills == ()
    assert figures(denied)["refused"] == 10


def test_kills_are_in_the_digest() -> None:
    loops = program(Component("loop", 2)), program(Component("loop", 2))
    spec = pod("p", *loops, limit_bytes=4 * PAGE_SIZE, oom=KILL)
    one, two = simulate(scenario(spec)), simulate(scenario(spec))
    assert one.digest == two.digest
    assert one.digest != simulate(scenario(replace(spec, oom=DENY))).digest


def test_pods_wait_for_their_claims() -> None:
    half = 2048 * PAGE_SIZE
    first = pod("a", program(Component("loop", 8)), claim_bytes=half, end_ns=500_000)
    second = replace(first, name="b", claim_bytes=half + 1, end_ns=None)
    third = replace(first, name="c", claim_bytes=2 * half + 1, end_ns=None)
    result = simulate(scenario(first, second, third, sample_ns=250_000))
    phases = [[PHASES[code] for code in row] for row in result.pods[:, :, _PHASE].tolist()]
    assert phases[0] == ["Running", "Pending", "Pending"]
    assert phases[1] == ["Succeeded", "Running", "Pending"]
    assert result.messages == (f"pod c never fitted: it claims {2 * half + 1} bytes of {2 * half}",)


def test_a_pod_that_ends_gives_everything_back() -> None:
    spec = pod("p", program(Component("uniform", 100)), end_ns=900_000)
    result = simulate(scenario(spec, sample_ns=800_000))
    before, after = figures(result, sample=0), figures(result, sample=1)
    assert before["resident_pages"] == 100
    assert (after["resident_pages"], after["current_bytes"]) == (0, 0)
    assert after["peak_bytes"] == before["peak_bytes"]
    assert result.node[1, 0] == 4096


def test_a_pod_stopped_while_it_waits_never_starts() -> None:
    full = pod("a", program(Component("loop", 8)), claim_bytes=4096 * PAGE_SIZE, end_ns=700_000)
    late = pod("b", program(Component("loop", 8)), claim_bytes=PAGE_SIZE, end_ns=300_000)
    found = figures(simulate(scenario(full, late)), 1)
    assert (found["faults"], found["phase"]) == (0, PHASES.index("Succeeded"))


def test_an_empty_node() -> None:
    result = simulate(scenario())
    assert result.pods.shape == (1, 0, len(POD_COLUMNS))
    assert (result.nr_accesses, result.node[0, 0]) == (0, 4096)


def test_ksgxd_is_blamed_on_who_used_up_the_free_pages() -> None:
    idle = pod("idle", Program(300, (Component("loop", 300),), Requests(think_ns=10**9), populate=True))
    greedy = pod("greedy", program(Component("scan", 5000)), start_ns=1_000_000)
    result = simulate(scenario(idle, greedy, nr_pages=600, duration_ns=2_000_000, series="mainline"))
    by_idle, by_greedy, by_machine = result.reclaimed_by[-1, 0].tolist()
    assert by_greedy > 200
    assert by_idle + by_machine < by_greedy / 10


def test_a_policy_takes_other_pages_than_the_engine() -> None:
    policies = {name: simulate(_neighbours(policy=name)) for name in ("second-chance", "fifo", "lru")}
    assert len({result.digest for result in policies.values()}) == 3
    assert figures(policies["fifo"])["loaded"] > figures(policies["lru"])["loaded"]


def test_the_optimum_loads_least(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    references = random.integers(0, 300, 50_000).tolist()
    following = pod("p", Program(300, trace=_trace(tmp_path, references)), limit_bytes=200 * PAGE_SIZE)
    loaded = {
        policy: figures(simulate(scenario(following, policy=policy, duration_ns=10**11)))["loaded"]
        for policy in ("optimum", "lru", "second-chance")
    }
    assert loaded["optimum"] < 0.9 * min(loaded["lru"], loaded["second-chance"])


def test_progress_is_told_and_may_end_the_run() -> None:
    seen: list[int] = []

    def stop(time_ns: int) -> None:
        seen.append(time_ns)
        if len(seen) == 3:
            raise KeyboardInterrupt

    before = threading.active_count()  # other tests of this process may have left theirs
    with pytest.raises(KeyboardInterrupt):
        simulate(_neighbours(), stop)
    assert seen == sorted(seen)
    assert threading.active_count() == before
    assert simulate(_neighbours()).digest == simulate(_neighbours(), seen.append).digest


def test_enclaves_larger_than_any_memory_are_refused() -> None:
    huge = pod("p", *[program(Component("loop", 4), nr_pages=2**31 - 1)] * 4096)
    with pytest.raises(UsageError, match=r"need \d+\.\d GiB for the engine's state"):
        simulate(scenario(huge))
