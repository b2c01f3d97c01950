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
from epcgroup.compiled.rule import Rule
from epcgroup.face.epc import Epc

epc = Epc.create(96, nr_groups=8, nr_enclaves=4, nr_enclave_pages=1024)
group = epc.mkdir("/a")
epc.write("/a", "misc.max", "sgx_epc 98304")
_, enclave = epc.enclave_create(group, 640)
epc.enclave_init(enclave)
epc.run(np.arange(64, dtype=np.uint32), [(enclave, group)])
epc.fault(enclave, 99, group)
compiled = 0
rooms = ("epcgroup.engine", "epcgroup.face")
for module in [each for name, each in sys.modules.items() if name.startswith(rooms)]:
    for name, value in vars(module).items():
        if isinstance(value, Rule):
            made = [vars(value)[kind].signatures for kind in ("fragment", "program") if kind in vars(value)]
            compiled += len(made) > 0
            if max(map(len, made), default=0) > 1:
                print(value.py_func.__module__, name, made)
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
    program = "from epcgroup.face.epc import Epc; print(Epc.create(64).nr_free)"
    assert _play(tmp_path, program) == "64\n"
    indexes = list(tmp_path.rglob("*.nbi"))
    assert indexes
    for index in indexes:
        index.write_bytes(pickle.dumps("another version") + b"not a pickle")
    assert _play(tmp_path, program) == "64\n"


#: One fault on a machine; then what of the compiler was made ready for it.
_WARM = """
import sys
from epcgroup.compiled.rule import Rule
from epcgroup.engine import fault
from epcgroup.face import epc

machine = epc.Epc.create(64, nr_groups=2, nr_enclaves=2, nr_enclave_pages=64)
_, enclave = machine.enclave_create(1, 8)
machine.enclave_init(enclave)
assert machine.fault(enclave, 0, 1).name == "CREATED"
rules = [value for value in vars(fault).values() if isinstance(value, Rule)]
made = sum(len({"fragment", "program"} & set(vars(rule))) for rule in rules)
print("numba.cpython.mathimpl" in sys.modules, made)
"""


@pytest.mark.timeout(300)
def test_stored_code_runs_without_making_the_compiler_ready(tmp_path: Path) -> None:
    """A start is fast because neither Numba's vocabulary is loaded nor a dispatcher made for each rule."""
    assert _play(tmp_path, _WARM).startswith("True ")
    assert _play(tmp_path, _WARM) == "False 0\n"
