"""The file server: ``python -m epcgroup.cgroupfs --socket PATH MOUNTPOINT`` mounts the tree of a pager.

Prints one line, ``ready``, on standard output when the mount answers; ends with SIGTERM, or with its pager. A
process of its own: a slow reader never delays a fault, and a ``cat`` never waits for the pager.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from epcgroup.abi.protocol import SOCKET_VARIABLE
from epcgroup.cgroupfs.fuse import serve
from epcgroup.cgroupfs.pagertree import PagerTree
from epcgroup.errors import EpcError


def main(arguments: Sequence[str] | None = None) -> int:
    """Mount and serve; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="cgroupfs: %(message)s")
    try:
        with PagerTree(options.socket) as tree:
            serve(tree, options.mountpoint, _say_ready)
    except EpcError as error:
        print(f"cgroupfs: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m epcgroup.cgroupfs", description="Serve the groups of a pager as a file system (FUSE)."
    )
    parser.add_argument(
        "--socket",
        default=os.environ.get(SOCKET_VARIABLE),
        required=SOCKET_VARIABLE not in os.environ,
        help=f"socket of the pager (default: ${SOCKET_VARIABLE})",
    )
    parser.add_argument("mountpoint", help="an empty directory")
    return parser


def _say_ready() -> None:
    print("ready", flush=True)


if __name__ == "__main__":
    sys.exit(main())
