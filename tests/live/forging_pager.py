"""A pager whose sealed pages can be tampered with by order, as an attacker who owns its memory store could.

Everything else is the real pager. Control operation ``forge``: ``how`` is one of evicted, flip, swap, save,
replay, truncate.
"""

import json
import os
from typing import Any

from epcgroup.abi.peer import Peer
from epcgroup.pager import options, warmup
from epcgroup.pager.enclave import State
from epcgroup.pager.pager import Pager


class ForgingPager(Pager):
    saved: bytes = b""

    def control(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("op") != "forge":
            return super().control(peer, request)
        enclave = next(iter(self.enclaves.values()))
        evicted = [page for page, state in enumerate(enclave.state) if state == State.EVICTED]
        record = enclave.slab.record(int(request.get("page", evicted[0])))
        match request["how"]:
            case "flip":
                record[100] ^= 1
            case "swap":
                other = enclave.slab.record(int(request["other"]))
                record[:], other[:] = bytes(other), bytes(record)
            case "save":
                self.saved = bytes(record)
            case "replay":
                record[:] = self.saved
            case "truncate":
                record[2048:] = bytes(len(record) - 2048)
        return {"evicted": evicted}


def main() -> None:
    chosen = options.parse()
    warmup.warm(chosen.series)
    pager = ForgingPager(chosen)
    print(json.dumps({"ready": True, "pid": os.getpid(), **pager.describe()}), flush=True)
    pager.run()


if __name__ == "__main__":
    main()
