"""What ``epcg sweep`` and ``epcg fleet`` share: where simulations run, and a bar of how far they are."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from epcgroup.plan.pool import Pool

threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    default=None,
    metavar="N",
    help="Simulate N at once (default: all CPUs).",
)
dask_option = click.option(
    "--dask",
    "address",
    default=None,
    metavar="ADDRESS",
    help="Simulate on the Dask cluster of this scheduler.",
)


def pool(nr_threads: int | None, address: str | None) -> AbstractContextManager["Pool"]:
    """Give where to simulate: a Dask cluster if there is an address, else threads."""
    from epcgroup.cli.compiling import say_when_compiling
    from epcgroup.plan.pool import dask, nr_cpus, threads

    if address is not None:
        return dask(address)
    say_when_compiling()
    return threads(nr_threads or nr_cpus())


@contextmanager
def progress_bar(title: str, nr_all: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; gives what is told how many are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=nr_all)
        yield lambda nr_done: progress.update(task, completed=nr_done)
