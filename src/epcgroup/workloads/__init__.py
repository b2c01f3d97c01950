"""Small real programs whose data lives in enclave memory. They import only ``epcgroup.client``.

``python -m epcgroup.workloads.NAME --help`` for each: ``kv`` (store with a network protocol and a load
generator), ``btree`` (sorted inserts and look-ups), ``scan`` (grows and sweeps), ``matmul`` (weights used per
request). Every byte read is verified; wrong data ends the program with exit code 65.
"""
