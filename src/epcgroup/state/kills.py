"""``epc.kills``: the last enclaves that were killed for want of EPC, as far as the state remembers them.

The engine reads no clock, so a line has no time: whoever carries a kill out logs it. Light: no Numba.
"""

from typing import Final

from epcgroup.state import layout as at
from epcgroup.state import tree
from epcgroup.state.layout import Names, State

#: Kills that are remembered; the row left over is that of the kill under way.
NR_KEPT: Final = at.KILL_ROWS - 1


def text(state: State, names: Names, group: int) -> str:
    """Return the file: the last kills of enclaves that lived in a group or below it, oldest first.

    One line a kill, ``3 enclave=7 group=/pod/a level=/pod pages=1200 over=300``: its number on this machine,
    the enclave, where it lived, the group that had no room, the EPC pages it held, the pages by which its
    group was above a limit of its own. A removed group is shown as the nearest one above it that is left.
    """
    inside = set(tree.subtree(state, group))
    last = int(state.machine[at.NR_KILLS])
    lines = []
    for kill in range(max(last - NR_KEPT, 0), last):
        row = at.KILLS + at.KILL_COLUMNS * (kill % at.KILL_ROWS)
        enclave, home, level, nr_pages, over = state.machine[row : row + at.KILL_COLUMNS].tolist()
        if home in inside:
            where = f"group={_path(state, names, home)} level={_path(state, names, level)}"
            lines.append(f"{kill + 1} enclave={enclave} {where} pages={nr_pages} over={over}\n")
    return "".join(lines)


def _path(state: State, names: Names, group: int) -> str:
    """A path as one word: blanks and backslashes as ``/proc/mounts`` writes them."""
    path = tree.path_of(state, names, group)
    return "".join(f"\\{ord(sign):03o}" if sign in " \t\\" else sign for sign in path)
