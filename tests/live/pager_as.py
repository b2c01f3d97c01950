"""A pager as another user: ``pager_as.py UID OPTIONS...``. Drops to the user after loading its code.

The interpreter of a test may live where the other user cannot read.
"""

import os
import sys

from epcgroup.pager import __main__, pager, warmup

if __name__ == "__main__":
    assert {pager, warmup} <= set(sys.modules.values())
    user = int(sys.argv.pop(1))
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    sys.exit(__main__.main())
