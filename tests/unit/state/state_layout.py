"""Writes docs/state.md from state/layout.py: ``python -m tests.unit.state.state_layout``.

Names and numbers come from the module, meanings from its docstring and from the comments beside its columns.
"""

import inspect
import re
from pathlib import Path

import numpy as np

from epcgroup.state import layout as state
from epcgroup.state.layout import Names, Sizes, State

PAGE = Path(__file__).parents[3] / "docs" / "state.md"
_SIZES = Sizes(nr_frames=1000, nr_groups=100, nr_enclaves=100, nr_pages=5000, nr_processes=200)
_HEAD = """# The state of the engine

Written by `python -m tests.unit.state.state_layout` from `state/layout.py`; a test says when it is old.

One buffer holds everything, array after array, each at a multiple of 64 bytes. It may be shared memory; all
zero beyond the header is an empty machine. Row 0 of groups, enclaves and frames stands for "none".
"""
#: The first name of each block of columns → the array it describes.
_BLOCKS = {
    "FRAME_NEXT": "frames",
    "ENCLAVE_KIND": "enclaves",
    "GROUP_STATE": "groups",
    "STAT_RESIDENT": "groups",
    "GROUP_HOLDER_FIRST": "groups",
    "WORD_MAGIC": "machine",
    "SEQUENCE": "machine",
    "PASS_ROOT": "machine, in each pass (CONTEXT_*)",
    "KILL_ENCLAVE": "machine, in each row of KILLS",
}
_REST = {
    "groups": "From `GROUP_COUNTERS` on stand the five counters of each resource (see `counter`).",
    "machine": "Then tables: CAPACITY, HARDWARE, SECTIONS, NODES, CONTEXT_*, TUNABLES, BATCH, KILLS: see it.",
}


def _arrays() -> str:
    meanings = dict(
        re.findall(r"^(\w+) +u?int\d+ +\(.*?\)  +(.*)$", inspect.cleandoc(state.__doc__ or ""), re.MULTILINE)
    )
    shapes = dict(
        re.findall(r"^(\w+) +u?int\d+ +(\(.*?\))  +", inspect.cleandoc(state.__doc__ or ""), re.MULTILINE)
    )
    rows = [
        "| array | dtype | shape | bytes a row | bytes a page | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    per_page = {"frames": "EPC page", "pages": "enclave page", "marks": "enclave page"}
    for name, (dtype, shape) in zip((*State._fields, *Names._fields), _SIZES.regions(), strict=True):
        nbytes = int(np.prod(shape[1:])) * np.dtype(dtype).itemsize
        page = f"{nbytes} an {per_page[name]}" if name in per_page else ""
        rows.append(
            f"| `{name}` | {np.dtype(dtype).name} | `{shapes[name]}` | {nbytes} | {page} | {meanings[name]} |"
        )
    return "\n".join(rows)


def _columns() -> dict[str, list[tuple[str, str]]]:
    """(name, comment) of every block ``( NAME,  # comment ... ) = range(...)``, by what it describes."""
    found: dict[str, list[tuple[str, str]]] = {}
    for block in re.findall(r"^\(\n(.*?)^\) = range", inspect.getsource(state), re.MULTILINE | re.DOTALL):
        names = re.findall(r"^    (\w+),(?:  # (.*))?$", block, re.MULTILINE)
        found.setdefault(_BLOCKS[names[0][0]], []).extend(names)
    return found


def render() -> str:
    """Return the text of docs/state.md."""
    parts = [_HEAD, _arrays()]
    for name, columns in _columns().items():
        rows = [f"| {getattr(state, column)} | `{column}` | {text} |" for column, text in columns]
        rest = f"\n\n{_REST[name]}" if name in _REST else ""
        head = "| column | name | meaning |\n| --- | --- | --- |\n"
        parts.append(f"\n## {name}\n\n{head}" + "\n".join(rows) + rest)
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
