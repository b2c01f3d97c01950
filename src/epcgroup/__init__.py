"""epcgroup: cgroup limits for SGX EPC memory, in user space."""

__version__ = "0.1.0"
