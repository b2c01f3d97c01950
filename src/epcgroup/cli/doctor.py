"""``epcg doctor``: what this host has, what each thing enables, and how to get what is missing."""

import json
from typing import TYPE_CHECKING

import click

from epcgroup.cli.exits import Exit
from epcgroup.cli.options import json_option

if TYPE_CHECKING:
    from epcgroup.node.host import Capability

_MARKS = {True: ("✔", "green"), False: ("✘", "red"), None: ("–", "yellow")}


@click.command(short_help="Say what this host has and how to get the rest.")
@click.option("--brief", is_flag=True, help="One line.")
@json_option
def doctor(brief: bool, as_json: bool) -> int:
    """Say what this host has: userfaultfd, FUSE, cgroups, SGX ... and how to get what is missing.

    The exit code is 1 if pods cannot be run here.
    """
    from epcgroup.node.host import capabilities

    found = capabilities()
    able = all(capability.ok for capability in found if capability.needed)
    if as_json:
        print(json.dumps({"able": able, "capabilities": [capability.to_json() for capability in found]}))
    elif brief:
        _print_brief(found, able)
    else:
        _print_table(found, able)
    return int(Exit.OK if able else Exit.FINDINGS)


def _conclusion(able: bool) -> str:
    return "pods can be run here" if able else "pods cannot be run here"


def _print_brief(found: list["Capability"], able: bool) -> None:
    lost = [f"{item.name} ({item.found})" for item in found if not item.ok]
    print(f"{_conclusion(able)}; missing: {', '.join(lost) if lost else 'nothing'}")


def _print_table(found: list["Capability"], able: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", "WHAT", "FOUND", "ENABLES"):
        table.add_column(title, overflow="fold")
    for item in found:
        mark, style = _MARKS[item.ok]
        seen = Text(item.found)
        if item.how:
            seen.append(f"\n→ {item.how}", style="dim")
        table.add_row(Text(mark, style=style), item.name, seen, item.enables)
    console = Console()
    console.print(table)
    console.print(_conclusion(able) + (": epcg compare examples/noisy-neighbour.yaml" if able else ""))
