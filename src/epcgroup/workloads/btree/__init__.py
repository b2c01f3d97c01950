"""A B+tree in enclave memory: sorted inserts, then look-ups.

``python -m epcgroup.workloads.btree --help``.
"""
