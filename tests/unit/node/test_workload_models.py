"""Models of our own programs: their pages are those that the real programs touch."""

import random
from itertools import pairwise

import pytest

from epcgroup.errors import UsageError
from epcgroup.node.workload_models import Workload, model_of, program_in
from epcgroup.sim.scenario import Program
from epcgroup.units import PAGE_SIZE
from epcgroup.workloads.btree import __main__ as btree
from epcgroup.workloads.btree.tree import Tree
from epcgroup.workloads.kv import __main__ as kv
from epcgroup.workloads.kv.store import Store
from epcgroup.workloads.program import Run

MIB = 1 << 20


def model(line: str, claim_bytes: int | None = None) -> Workload:
    name, *arguments = line.split()
    return model_of(name, arguments, claim_bytes)


def used_pages(memory: bytearray) -> set[int]:
    """Pages that hold anything."""
    blank = bytes(PAGE_SIZE)
    return {page for page in range(len(memory) // PAGE_SIZE)
            if memory[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] != blank}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (("python", "-m", "epcgroup.workloads.kv", "--size", "4Mi"), ("kv", ["--size", "4Mi"])),
        (("/usr/bin/python3", "-m", "epcgroup.workloads.scan"), ("scan", [])),
        (("python", "-m", "epcgroup.workloads.kv.generator"), None),
        (("python", "-m", "http.server"), None),
        (("python", "server.py"), None),
        (("python",), None),
        (("redis-server", "-m", "epcgroup.workloads.kv"), None),
    ],
)
def test_our_programs_are_recognised_and_nothing_else(
    command: tuple[str, ...], found: tuple[str, list[str]] | None
) -> None:
    assert program_in(command) == found


@pytest.mark.parametrize(
    ("size", "value", "nr_items"),
    [(4 * MIB, 1000, 0), (8 * MIB, 60000, 0), (4 * MIB, 10000, 200), (MIB, 12, 0)],
)
def test_kv_has_the_pages_of_the_real_store(size: int, value: int, nr_items: int) -> None:
    memory = bytearray(size)
    store = Store(memoryview(memory))
    nr_items = nr_items or kv.nr_items_for(size, value)
    for item in range(nr_items):
        store.set(b"k%d" % item, 0, b"\xff" * value)
    real = used_pages(memory)
    program = model(f"kv --size {size} --value-size {value} --items {nr_items}").program
    # The page of the allocator's table is touched by sets of new items only.
    assert program.nr_pages == pytest.approx(len(real) - 1, rel=0.02)


def test_kv_touches_a_bucket_and_all_pages_of_an_item() -> None:
    program = model("kv --size 8Mi --value-size 60000 --rate 100 --burst 50 --zipf 0").program
    index, items, passed = program.components
    assert (items.kind, items.exponent, items.span, items.items) == ("zipf", 0.0, 15, 0)
    # 104 items in 16384 buckets: one look-up in 315 meets another item on its way.
    assert passed.span == 1
    assert passed.chance == pytest.approx(104 / 16384 / 2, rel=0.02)
    assert items.first_page == index.nr_pages
    assert items.nr_pages % items.span == 0
    assert program.requests.draws == 0
    assert (program.requests.arrivals, program.requests.rate_per_s, program.requests.burst) == (
        "poisson",
        100,
        50,
    )
    assert program.populate


def test_the_times_of_kv_add_up_to_what_was_measured() -> None:
    one, many = (
        model(f"kv --size 8Mi --items 99 --value-size {size} --set-ratio 0").program for size in (4096, 40960)
    )
    per_page = [program.requests.page_ns * pages_of(program) for program in (one, many)]
    assert per_page[1] == pytest.approx(10 * per_page[0], rel=0.01)
    assert one.requests.compute_ns == many.requests.compute_ns


def test_small_items_of_kv_share_pages_and_straddle_them() -> None:
    program = model("kv --size 16Mi --items 5000 --value-size 1000").program
    _, own, more = program.components
    # Chunks of 1200 bytes, 1048 of them in use: every fourth or so lies on two pages.
    assert (own.span, own.chance, more.span) == (1, 1.0, 1)
    assert more.chance == pytest.approx(0.24 + 5000 / 32768 / 2, abs=0.02)
    assert own.items == more.items == pytest.approx(1.24 * 5000, rel=0.01)
    assert own.items > 3 * own.nr_pages


