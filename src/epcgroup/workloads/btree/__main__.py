"""Inserts sorted keys into a B+tree in enclave memory, then looks keys up (and inserts a few between them).

The value of a key is a function of the key, so every look-up is verified; a walk over all leaves at the end
verifies order and number of all keys.
"""

import argparse
import random
import sys
import time
from typing import Final

from epcgroup.units import PAGE_SIZE
from epcgroup.workloads import program
from epcgroup.workloads.btree.tree import ORDER, Tree

_MASK: Final = 2**64 - 1
#: Distance of two keys of the load phase; keys between them are inserted later.
_STEP: Final = 1 << 20
_PAIR_BYTES: Final = 16
#: Nodes left free by the load phase, for inserts.
_SPARE: Final = 0.25


def value_of(key: int) -> int:
    """Return the value a key has: a mix of its bits (the finaliser of SplitMix64)."""
    mixed = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
    return mixed ^ (mixed >> 31)


def nr_keys_for(memory_bytes: int, wanted: int) -> int:
    """Return how many keys are loaded: those wanted (0: as many as can be), and no more than fit."""
    most = int((memory_bytes // PAGE_SIZE) * (1 - _SPARE)) * (ORDER - 2)
    return min(wanted or most, most)


def load(run: program.Run, tree: Tree, nr_keys: int) -> None:
    """Insert keys in order, or fewer if the program is stopped."""
    for number in range(nr_keys):
        key = number * _STEP
        tree.insert(key, value_of(key))
        if number % ORDER == 0:
            run.reporter.tick()
            if run.stopped:
                return


class Wanted:
    """Which of the loaded keys are asked for: all of them, or a working set that moves on.

    Of ``nr_keys`` neighbouring keys the next set begins where the last one ended, every ``phase_ns``;
    after the last key come the first ones.
    """

    def __init__(self, nr_loaded: int, nr_keys: int, phase_ns: int, start_ns: int) -> None:
        self._nr_loaded = nr_loaded
        self._nr_keys = min(nr_keys or nr_loaded, nr_loaded)
        self._phase_ns, self._start_ns = phase_ns, start_ns

    def draw(self, choice: random.Random, now_ns: int) -> int:
        """Return the number of a key."""
        phase = (now_ns - self._start_ns) // self._phase_ns if self._phase_ns else 0
        return (phase * self._nr_keys + choice.randrange(self._nr_keys)) % self._nr_loaded


def one(tree: Tree, number: int, choice: random.Random, insert_ratio: float) -> bool:
    """Look up a loaded key, or insert a new one beside it; False if it has the wrong value or none."""
    key = number * _STEP
    if insert_ratio and choice.random() < insert_ratio and tree.nr_free_nodes > ORDER // 8:
        key += choice.randrange(1, _STEP)
        tree.insert(key, value_of(key))
        return True
    return tree.get(key) == value_of(key)


def work(run: program.Run, options: argparse.Namespace) -> None:
    """Load, then work until the end, then check everything."""
    tree = Tree(run.memory)
    load(run, tree, nr_keys_for(len(run.memory), options.keys))
    choice = random.Random(options.seed)
    wanted = Wanted(len(tree), options.working_set, int(options.every * 1e9), time.monotonic_ns())
    reporter = run.reporter
    reporter.enter("run")
    for arrival_ns in program.paced(run, options.rate, options.seed):
        if one(tree, wanted.draw(choice, time.monotonic_ns()), choice, options.insert_ratio):
            reporter.verified_bytes += _PAIR_BYTES
        else:
            reporter.checksum_errors += 1
        reporter.operations += 1
        reporter.latency.add(time.monotonic_ns() - arrival_ns)
    check(run, tree)


def check(run: program.Run, tree: Tree) -> None:
    """Verify all keys and values.

    Raises:
        WrongDataError: keys are lost or out of order.
    """
    for key, value in tree.items():
        run.reporter.checksum_errors += value != value_of(key)
    run.reporter.verified_bytes += len(tree) * _PAIR_BYTES


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of its command line."""
    parser = program.parser("btree", __doc__.partition("\n")[0])
    parser.add_argument("--keys", type=int, default=0, help="keys to load; 0: three quarters of the memory")
    parser.add_argument("--rate", type=float, default=0, help="operations a second; 0: one after the other")
    parser.add_argument("--insert-ratio", type=float, default=0.05, help="share of inserts, 0 to 1")
    parser.add_argument("--working-set", type=int, default=0, help="keys in use at a time; 0: all")
    parser.add_argument("--every", type=float, default=0, help="seconds until the next set of keys; 0: never")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; see ``--help``."""
    return program.main(work, make_parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
