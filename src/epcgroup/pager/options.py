"""How a pager is started: the options, their defaults and what they mean."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from epcgroup.abi.protocol import LEAST_EPC_BYTES
from epcgroup.errors import InvalidSizeError
from epcgroup.state.series import SERIES
from epcgroup.units import PAGE_SIZE, format_size, parse_size


@dataclass(frozen=True, slots=True)
class Options:
    """All a pager is told; sizes in bytes."""

    socket: str
    epc_bytes: int
    series: str = "fair"
    ager: str = "refault"
    evict: str = "auto"
    backing: str = "auto"
    #: None: four times the EPC.
    store_bytes: int | None = None
    state: str | None = None
    log: str | None = None
    #: Users beside root and the pager's own that may have enclaves.
    allow_uid: tuple[int, ...] = ()
    #: None: by the number of CPUs.
    spin_us: int | None = None
    handshake_seconds: float = 5.0
    nr_groups: int = 1024
    nr_enclaves: int = 1024

    @property
    def nr_epc_pages(self) -> int:
        """Size of the EPC in whole pages."""
        return self.epc_bytes // PAGE_SIZE


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except InvalidSizeError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _epc_size(text: str) -> int:
    size = _size(text)
    if size < LEAST_EPC_BYTES:
        raise argparse.ArgumentTypeError(f"{text} is too small: at least {format_size(LEAST_EPC_BYTES)}")
    return size


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m epcgroup.pager",
        description="Serve enclave memory to programs out of one fixed software EPC, with limits by group.",
    )
    add = parser.add_argument
    add("--socket", required=True, metavar="PATH", help="unix socket to listen at")
    add("--epc", required=True, type=_epc_size, metavar="SIZE", dest="epc_bytes", help="EPC size, e.g. 96Mi")
    add("--series", default="fair", choices=sorted(SERIES.keys() - {"v2"}), help="behaviour (default: fair)")
    add("--ager", default="refault", choices=("refault", "fifo"), help="who is old (default: refault)")
    add(
        "--evict",
        default="auto",
        choices=("auto", "splice", "wp"),
        help="how pages are taken (default: auto)",
    )
    add("--backing", default="auto", choices=("auto", "tmpfs", "memfd"), help="where plain pages are")
    add("--store-bytes", type=_size, metavar="SIZE", help="room for sealed pages (default: 4 x EPC)")
    add("--state", metavar="PATH", help="shared state file (default: one in /dev/shm)")
    add("--log", metavar="PATH", help="append the log to a file (default: standard error)")
    add("--allow-uid", type=int, action="append", default=[], metavar="UID", help="let another user in")
    add("--spin-us", type=int, metavar="N", help="microseconds to spin for the next fault (default: by CPUs)")
    add("--handshake-seconds", type=float, default=5.0, metavar="S", help="time a client has to connect")
    add("--nr-groups", type=int, default=1024, metavar="N", help="groups at most")
    add("--nr-enclaves", type=int, default=1024, metavar="N", help="enclaves at most")
    return parser


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Return the options of a command line; ends the program with a message if they are wrong."""
    values = vars(_parser().parse_args(arguments))
    values["allow_uid"] = tuple(values["allow_uid"])
    return Options(**values)