def pages_of(program: Program) -> float:
    """Page references of a request that draws from every component, on average."""
    return sum(component.span * component.chance for component in program.components)


class Silent(Run):
    """A run without reports."""

    def __init__(self, memory: memoryview) -> None:
        from epcgroup.client import Reporter

        super().__init__(memory, Reporter())


@pytest.mark.parametrize("size", [MIB // 4, 4 * MIB])
def test_btree_has_the_nodes_of_the_real_tree(size: int) -> None:
    memory = memoryview(bytearray(size))
    tree = Tree(memory)
    btree.load(Silent(memory), tree, btree.nr_keys_for(size, 0))
    nr_nodes = size // PAGE_SIZE - tree.nr_free_nodes
    program = model(f"btree --size {size}").program
    leaves = program.components[-1]
    assert leaves.first_page + (leaves.grows_from_pages or 0) == nr_nodes
    assert leaves.first_page + leaves.nr_pages == program.nr_pages == size // PAGE_SIZE
    for above, below in pairwise(program.components):
        assert above.first_page + above.nr_pages == below.first_page


def test_btree_inserts_make_leaves_as_fast_as_the_model_grows() -> None:
    size, nr_inserts = 4 * MIB, 150
    memory = memoryview(bytearray(size))
    tree = Tree(memory)
    btree.load(Silent(memory), tree, btree.nr_keys_for(size, 0))
    before, choice = tree.nr_free_nodes, random.Random(1)
    for _ in range(nr_inserts):
        btree.one(tree, choice.randrange(len(tree) - nr_inserts), choice, 1.0)
    made = before - tree.nr_free_nodes
    leaves = model(f"btree --size {size} --rate 100 --insert-ratio 1").program.components[-1]
    assert made == pytest.approx(leaves.growth_pages_per_s * nr_inserts / 100, rel=0.15)


def test_btree_with_a_working_set_has_phases() -> None:
    leaves = model("btree --size 4Mi --working-set 24700 --every 5").program.components[-1]
    assert (leaves.kind, leaves.set_pages, leaves.phase_ns) == ("phases", 100, 5 * 10**9)
    assert model("btree --size 4Mi --working-set 24700").program.components[-1].nr_pages == 100


def test_scan_loops_over_memory_that_grows() -> None:
    program = model("scan --size 4Mi --growth 1Mi --rate 3000").program
    (component,) = program.components
    assert (component.kind, component.nr_pages, component.grows_from_pages) == ("loop", 1024, 256)
    assert component.growth_pages_per_s == 256
    assert (program.requests.arrivals, program.requests.rate_per_s) == ("paced", 3000)
    assert model("scan").program.requests.arrivals == "closed"
    assert not program.populate


def test_matmul_reads_all_weights_in_order() -> None:
    program = model("matmul --size 5000000 --width 512").program
    (component,) = program.components
    assert (component.nr_pages, component.span, component.kind) == (1024, 1024, "loop")


def test_the_claim_is_the_size_where_the_arguments_do_not_say() -> None:
    assert model("scan", 8 * MIB).program.nr_pages == 2048
    assert model("scan --size 4Mi", 8 * MIB).program.nr_pages == 1024
    assert model("scan --duration 2.5").duration_ns == 2_500_000_000
    assert model("scan").duration_ns is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("kv --sise 4Mi", "kv would refuse its arguments: unrecognized arguments: --sise 4Mi"),
        ("scan --size 4MB", "scan would refuse its arguments: argument --size: '4MB' is not a size"),
        ("kv --help", "--help answers and ends"),
        ("kv --rate 0", "--rate 0: the store waits for clients"),
        ("kv --value-size 4", "--value-size 4: expected 12 to 65536 bytes"),
        ("kv --size 1Mi --items 100000", "100000 items of 1000 bytes do not fit --size 1048576"),
        ("kv --size 4Mi --value-size 10000", "313 items of 10000 bytes do not fit --size 4194304"),
        ("matmul --size 4Ki", "a layer of width 512 has 1048576 bytes, there are 4096"),
        ("btree --size 4Ki", "a tree with keys needs more pages"),
        ("scan --plain", "--plain: the program keeps its data outside the EPC"),
    ],
)
def test_what_the_real_program_refuses(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        model(line)
    assert message in str(caught.value)
