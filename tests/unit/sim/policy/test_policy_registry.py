"""Policies by name, ours and yours; what is no policy is refused with a reason."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from epcgroup.errors import UsageError
from epcgroup.sim import policy
from epcgroup.sim.policy import fifo
from epcgroup.sim.policy.interface import Policy
from epcgroup.state.layout import Sizes


@pytest.mark.parametrize("name", sorted(policy.POLICIES))
def test_every_policy_says_what_it_is(name: str) -> None:
    found = policy.load(name)
    assert found.name == name
    assert 20 < len(found.sentence) < 100
    assert "19" in found.source or "20" in found.source or "Linux" in found.source
    assert policy.find(name) is policy.find(name)
    assert policy.find(name).needs_future == (name == "optimum")


def test_names_do_not_load_the_compiler() -> None:
    program = (
        "import sys\n"
        "from epcgroup.sim import policy\n"
        "print(policy.names()[0], [name for name in ('numba', 'numpy') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "second-chance []\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mru", "second-chance, lru, fifo"),
        ("no_such_module:X", "PYTHONPATH"),
        ("epcgroup.sim.policy.lru:Nothing", "Nothing"),
        ("epcgroup.sim.policy.lru:queue", "no subclass"),
        ("epcgroup.sim.policy.interface:Policy", "lacks inserted, removed, touched, victim"),
    ],
)
def test_what_is_no_policy_is_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        policy.find(name)


def test_a_policy_without_a_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(fifo.__file__).read_text()
    (tmp_path / "nameless_policy.py").write_text(source.replace('    name = "fifo"\n', ""))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="lacks name"):
        policy.load("nameless_policy:Fifo")


def test_defaults_of_the_optional_methods_do_nothing() -> None:
    bound = policy.find("lru")
    memory = bound.memory(Sizes(10, 2, 2, 20))
    before = memory.copy()
    bound.foresee(memory, 0, np.zeros(3, np.uint32), False)
    np.testing.assert_array_equal(memory, before)
    assert issubclass(bound.policy, Policy)


def test_the_optimum_wants_room_for_what_it_is_told() -> None:
    bound = policy.find("optimum")
    memory = bound.memory(Sizes(10, 2, 2, 20), nr_references=4)
    bound.foresee(memory, 0, np.zeros(3, np.uint32), False)
    with pytest.raises(UsageError, match="5 references to come: room was made for 4"):
        bound.foresee(memory, 10, np.zeros(2, np.uint32), False)
