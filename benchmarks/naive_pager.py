"""The negative control of the soak: the real pager with a method that reads a page before it takes it away.

What is written between the read and the punch is lost. Never used by the product; it shows that the soak can
see a lost update at all.
"""

import json
import os
import sys

from epcgroup.abi import memory
from epcgroup.pager import code_store, options, warmup
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.evict import Runs, SpliceEvictor
from epcgroup.pager.pager import Pager
from epcgroup.units import PAGE_SHIFT


class NaiveEvictor(SpliceEvictor):
    """Copy, then drop."""

    name = "naive"

    def take(self, enclave: Enclave, runs: Runs, into: memoryview) -> None:
        """Read all runs, then punch them out of the file."""
        at = 0
        for first, count in runs:
            length = count << PAGE_SHIFT
            os.preadv(enclave.file, (into[at : at + length],), first << PAGE_SHIFT)
            at += length
        for first, count in runs:
            memory.punch_hole(enclave.file, first << PAGE_SHIFT, count << PAGE_SHIFT)


def main() -> None:
    """Serve as ``python -m epcgroup.pager`` does."""
    code_store.choose()
    chosen = options.parse()
    warmup.warm(chosen.series)
    pager = Pager(chosen, NaiveEvictor)
    print(json.dumps({"ready": True, "pid": os.getpid(), **pager.describe()}), flush=True)
    pager.run()


if __name__ == "__main__":
    sys.exit(main())
