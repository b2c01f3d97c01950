"""A day of a fleet: time, growth and memory from 10 to 1,000 nodes, 30 pods drawn for each.

usage: python -m benchmarks.fleet [--nodes 10 100 1000]

Each size runs in a process of its own, so that its peak of memory is its own. Targets: 1,000 nodes within 10
minutes on two CPUs, time a node and memory the same at every size.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import write_result
from epcgroup.plan import pool, tables
from epcgroup.plan.fleet import COLUMNS, Fleet, nodes_under
from epcgroup.plan.fleettotals import SeriesTotals, scheduled
from epcgroup.plan.podmodels import distributions
from epcgroup.plan.podtable import DAY_NS, generated
from epcgroup.plan.scheduler import schedule

SIZES = (10, 100, 1000)
SERIES = ("mainline", "fair")
PODS = 30
TARGET_S = 600.0


def _fleet(nr_nodes: int) -> Fleet:
    given = distributions()
    table = generated(PODS * nr_nodes, given.epc_bytes, DAY_NS, 1, given)
    placement = schedule(table, nr_nodes, given.epc_bytes, DAY_NS)
    return Fleet(table, placement, nr_nodes, given.epc_bytes, DAY_NS, given, given.costs, 1)


def measured(nr_nodes: int) -> dict[str, Any]:
    """Return the figures of one size, of this process."""
    begin, cpu = time.perf_counter(), time.process_time()
    plan = _fleet(nr_nodes)
    scheduling_s = time.perf_counter() - begin
    totals = {series: SeriesTotals() for series in SERIES}
    with (
        tempfile.TemporaryDirectory() as folder,
        pool.threads(pool.nr_cpus()) as where,
        tables.writing(Path(folder) / "nodes.parquet", COLUMNS, {}) as table,
    ):
        for node in nodes_under(plan, SERIES, where, lambda: False):
            table.add([node.row])
            totals[str(node.row["series"])].add(node)
    wall_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    sums = {
        name: sum(one.totals[name] for one in totals.values()) for name in ("requests", "accesses", "faults")
    }
    return {
        "nodes": nr_nodes,
        "pods": plan.table.nr_pods,
        "pods_per_node_at_once": scheduled(plan)["pods_per_node"],
        "series": list(SERIES),
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
        "scheduling_s": round(scheduling_s, 3),
        "cpu_s_per_node_and_series": round(cpu_s / nr_nodes / len(SERIES), 4),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        **sums,
        **{f"{name}_per_s": round(value / wall_s) for name, value in sums.items()},
        "digests": {series: one.digest for series, one in totals.items()},
    }


def _in_a_process(nr_nodes: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.fleet", "--one", str(nr_nodes)]
    answer: dict[str, Any] = json.loads(subprocess.check_output(command))
    print(
        f"{nr_nodes:5} nodes, {len(SERIES)} series: {answer['wall_s']:7.1f} s,"
        f" {answer['cpu_s_per_node_and_series']:.3f} s of CPU a node and series,"
        f" {answer['peak_memory_mib']:.0f} MiB, {answer['requests_per_s']:,} requests/s,"
        f" {answer['accesses_per_s']:,} references/s",
        flush=True,
    )
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one)))
        return
    measured(2)  # compile what is not compiled yet
    runs = [_in_a_process(nr_nodes) for nr_nodes in arguments.nodes]
    first, last = runs[0], runs[-1]
    per_node = last["cpu_s_per_node_and_series"] / first["cpu_s_per_node_and_series"]
    memory = last["peak_memory_mib"] / first["peak_memory_mib"]
    print(
        f"from {first['nodes']} to {last['nodes']} nodes: CPU a node x {per_node:.2f}, memory x {memory:.2f}"
    )
    result = {
        "runs": runs,
        "cpu_a_node_ratio": round(per_node, 3),
        "memory_ratio": round(memory, 3),
        "target_s": TARGET_S,
    }
    print(f"written: {write_result('fleet', result)}")


if __name__ == "__main__":
    main()
