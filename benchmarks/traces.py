"""Traces: how many references a second are read, checked, imported, generated, cut and mixed.

usage: python -m benchmarks.traces [--references N] [--rounds N]

Inputs are generated in a temporary folder. Processor time of this process, least of the rounds; what has to
keep up is the reader (``follow``): the simulator takes 30 M references a second.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import zstandard

from benchmarks.machine import write_result
from epcgroup.sim.trace.cut import Bounds, cut
from epcgroup.sim.trace.format import PAGE_MASK, read_trace
from epcgroup.sim.trace.generate import Recipe, generate
from epcgroup.sim.trace.lackey import import_lackey
from epcgroup.sim.trace.mix import Part, mix
from epcgroup.sim.trace.tables import CsvForm, import_arc, import_csv, import_twitter

#: References a second that the simulator is to follow.
NEEDED: Final = 30e6
_PAGES: Final = 100_000
_PIECE: Final = 1 << 20


def _texts(folder: Path) -> None:
    """Write the pages of a trace in the form of each import."""
    pages = read_trace(folder / "t.npy").references.tolist()
    lines = {
        "twitter": (f"{n // 2000},nz:u:{page:x},22,304,1,get,0\n" for n, page in enumerate(pages)),
        "sample": (f"{n // 2000}, {page * 7919}, 304, -2\n" for n, page in enumerate(pages)),
        "csv": (f"{page}\n" for page in pages),
        "lackey": (f" L {page << 12:08x},8\n" for page in pages),
        "arc": (f"{page} 8 0 {n}\n" for n, page in enumerate(pages[: len(pages) // 8])),
    }
    for name, texts in lines.items():
        (folder / name).write_text("".join(texts))
    packed = zstandard.ZstdCompressor().compress((folder / "sample").read_bytes())
    (folder / "sample.zst").write_bytes(packed)


def _follow(path: Path) -> None:
    """Touch every reference of a mapped trace, as a simulation does, and do nothing with it."""
    references = read_trace(path, check=False).references
    for start in range(0, len(references), _PIECE):
        int((references[start : start + _PIECE] & np.uint32(PAGE_MASK)).sum())


def _work(folder: Path, nr_references: int) -> dict[str, Callable[[], object]]:
    trace, out = folder / "t.npy", folder / "out.npy"

    def made(kind: str) -> Callable[[], object]:
        return lambda: generate(Recipe(kind, _PAGES, nr_references), out)

    return {
        "follow": lambda: _follow(trace),
        "read_and_check": lambda: read_trace(trace),
        "read_parquet": lambda: read_trace(folder / "t.parquet"),
        "import_twitter": lambda: import_twitter(folder / "twitter", out),
        "import_twitter_sample": lambda: import_twitter(folder / "sample", out),
        "import_twitter_sample_zst": lambda: import_twitter(folder / "sample.zst", out),
        "import_csv": lambda: import_csv(folder / "csv", out, CsvForm()),
        "import_lackey": lambda: import_lackey(folder / "lackey", out),
        "import_arc": lambda: import_arc(folder / "arc", out),
        "generate_zipf": made("zipf"),
        "generate_uniform": made("uniform"),
        "generate_loop": made("loop"),
        "generate_zipf_scan": made("zipf+scan"),
        "cut_half": lambda: cut(trace, out, Bounds("share", 0.5)),
        "mix_two": lambda: mix([Part(trace), Part(trace)], out),
    }


def _least(work: Callable[[], object], rounds: int) -> float:
    """Return the least processor time of some runs, after one that compiles or loads what is compiled."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    nr_references = options.references
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(Recipe("zipf", _PAGES, nr_references), folder / "t.npy")
        cut(folder / "t.npy", folder / "t.parquet", Bounds())
        _texts(folder)
        rates = {
            work: nr_references / _least(run, options.rounds) / 1e6
            for work, run in _work(folder, nr_references).items()
        }
    for work, rate in rates.items():
        print(f"{work:<26} {rate:8.1f} M references/s")
    figures = {work: round(rate, 1) for work, rate in rates.items()}
    write_result("traces", {"references": nr_references, "million_references_per_cpu_second": figures})
    if rates["follow"] * 1e6 < NEEDED:
        raise SystemExit(f"the reader does not keep up: {rates['follow']:.0f} M references/s")


if __name__ == "__main__":
    main()
