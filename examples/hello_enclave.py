"""Take a mebibyte of enclave memory, use it like a buffer, give it back.

Needs a pager: run it inside `epcg run`, or set EPCG_SOCKET to the socket of one that you started with
`python -m epcgroup.pager --socket /run/user/$UID/epc.sock --epc 64Mi`.
"""

from epcgroup.client import Enclave

with Enclave("1Mi") as enclave:
    memory = enclave.memory  # a writable memoryview; fresh memory reads 0
    assert bytes(memory[:5]) == b"\0\0\0\0\0"
    memory[4096:4101] = b"hello"  # the first touch of a page charges it to the group of this process
    print(f"enclave {enclave.number}: {enclave.pages} pages, page 1 says {bytes(memory[4096:4101]).decode()}")
    if enclave.note:
        print(f"note: {enclave.note}")
