"""NumPy arrays over enclave memory: no copies, pages come and go underneath.

Several arrays may share one enclave at different offsets. Let go of them before the enclave is closed: a
touch afterwards is a crash, never other data.
"""

from epcgroup.client import Enclave

ROWS, COLUMNS = 512, 1024

with Enclave("8Mi") as enclave:
    weights = enclave.array("float32", (ROWS, COLUMNS))
    bias = enclave.array("float32", ROWS, offset=weights.nbytes)
    weights[:] = 0.5
    bias[:] = 1
    result = weights.sum(axis=1) + bias
    assert (result == COLUMNS * 0.5 + 1).all()
    print(f"{weights.nbytes + bias.nbytes} bytes of weights in enclave {enclave.number}: {result[0]:.0f}")
    del weights, bias
