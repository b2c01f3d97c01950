"""Inference: weight matrices in enclave memory, all of them multiplied with the input of each request.

Weights and inputs are small whole numbers, so that every sum is exact in float32 whatever the order of
additions, and the result of a request can be compared bit by bit with the one computed when the weights
were made.
"""

import argparse
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from epcgroup.errors import UsageError
from epcgroup.workloads import program

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEIGHT_BYTES: Final = 4
#: Activations are kept in 0..15: a sum of 2**20 products stays below 2**24, the last exact float32.
_ACTIVATIONS: Final = 16
#: Different requests, each with a known result.
_NR_INPUTS: Final = 8


class Network:
    """Layers of ``width`` × ``width`` float32 weights in a buffer, and the known results of some inputs.

    Attributes:
        weights: float32, shape (layers, width, width), a view of the buffer.
        inputs, results: float32, shape (8, width), ordinary memory.
    """

    def __init__(self, memory: memoryview, width: int, seed: int) -> None:
        """Fill the buffer with as many layers as fit.

        Raises:
            UsageError: not one layer fits.
        """
        import numpy as np

        layer_bytes = width * width * _WEIGHT_BYTES
        nr_layers = len(memory) // layer_bytes
        if not nr_layers:
            raise UsageError(f"a layer of width {width} has {layer_bytes} bytes, there are {len(memory)}")
        flat = np.frombuffer(memory[: nr_layers * layer_bytes], dtype=np.float32)
        self.weights: NDArray[Any] = flat.reshape(nr_layers, width, width)
        generator = np.random.default_rng(seed)
        self.inputs: NDArray[Any] = generator.integers(0, _ACTIVATIONS, (_NR_INPUTS, width)).astype("f4")
        state = self.inputs
        for layer in self.weights:
            made = generator.integers(-1, 2, (width, width)).astype(np.float32)
            layer[:] = made
            # From the original, not from the copy in the buffer: that is what is to be verified.
            state = np.mod(state @ made.T, np.float32(_ACTIVATIONS))
        self.results: NDArray[Any] = state

    def answer(self, number: int) -> bool:
        """Run input ``number`` through all layers; False if the result is not the known one."""
        import numpy as np

        state = self.inputs[number]
        with np.errstate(all="ignore"):  # damaged weights may be infinite; the comparison will tell
            for layer in self.weights:
                state = np.mod(layer @ state, np.float32(_ACTIVATIONS))
        return bool((state == self.results[number]).all())


def work(run: program.Run, options: argparse.Namespace) -> None:
    """Answer requests until the end."""
    network = Network(run.memory, options.width, options.seed)
    choice = random.Random(options.seed)
    reporter = run.reporter
    reporter.enter("run")
    for arrival_ns in program.paced(run, options.rate, options.seed):
        if network.answer(choice.randrange(_NR_INPUTS)):
            reporter.verified_bytes += network.weights.nbytes
        else:
            reporter.checksum_errors += 1
        reporter.operations += 1
        reporter.latency.add(time.monotonic_ns() - arrival_ns)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of its command line."""
    parser = program.parser("matmul", __doc__.partition("\n")[0])
    parser.add_argument("--width", type=int, default=512, help="rows and columns of a layer (1 MiB at 512)")
    parser.add_argument("--rate", type=float, default=0, help="requests a second; 0: one after the other")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; see ``--help``."""
    options = make_parser().parse_args(arguments)
    # One thread, as an enclave has: before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return program.main(work, options)


if __name__ == "__main__":
    sys.exit(main())
