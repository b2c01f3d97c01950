"""How the cost of a reference grows with the machine, beside random writes to the same table in the same run.

usage: python -m benchmarks.engine_growth [--largest 24]

The writes go where the references go, over a copy of the table of enclave pages, in the same order: what the
memory of this machine asks for alone. Writes ``results/engine_growth.json`` and ``docs/engine-growth.svg``.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks import engine_rig
from benchmarks.machine import write_result
from epcgroup.face.run import Counters
from epcgroup.state import layout as at

PICTURE = Path(__file__).parents[1] / "docs" / "engine-growth.svg"
SMALLEST = 15
HITS = (0.5, 0.9, 0.99)
_ROUNDS = 5
_LENGTH = 1 << 21


@numba.njit(cache=True)
def _modify(table: NDArray[np.int32], places: NDArray[np.uint32]) -> None:
    for place in places:
        table[place] |= 1


def _ns(call: Callable[[], object]) -> float:
    begin = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - begin) / _LENGTH


def _cell(
    rig: engine_rig.Rig, table: NDArray[np.int32], hits: float, random: np.random.Generator
) -> dict[str, float]:
    """ns of a reference and of a write, medians of rounds by turns; the share of hits there really was."""
    mask = (1 << rig.page_bits) - 1
    offsets = np.array([rig.epc.state.enclaves[task, at.ENCLAVE_OFFSET] for task, _ in rig.tasks], np.uint32)
    # The hand must go round and every hot page be touched before anything is measured.
    nr_warm = 2 * rig.epc.capacity_pages
    rig.epc.run(engine_rig.references(rig, nr_warm, hits, random), rig.tasks, page_bits=rig.page_bits)
    times = []
    counters: list[Counters] = []
    for _ in range(_ROUNDS):
        trace = engine_rig.references(rig, _LENGTH, hits, random)
        places = offsets[trace >> rig.page_bits] + (trace & np.uint32(mask))
        ours = _ns(
            lambda trace=trace: counters.append(rig.epc.run(trace, rig.tasks, page_bits=rig.page_bits))  # type: ignore[misc]
        )
        times.append((ours, _ns(lambda places=places: _modify(table, places))))  # type: ignore[misc]
    ours, writes = (round(statistics.median(row[side] for row in times), 2) for side in (0, 1))
    hit_ratio = round(sum(each.hits for each in counters) / _ROUNDS / _LENGTH, 4)
    return {"ns_per_reference": ours, "ns_per_write": writes, "hit_ratio": hit_ratio}


def measure(sizes: range) -> dict[str, Any]:
    """Return ns of a reference and of a write for each size and share of hits; prints them."""
    rows: dict[str, Any] = {}
    for size in sizes:
        random = np.random.default_rng(size)
        rig = engine_rig.machine(1 << size)
        table = np.zeros(len(rig.epc.state.pages), np.int32)
        rig.epc.run(engine_rig.filling(rig), rig.tasks, page_bits=rig.page_bits)
        for hits in HITS:
            row = rows[f"2^{size} pages, {hits:.0%} hits"] = _cell(rig, table, hits, random)
            print(f"2^{size} {hits:4.0%} hits: {row}", flush=True)
    return rows


def growth(rows: dict[str, Any], sizes: range) -> dict[str, Any]:
    """Return by how much the cost grew from the smallest size to the largest, for both."""
    grown = {}
    for hits in HITS:
        first, last = (rows[f"2^{size} pages, {hits:.0%} hits"] for size in (sizes[0], sizes[-1]))
        grown[f"{hits:.0%} hits"] = {
            "reference": round(last["ns_per_reference"] / first["ns_per_reference"], 2),
            "write": round(last["ns_per_write"] / first["ns_per_write"], 2),
        }
    return grown


def draw(rows: dict[str, Any], sizes: range) -> None:
    """Draw both costs over the size, each relative to the smallest."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "epcgroup"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for hits, colour in zip(HITS, ("#0072b2", "#009e73", "#d55e00"), strict=True):
        cells = [rows[f"2^{size} pages, {hits:.0%} hits"] for size in sizes]
        for key, style, what in (
            ("ns_per_reference", "-", "engine"),
            ("ns_per_write", "--", "random writes"),
        ):
            costs = [cell[key] / cells[0][key] for cell in cells]
            axes.plot(list(sizes), costs, style, color=colour, label=f"{what}, {hits:.0%} hits")
    axes.set_yscale("log", base=2)
    axes.set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axes.set_xticks(list(sizes), [f"$2^{{{size}}}$" for size in sizes])
    axes.set_xlabel("pages of EPC")
    axes.set_ylabel(f"cost, relative to $2^{{{sizes[0]}}}$ pages")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    """Measure, print, write both files."""
    parser = argparse.ArgumentParser(description="Growth of the engine's cost with the size of the machine.")
    parser.add_argument("--largest", type=int, default=24, help="power of two of the largest machine")
    sizes = range(SMALLEST, parser.parse_args().largest + 1)
    rows = measure(sizes)
    grown = growth(rows, sizes)
    draw(rows, sizes)
    path = write_result("engine_growth", {"grown": grown, "cells": rows})
    print(f"from 2^{sizes[0]} to 2^{sizes[-1]} pages the cost grew {grown}")
    print(f"written to {path.name} and {PICTURE.name}")


if __name__ == "__main__":
    main()
