"""Random scripts of the trace language: the same seed gives the same script on every machine.

Names are drawn from those the script has made, so that most operations mean something; some do not.
"""

import random
from collections.abc import Callable
from typing import Final

from epcgroup.errors import UsageError

#: Relative frequency of the operations, about that of the recorded random scripts.
_WEIGHTS: Final = {
    "touch": 18, "add": 13, "max": 9, "ksgxd": 9, "work": 7, "enclave": 5, "age": 5, "access": 5, "proc": 4,
    "mkdir": 4, "accept": 3, "files": 3, "rmdir": 3, "init": 3, "trim": 3, "move": 3, "remove": 3, "fault": 3,
    "write": 2, "exit": 2, "close": 1.5, "modp": 1.3, "unmap": 1.2, "vfault": 1, "failback": 1, "vepc": 1,
    "give": 1, "signal": 1, "hw": 1, "node": 1, "map": 1, "charge": 0.5, "cap": 0.3, "vclose": 0.3,
    "tcs": 0.5, "poison": 0.5, "cat": 0.5,
}  # fmt: skip
_SIZES: Final = (64, 128, 256, 1024)
_TEXTS: Final = (
    "sgx_epc max",
    "sgx_epc 65536",
    "sgx_epc 0200000",
    "sgx_epc -1",
    "max",
    "sgx_epc  4096",
    "sev 1",
)


class _Author:
    """Writes one script; what exists so far is remembered by name only, the engine judges the rest."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.groups = ["/"]
        self.processes: list[str] = []
        self.enclaves: list[str] = []
        self.guests: list[str] = []
        self.serial = 0

    def pick(self, names: list[str], absent: str) -> str:
        return self.random.choice(names) if names else absent

    def fresh(self, letter: str) -> str:
        self.serial += 1
        return f"{letter}{self.serial}"

    def pages(self) -> str:
        spans = []
        for _ in range(self.random.randint(1, 3)):
            first = self.random.randrange(64)
            spans.append(
                f"{first}-{first + self.random.randrange(24)}" if self.random.random() < 0.7 else str(first)
            )
        return ",".join(spans)

    def enclave(self) -> str:
        return self.pick(self.enclaves, "E0")

    def process(self) -> str:
        return self.pick(self.processes, "p0")

    def group(self) -> str:
        return self.pick(self.groups, "/")

    def made(self, names: list[str], name: str) -> str:
        names.append(name)
        return name

    def mkdir(self) -> str:
        parent = self.group().rstrip("/")
        return self.made(self.groups, f"{parent}/{self.fresh('c')}")

    def range_of(self) -> str:
        return f"{self.random.randrange(48)} {self.random.randint(1, 8)}"


def _operands(author: _Author) -> dict[str, Callable[[], str]]:
    """How the operands of each operation are drawn."""
    draw = author.random
    number = draw.randint
    return {
        "mkdir": author.mkdir,
        "rmdir": author.group,
        "max": lambda: f"{author.group()} {'max' if draw.random() < 0.15 else number(0, 160)}",
        "write": lambda: f'{author.group()} misc.max "{draw.choice(_TEXTS)}"',
        "cat": lambda: f"{author.group()} misc.{draw.choice(('current', 'max', 'events', 'capacity'))}",
        "files": author.group,
        "charge": lambda: f"{author.group()} sev {number(0, 9)}",
        "cap": lambda: f"sev {number(0, 20)}",
        "proc": lambda: f"{author.made(author.processes, author.fresh('p'))} {author.group()}",
        "move": lambda: f"{author.process()} {author.group()}",
        "exit": author.process,
        "signal": lambda: f"{author.process()} {number(0, 1)}",
        "node": lambda: f"{author.process()} {number(0, 2)}",
        "enclave": lambda: (
            f"{author.made(author.enclaves, author.fresh('E'))} {author.process()} {draw.choice(_SIZES)}"
        ),
        "add": lambda: f"{author.enclave()} {draw.choice((1, 2, 5, 10, 20, 32, 40))}",
        "init": author.enclave,
        "touch": lambda: f"{author.enclave()} {author.pages()}",
        "fault": lambda: f"{author.enclave()} {author.pages()}",
        "access": lambda: f"{author.enclave()} {author.pages()}",
        "age": lambda: f"{author.enclave()} {'all' if draw.random() < 0.5 else author.pages()}",
        "map": lambda: f"{author.enclave()} {author.process()}",
        "unmap": lambda: f"{author.enclave()} {author.process()}",
        "give": lambda: f"{author.enclave()} {author.process()}",
        "close": author.enclave,
        "modp": lambda: f"{author.enclave()} {author.range_of()}",
        "trim": lambda: f"{author.enclave()} {author.range_of()}",
        "tcs": lambda: f"{author.enclave()} {author.range_of()}",
        "remove": lambda: f"{author.enclave()} {author.range_of()}",
        "accept": lambda: f"{author.enclave()} {author.pages()}",
        "poison": lambda: f"{author.enclave()} {number(0, 40)}",
        "vepc": lambda: f"{author.made(author.guests, author.fresh('V'))} {author.process()} {number(1, 40)}",
        "vfault": lambda: f"{author.pick(author.guests, 'V0')} {author.pages()}",
        "vclose": lambda: author.pick(author.guests, "V0"),
        "failback": lambda: str(number(0, 3)),
        "ksgxd": lambda: draw.choice(("", "", "1", "2")),
        "work": lambda: draw.choice(("", "", "1")),
        "hw": lambda: "",
    }


def random_script(seed: int, nr_operations: int) -> str:
    """Return a script of so many operations behind ``boot``, two groups, two processes and an enclave.

    Raises:
        UsageError: fewer than one operation.
    """
    if nr_operations < 1:
        raise UsageError(f"{nr_operations} operations: a script has at least 1")
    author = _Author(seed)
    operands = _operands(author)
    boot = author.random.choice(("128", "192", "256", "128@0 128@1", "400"))
    lines = [f"boot {boot}", *(f"mkdir {author.mkdir()}" for _ in range(2))]
    lines += [f"proc {operands['proc']()}" for _ in range(2)]
    lines.append(f"enclave {operands['enclave']()}")
    names = author.random.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=nr_operations)
    lines += [f"{name} {operands[name]()}".rstrip() for name in names]
    return "\n".join(lines) + "\n"
