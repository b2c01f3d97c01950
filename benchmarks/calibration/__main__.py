"""Measure, run live, simulate, compare, write the page.

usage: python -m benchmarks.calibration [--measure | --keep | --published] [--repeats N] [--seeds N]

About ten minutes on an idle machine. On a busy one the measured costs are too high; what is compared in the
scenarios hardly depends on them.
"""

import argparse
import datetime
import json
import tomllib
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.calibration import (
    agreement,
    epc_costs,
    live,
    locality,
    oracle,
    page,
    plots,
    simulated,
    sources,
    speed,
    workload_costs,
)
from benchmarks.calibration.agreement import Compared
from benchmarks.calibration.live import Outcome, Setting
from benchmarks.calibration.published import azure, damon_shared, damon_tail, mail, vaucher, vault
from benchmarks.calibration.published.case import Case
from benchmarks.machine import RESULTS, describe, write_result

DOCS: Final = sources.ROOT / "docs"
_PUBLISHED: Final = (azure, mail, vaucher, damon_shared, damon_tail, vault)
#: The kernel's own second chance, which sees every touch: what it differs from the ager's view.
_KERNELS: Final = "second-chance"
_Runs = dict[Setting, tuple[list[Outcome], list[Outcome]]]


def measure() -> None:
    """Measure programs and the software EPC, and write the simulator's data files."""
    sources.write_softepc(epc_costs.measure())
    sources.write_workloads(workload_costs.measure(rounds=2))


def run_all(nr_repeats: int, nr_seeds: int) -> _Runs:
    """Run every setting live and simulated."""
    runs: _Runs = {}
    for setting in live.settings():
        print(f"live: {setting.scenario}, {setting.series}, {setting.ager}, {nr_repeats} × ...", flush=True)
        seen = [live.run(setting, seed) for seed in range(1, nr_repeats + 1)]
        runs[setting] = seen, [simulated.run(setting, seed) for seed in range(1, nr_seeds + 1)]
    return runs


def compared(runs: _Runs) -> list[Compared]:
    """Compare all of them."""
    return [row for setting, pair in runs.items() for row in agreement.compared(setting, *pair)]


def with_second_chance(runs: _Runs, nr_seeds: int) -> list[Compared]:
    """Compare the live runs with the ager ``refault`` to the kernel's second chance."""
    rows = []
    for setting, (seen, _) in runs.items():
        if setting.ager == "refault":
            made = [simulated.run(setting, seed, _KERNELS) for seed in range(1, nr_seeds + 1)]
            rows += agreement.compared(setting, seen, made)
    return [row for row in rows if row.quantity == "evictions" and not row.is_few]


def published() -> list[Case]:
    """Repeat the published experiments."""
    found = []
    for module in _PUBLISHED:
        print(f"published: {module.__name__.rpartition('.')[2]} ...", flush=True)
        found.append(module.case())
    return found


def draw(runs: _Runs, rows: list[Compared], cases: Sequence[Case]) -> None:
    """Write all plots."""
    DOCS.mkdir(exist_ok=True)
    plots.differences(rows, DOCS / "calibration-differences.svg")
    shown = {
        f"{setting.scenario}, {setting.series}": (pair[0][0], pair[1][0])
        for setting, pair in runs.items()
        if setting.series == "mainline" and setting.ager == "fifo"
    }
    plots.courses(shown, DOCS / "calibration-courses.svg")
    for case in cases:
        if case.plot:
            plots.curves(case, DOCS / f"calibration-{case.name}.svg")


def _range(values: list[float]) -> str:
    return f"{min(values):+.0%} to {max(values):+.0%}" if values else "nothing to compare"


def _chance(rows: list[Compared]) -> str:
    """How far single runs differ from each other, live and simulated."""
    spread = [(row.high - row.low) / row.simulated for row in rows if not row.is_few]
    seen = [(row.live_high - row.live_low) / row.live for row in rows if not row.is_few]
    return f"up to {max(spread):.0%} (simulated) and {max(seen):.0%} (live, of the few there are)"


def _load(path: Any) -> dict[str, Any]:  # noqa: ANN401
    return tomllib.loads(path.read_text())


