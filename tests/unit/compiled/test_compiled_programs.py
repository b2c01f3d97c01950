"""How rules are compiled: once each, and nothing is read that another version stored."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

#: Compiles what a machine needs from nothing; prints every function that was compiled in more than one form.
_PROGRAM = """
import sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from epcgroup.engine.epc import Epc

epc = Epc.create(96, nr_groups=8, nr_enclaves=4, nr_enclave_pages=1024)
group = epc.mkdir("/a")
epc.write("/a", "misc.max", "sgx_epc 98304")
_, enclave = epc.enclave_create(group, 640)
epc.enclave_init(enclave)
epc.run(np.arange(64, dtype=np.uint32), [(enclave, group)])
epc.fault(enclave, 99, group)
compiled = 0
for module in [each for name, each in sys.modules.items() if name.startswith("epcgroup.engine")]:
    for name, value in vars(module).items():
        if isinstance(value, Dispatcher) and hasattr(value, "fragment"):
            compiled += len(value.fragment.signatures) > 0
            if max(len(value.fragment.signatures), len(value.signatures)) > 1:
                print(value.py_func.__module__, name, value.fragment.signatures)
assert compiled > 90, compiled
"""


def _play(cache: Path, program: str) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_every_rule_is_compiled_in_one_form(tmp_path: Path) -> None:
    assert _play(tmp_path, _PROGRAM) == ""


@pytest.mark.timeout(300)
def test_what_another_version_stored_is_not_even_read(tmp_path: Path) -> None:
    """Its types may be gone: reading the index would fail."""
    program = "from epcgroup.engine.epc import Epc; print(Epc.create(64).nr_free)"
    assert _play(tmp_path, program) == "64\n"
    indexes = list(tmp_path.rglob("*.nbi"))
    assert indexes
    for index in indexes:
        index.write_bytes(pickle.dumps("another version") + b"not a pickle")
    assert _play(tmp_path, program) == "64\n"
