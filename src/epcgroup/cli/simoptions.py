"""Options that the simulating sub-commands share, how their texts become values; progress on long runs."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from epcgroup.errors import InvalidSizeError, UsageError

if TYPE_CHECKING:
    from epcgroup.node.simulate import SimOptions

#: Series the simulator knows: all of the engine.
SIM_SERIES: Final = ("fair", "v17", "v2", "mainline")
#: Shorter runs say nothing about how far they are.
_QUIET_S: Final = 1.0
_LINE_EVERY_S: Final = 2.0

costs_option = click.option(
    "--costs", default="sgx2", show_default=True, metavar="MODEL", help="What things cost; see: epcg costs."
)
cost_option = click.option(
    "--cost", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one cost; may be repeated."
)
cpus_option = click.option(
    "--cpus", "nr_cpus", type=click.IntRange(0, 1024), default=0, show_default=True, metavar="N",
    help="Processors; 0: one for every program.",
)  # fmt: skip
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N",
    help="Of every random choice.",
)  # fmt: skip

Item = TypeVar("Item")
Command = TypeVar("Command", bound=Callable[..., Any])


def comparing_options(command: Command) -> Command:
    """Give a command the options of a comparison in virtual time."""
    options = (
        click.option("--simulate", is_flag=True, help="In virtual time: no program runs."),
        click.option("--series", default=None, metavar="LIST", help="Behaviours, for example mainline,fair."),
        click.option("--policy", default=None, metavar="LIST", help="Who is evicted, for example lru,2q."),
        click.option("--epc", default=None, metavar="LIST", help="EPC of the node, for example 64Mi,96Mi."),
        click.option(
            "--limits", default=None, metavar="LIST", help="Limits: the claims times 1,0.5 ... or none."
        ),
        click.option("--reps", type=click.IntRange(1, 10_000), default=None, metavar="N",
                     help="Repetitions with different seeds."),
        click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N",
                     help="Simulations at a time."),
        costs_option, cost_option, cpus_option, seed_option,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def parse_overrides(texts: tuple[str, ...]) -> dict[str, float]:
    """Return cost → value of ``--cost KEY=VALUE`` texts.

    Raises:
        UsageError: not of that form; whether there is such a cost, the model knows.
    """
    overrides = {}
    for text in texts:
        key, equals, value = text.partition("=")
        try:
            if not (key and equals):
                raise ValueError
            overrides[key.strip()] = float(value)
        except ValueError as error:
            raise UsageError(
                f"--cost {text!r}: expected KEY=NUMBER, for example --cost eldu=9000; see: epcg costs"
            ) from error
    return overrides


def epc_bytes(option: str, text: str) -> int:
    """Return the bytes of a size of EPC, whole pages.

    Raises:
        UsageError: no size, or too little to run anything.
    """
    from epcgroup.abi.protocol import LEAST_EPC_BYTES
    from epcgroup.units import PAGE_SIZE, format_size, parse_size

    try:
        size = parse_size(text)
    except InvalidSizeError as error:
        raise UsageError(f"{option}: {error}") from error
    if size < LEAST_EPC_BYTES:
        raise UsageError(f"{option} must be at least {format_size(LEAST_EPC_BYTES)}")
    return size // PAGE_SIZE * PAGE_SIZE


def listed(option: str, text: str, read: Callable[[str], Item]) -> tuple[Item, ...]:
    """Return the values of a list such as ``fair,v17``.

    Raises:
        UsageError: an item is empty or stands twice.
    """
    words = [word.strip() for word in text.split(",")]
    if "" in words or len(set(words)) != len(words):
        raise UsageError(f"{option} {text!r}: expected different values with commas between them")
    return tuple(read(word) for word in words)


def sim_options(
    duration_ns: int, *, costs: str, overrides: tuple[str, ...], nr_cpus: int, seed: int,
    series: str = "fair", policy: str = "second-chance", epc: str | None = None,
) -> "SimOptions":  # fmt: skip
    """Return how to simulate, from the texts of options."""
    from epcgroup.node.simulate import SimOptions

    return SimOptions(
        duration_ns, series, policy, costs, parse_overrides(overrides),
        None if epc is None else epc_bytes("--epc", epc), nr_cpus=nr_cpus, seed=seed,
    )  # fmt: skip


class SimProgress:
    """Says on standard error how far a long simulation is, and gives it up when somebody wants to stop."""

    def __init__(self, title: str, duration_ns: int, stop: Callable[[], bool]) -> None:
        self._title = title
        self._duration_ns = duration_ns
        self._stop = stop
        self._start_s = time.monotonic()
        self._next_s = self._start_s + _QUIET_S

    def __call__(self, reached_ns: int) -> None:
        """Take note of the virtual time reached.

        Raises:
            KeyboardInterrupt: somebody wants to stop.
        """
        if self._stop():
            raise KeyboardInterrupt
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + _LINE_EVERY_S
            self._say(reached_ns, now_s - self._start_s)

    def _say(self, reached_ns: int, real_s: float) -> None:
        share = reached_ns / self._duration_ns
        left = f", {real_s * (1 - share) / share:.0f} s left" if share > 0 else ""
        print(
            f"{self._title}: {reached_ns / 1e9:.1f} of {self._duration_ns / 1e9:g} s"
            f" ({share:.0%}){left}",
            file=sys.stderr,
            flush=True,
        )  # fmt: skip
