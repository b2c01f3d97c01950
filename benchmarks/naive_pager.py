"""The negative control of the soak: the real pager with a method that reads a page before it takes it away.

What is written between the read and the punch is lost. Never used by the product; it shows that the soak can
see a lost update at all.
"""

import json
import os
import sys

from epcgroup.abi import memory
from epcgroup.pager import code_store, options, warmup
from epcgroup.pager.buffer import Buffer
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.evict import SpliceEvictor
from epcgroup.pager.pager import Pager
from epcgroup.pager.pages import Pages
from epcgroup.units import PAGE_SHIFT, PAGE_SIZE


class NaiveEvictor(SpliceEvictor):
    """Copy, then drop."""

    name = "naive"

    def take(self, enclave: Enclave, pages: Pages, into: Buffer) -> None:
        """Read all pages, then punch them out of the file."""
        numbers = pages.tolist()
        for page, plain in zip(numbers, into.pages, strict=False):
            os.preadv(enclave.file, (plain,), page << PAGE_SHIFT)
        for page in numbers:
            memory.punch_hole(enclave.file, page << PAGE_SHIFT, PAGE_SIZE)


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