def report(options: argparse.Namespace) -> None:
    """Run everything and write page, plots and results."""
    cases = published()
    print("libCacheSim ...", flush=True)
    counts = oracle.counts()
    localities, rates = locality.localities(), speed.rates()
    runs = run_all(options.repeats, options.seeds)
    rows = compared(runs)
    orders = agreement.orders(rows)
    kernels = with_second_chance(runs, options.seeds)
    draw(runs, rows, cases)
    costs, programs = _load(sources.SOFTEPC_FILE), _load(sources.WORKLOADS_FILE)
    machine = describe()
    (DOCS / "calibration.md").write_text(
        page.render(
            {
                **page.answers(rows, orders, cases, counts),
                "date": datetime.date.today().isoformat(),
                "machine": f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['memory_gib']} GiB, Linux"
                f" {machine['kernel']}, Python {machine['python']}",
                "nr_live": f"{options.repeats} runs",
                "load": str(machine["load_1min"]),
                "nr_seeds": str(options.seeds),
                "agreement_table": page.agreement_table(rows),
                "agreement_summary": page.agreement_summary(rows),
                "order_table": page.order_table(orders),
                "second_chance": _range([row.difference for row in kernels]),
                "chance": _chance(rows),
                "locality_table": page.locality_table(localities),
                "speed_table": page.speed_table(rates),
                "softepc_note": page.measured_note(costs),
                "softepc_table": page.figures_table({"": costs["costs"]}),
                "workloads_note": page.measured_note(programs),
                "workloads_table": page.figures_table(
                    {name: figures for name, figures in programs.items() if name != "measured"}
                ),
                "published_table": page.published_table(cases),
                "published_sections": "\n\n".join(page.published_section(case) for case in cases),
                "oracle_table": page.oracle_table(counts) if counts else "libCacheSim was not installed.",
            }
        )
    )
    path = write_result("calibration", _results(rows, kernels, orders, localities, rates, cases, counts))
    print(f"written: docs/calibration.md, its plots, and {path.name}")


def _results(
    rows: list[Compared],
    kernels: list[Compared],
    orders: list[agreement.Order],
    localities: list[locality.Locality],
    rates: list[speed.Rate],
    cases: Sequence[Case],
    counts: list[oracle.Count],
) -> dict[str, Any]:
    return {
        "tolerance": agreement.TOLERANCE,
        "agreeing": sum(row.agrees for row in rows),
        "compared": [row.to_json() for row in rows],
        "orders": [{"scenario": o.scenario, "pod": o.pod, "agrees": o.agrees} for o in orders],
        "kernels_second_chance_against_refault": [row.to_json() for row in kernels],
        "locality": [
            {"program": " ".join(row.words), "live": row.live, "simulated": row.simulated}
            for row in localities
        ],
        "speed": [{"program": r.program, "live": r.live, "simulated": r.simulated} for r in rates],
        "published": _published_results(cases),
        "libcachesim": [
            {
                "trace": c.trace,
                "pages": c.capacity_pages,
                "policy": c.policy,
                "ours": c.ours,
                "theirs": c.theirs,
            }
            for c in counts
        ],
    }


def _published_results(cases: Sequence[Case]) -> dict[str, Any]:
    return {
        case.name: {
            "verdict": case.verdict,
            "header": list(case.header),
            "rows": [list(row) for row in case.rows],
        }
        for case in cases
    }


def report_published() -> None:
    """Repeat the published experiments only: virtual time, so the machine does not matter."""
    cases = published()
    for case in cases:
        if case.plot:
            plots.curves(case, DOCS / f"calibration-{case.name}.svg")
    text, results = DOCS / "calibration.md", RESULTS / "calibration.json"
    text.write_text(page.with_published(text.read_text(), cases))
    figures = {**json.loads(results.read_text()), "published": _published_results(cases)}
    results.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"written: the published part of docs/{text.name}, its plots, and {results.name}")


def main() -> None:
    """Do what the options say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="only measure, and write the data files")
    parser.add_argument("--keep", action="store_true", help="do not measure: keep the data files as they are")
    parser.add_argument(
        "--published", action="store_true", help="only repeat the published experiments; all else stays"
    )
    parser.add_argument("--repeats", type=int, default=2, help="live runs of each setting")
    parser.add_argument("--seeds", type=int, default=20, help="simulated runs of each setting")
    options = parser.parse_args()
    if options.published:
        report_published()
        return
    if not options.keep:
        measure()
    if not options.measure:
        report(options)


if __name__ == "__main__":
    main()
