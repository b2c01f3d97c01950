"""A program whose operations/s and latency are shown by `epcg run`: it appends reports to $EPCG_STATS."""

import time

from epcgroup.client import Enclave, Reporter

with Enclave("2Mi") as enclave:
    reporter = Reporter()
    memory = enclave.memory
    reporter.enter("run")
    for turn in range(2000):
        start_ns = time.monotonic_ns()
        page = turn % enclave.pages
        expected = turn // enclave.pages
        if memory[page * 4096] != expected:
            reporter.checksum_errors += 1
        memory[page * 4096] = expected + 1
        reporter.verified_bytes += 1
        reporter.operations += 1
        reporter.latency.add(time.monotonic_ns() - start_ns)
        reporter.tick()
    reporter.close()
    print(f"{reporter.operations} operations, p99 {reporter.latency.percentile(99)} ns")
    raise SystemExit(1 if reporter.checksum_errors else 0)
