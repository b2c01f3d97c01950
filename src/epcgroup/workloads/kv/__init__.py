"""A key-value store in enclave memory that speaks memcached's text protocol, and a load generator for it.

``python -m epcgroup.workloads.kv --help``.
"""
