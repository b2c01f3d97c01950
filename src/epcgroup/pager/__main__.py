"""``python -m epcgroup.pager``: start a pager; one JSON line on standard output says that it serves."""

import json
import os
import resource
import sys
from typing import TYPE_CHECKING, Final

from epcgroup.abi import memory
from epcgroup.errors import EpcError
from epcgroup.pager import code_store

if TYPE_CHECKING:
    from epcgroup.pager.warmup import Compilations

#: Set when the process was started anew with the compiled code in store.
_WARMED: Final = "EPCG_PAGER_WARMED"
_COMPILING: Final = "epcgroup.pager: compiling the engine, once for this version (about half a minute)"
#: NumPy's linear algebra starts a thread for every CPU unless told not to; a pager has one thread.
_THREADS: Final = "OPENBLAS_NUM_THREADS"


def _warm(series: str) -> "Compilations":
    """Have all code ready; a process that had to compile is replaced by one that need not."""
    from epcgroup.pager import warmup

    compilations = warmup.Compilations(lambda: print(_COMPILING, file=sys.stderr, flush=True))
    warmup.warm(series)
    if compilations.nr and not os.environ.get(_WARMED):
        os.environ[_WARMED] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "epcgroup.pager", *sys.argv[1:]])
    os.environ.pop(_WARMED, None)
    compilations.nr = 0
    return compilations


def _raise_descriptor_limit() -> None:
    """Every enclave needs four descriptors."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Serve until told to end; returns the exit code."""
    os.environ[_THREADS] = "1"  # before anything loads NumPy
    code_store.choose()
    from epcgroup.pager import options
    from epcgroup.pager.pager import Pager

    chosen = options.parse()
    try:
        compilations = _warm(chosen.series)
        _raise_descriptor_limit()
        memory.set_dumpable(False)
        pager = Pager(chosen)
        pager.compilations = compilations
    except EpcError as error:
        print(f"epcgroup.pager: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"ready": True, "pid": os.getpid(), **pager.describe()}), flush=True)
    pager.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
