"""``epcg conformance``: does the engine behave as the kernel's code did when the traces were recorded?"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from epcgroup.cli.exits import Exit
from epcgroup.errors import UsageError

if TYPE_CHECKING:
    from epcgroup.conformance.difference import Difference

_SERIES = ("mainline", "v2", "v17", "fair")


@click.command(short_help="Replay traces of the kernel's code and compare.")
@click.option("--series", type=click.Choice(_SERIES), default="v17", show_default=True, help="Behaviour.")
@click.option("--ignore", default="", metavar="FIELD[,FIELD]", help="Leave fields out of the comparison.")
@click.option("--generate", nargs=2, type=int, metavar="SEED NOPS", help="Print a random script instead.")
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
def conformance(series: str, ignore: str, generate: tuple[int, int] | None, folder: Path | None) -> int:
    """Replay every *.script of DIR and compare with the *.out beside it, as TAP.

    Without DIR: read one script from standard input and print its trace.
    """
    if generate is not None:
        from epcgroup.conformance.generate import random_script

        print(random_script(*generate), end="")
        return int(Exit.OK)
    from epcgroup.cli.compiling import say_when_compiling

    say_when_compiling()
    if folder is None:
        from epcgroup.conformance.replay import trace

        for line in trace(sys.stdin.read(), series):
            print(line)
        return int(Exit.OK)
    return _compare_folder(folder, series, [field for field in ignore.split(",") if field])


def _compare_folder(folder: Path, series: str, ignore: list[str]) -> int:
    from epcgroup.conformance.difference import first_difference
    from epcgroup.conformance.replay import replay

    scripts = sorted(path for path in folder.iterdir() if path.suffix == ".script")
    if not scripts:
        raise UsageError(f"{folder}: no *.script in it; a trace is NAME.script with NAME.out beside it")
    print(f"TAP version 13\n1..{len(scripts)}")
    begin, failed = time.monotonic(), 0
    for number, script in enumerate(scripts, start=1):
        expected = script.with_suffix(".out").read_text()
        difference = first_difference(expected, replay(script.read_text(), series), ignore)
        failed += difference is not None
        print(f"{'not ok' if difference else 'ok'} {number} - {series} {script.stem}", flush=True)
        if difference is not None:
            _print_difference(difference)
    print(
        f"# {len(scripts) - failed} of {len(scripts)} agree, {time.monotonic() - begin:.1f} s",
        file=sys.stderr,
    )
    return int(Exit.FINDINGS if failed else Exit.OK)


def _print_difference(difference: "Difference") -> None:
    def shown(line: str | None) -> str:
        return "(the trace has ended)" if line is None else line

    print("  ---")
    print(f"  line: {difference.line}")
    print(f"  operation: {difference.operation!r}")
    print(f"  expected: {shown(difference.expected)!r}")
    print(f"  got: {shown(difference.got)!r}")
    print("  ...")
