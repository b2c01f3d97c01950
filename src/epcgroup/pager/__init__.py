"""The software EPC: a process that serves page faults of real programs and enforces the limits."""
