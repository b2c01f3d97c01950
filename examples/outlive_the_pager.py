"""A program that finds out about the death of its pager and ends in its own way.

By default such a program is ended by SIGIO at once, with a report on standard error. With
``on_pager_death="raise"`` it lives on: ``check`` raises, pages that are there can still be read, and a
touch of any other is SIGBUS. A second, small process watches on its behalf.
"""

import sys
import time

from epcgroup.client import Enclave
from epcgroup.errors import PagerDiedError

WORK_SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3600

with Enclave("1Mi", on_pager_death="raise") as enclave:
    enclave.memory[0] = 1
    print("working", flush=True)
    deadline = time.monotonic() + WORK_SECONDS
    try:
        while time.monotonic() < deadline:
            enclave.check()
            enclave.memory[0] = (enclave.memory[0] + 1) % 256
            time.sleep(0.01)
        print("done")
    except PagerDiedError as error:
        print(f"stopped: {error}")
