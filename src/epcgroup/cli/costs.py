"""``epcg costs``: what things cost in virtual time, figure by figure, and who says so."""

import json
import textwrap

import click

from epcgroup.cli.exits import Exit
from epcgroup.cli.options import json_option
from epcgroup.sim.costs import Costs, Figure, find, names

_WIDTH = 100
_INDENT = " " * 14


@click.command(short_help="Print the cost models of the simulator, with sources.")
@click.argument("model", required=False, metavar="[MODEL]")
@json_option
def costs(model: str | None, as_json: bool) -> int:
    """Print every figure of a cost model (default: of all) with unit, certainty and source.

    A figure is used as it stands, or replaced for one run: epcg sim FILE --cost load=9000.
    """
    models = [find(name) for name in ([model] if model else names())]
    if as_json:
        click.echo(json.dumps({"models": [_document(each) for each in models]}, indent=2))
    else:
        click.echo("\n".join(_text(each) for each in models), nl=False)
    return int(Exit.OK)


def _document(model: Costs) -> dict[str, object]:
    return {
        "name": model.name,
        "title": model.title,
        "ghz": model.ghz,
        "serial": model.serial,
        "on_demand": model.on_demand,
        "measured_on": model.measured_on,
        "costs": [
            {
                "name": figure.key,
                "meaning": figure.meaning,
                "value": figure.value,
                "unit": figure.unit,
                "ns": None if figure.overcommit else model.ps(figure.key) / 1000,
                "certainty": figure.certainty,
                "source": figure.source,
            }
            for figure in model.figures
        ],
    }


def _text(model: Costs) -> str:
    server = "one server for all faults" if model.serial else "every program serves its own faults"
    pages = "pages on demand" if model.on_demand else "all pages before it is initialised"
    head = f"{model.name}: {model.title}\n  {server}, {pages}\n"
    if model.measured_on:
        head += f"  measured on {model.measured_on}\n"
    return head + "".join(_lines(model, figure) for figure in model.figures)


def _lines(model: Costs, figure: Figure) -> str:
    """Return a figure: name, value, time, certainty, meaning; below them the source."""
    if figure.overcommit:
        value, time = f"{figure.value:.3f} {figure.unit}", ""
    else:
        value = "" if figure.unit == "ns" else f"{figure.value:,.0f} {figure.unit}"
        time = f"{model.ps(figure.key) / 1000:,.0f} ns"
    head = f"  {figure.key:<12}{value:>14}{time:>13}  {figure.certainty:<9}  {figure.meaning}"
    source = textwrap.fill(figure.source, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return f"{head}\n{source}\n"
