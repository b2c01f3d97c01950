"""Operations of the language on the machine, the groups and their files, and processes."""

import errno
from typing import Final

from epcgroup.conformance.names import RefusalError, enclave_of, group_of, operation, process_of
from epcgroup.conformance.player import Player
from epcgroup.conformance.script import Operation, escape
from epcgroup.conformance.world import Process
from epcgroup.engine import misc, page
from epcgroup.errors import GroupBusyError, GroupExistsError, NoSuchGroupError, UsageError
from epcgroup.face import control
from epcgroup.state import files
from epcgroup.state import layout as at

_OK: Final = "ret=0"
#: Files in the order of the operation ``files``.
_ORDER: Final = (
    "misc.max",
    "misc.current",
    "misc.peak",
    "misc.capacity",
    "misc.events",
    "misc.events.local",
)
#: Files of ours that a script can write or read where they exist (series fair).
_OURS: Final = ("epc.oom", "epc.kills")


@operation("ksgxd", 0)
def run_ksgxd(player: Player, op: Operation) -> str:
    """``ksgxd [N]``: let the reclaimer thread run."""
    was = "run" if player.state.machine[at.KSGXD_AWAKE] else "sleep"
    rounds = player.run_ksgxd(int(op.words[0]) if op.words else None)
    return f"ret=0 was={was} rounds={rounds}"


@operation("work", 0)
def run_work(player: Player, op: Operation) -> str:
    """``work [N]``: run queued work items."""
    return f"items={player.run_items(int(op.words[0]) if op.words else None)}"


@operation("signal", 2)
def set_signal(player: Player, op: Operation) -> str:
    """``signal P 0|1``."""
    process_of(player, op.words[0]).signal = op.words[1] != "0"
    return _OK


@operation("node", 2)
def set_node(player: Player, op: Operation) -> str:
    """``node P N``."""
    process_of(player, op.words[0]).node = int(op.words[1])
    return _OK


@operation("failback", 1)
def fail_backing(player: Player, op: Operation) -> str:
    """``failback N``: the next N allocations of backing pages fail."""
    player.failures[0] = int(op.words[0])
    return _OK


@operation("poison", 2)
def poison(player: Player, op: Operation) -> str:
    """``poison E I``: hardware failure of the EPC page that holds a page."""
    encl = enclave_of(player, op.words[0])
    index = int(op.words[1])
    offset = int(player.state.enclaves[encl.number, at.ENCLAVE_OFFSET])
    frame = int(player.state.pages[offset + index]) if 0 <= index < encl.size else 0
    if frame <= 0:
        raise RefusalError("notresident")
    page.poison(player.state, frame)
    return _OK


@operation("hw", 0, shows_state=False)
def hardware(player: Player, op: Operation) -> str:
    """``hw``: counters of instructions and of the backing store."""
    counts = [
        f"{name}={player.state.machine[at.HARDWARE + index]}" for index, name in enumerate(at.HARDWARE_NAMES)
    ]
    backing = sum(encl.backing.nr_pages for encl in player.enclaves.values())
    return " ".join([*counts, f"backing={backing}"])


@operation("state", 0)
def show(player: Player, op: Operation) -> str:
    """``state``: nothing."""
    return _OK


@operation("mkdir", 1)
def mkdir(player: Player, op: Operation) -> str:
    """``mkdir PATH``."""
    path = op.words[0]
    if not path.startswith("/"):
        raise RefusalError("path")
    try:
        player.epc.mkdir(path)
    except GroupExistsError as error:
        return f"ret={-error.errno}"
    except NoSuchGroupError:
        raise RefusalError("nocg") from None
    return _OK


@operation("rmdir", 1)
def rmdir(player: Player, op: Operation) -> str:
    """``rmdir PATH``."""
    group_of(player, op.words[0])
    try:
        player.epc.rmdir(op.words[0])
    except GroupBusyError as error:
        return f"ret={-error.errno}"
    return _OK


def _kernel_files(player: Player, group: int) -> list[str]:
    return [name for name in _ORDER if files.FILES[name].exists(player.state, group == at.ROOT)]


def _has(player: Player, group: int, name: str) -> bool:
    return name in (*_ORDER, *_OURS) and files.FILES[name].exists(player.state, group == at.ROOT)


def _write(player: Player, group: int, name: str, text: str) -> int:
    """Call the write handler of a file; bytes taken or a negative errno."""
    if not _has(player, group, name):
        return -errno.ENOENT
    if name not in ("misc.max", "epc.oom"):
        return -errno.EACCES
    try:
        if name == "epc.oom":
            return control.write(player.state, player.epc.names, group, name, text.encode("latin-1"))
        resource = control.set_limit(player.state, group, text.encode("latin-1"))
    except UsageError as error:
        return -error.errno
    if player.writes_reclaim() and resource == at.RESOURCES[at.RESOURCE_EPC]:
        player.write_limit(group)
    return len(text)


@operation("write", 2)
def write(player: Player, op: Operation) -> str:
    """``write PATH FILE "TEXT"``."""
    return f"ret={_write(player, group_of(player, op.words[0]), op.words[1], op.quoted)}"


@operation("max", 2)
def set_max(player: Player, op: Operation) -> str:
    """``max PATH N|max``: the limit of ``sgx_epc`` in pages."""
    group = group_of(player, op.words[0])
    value = op.words[1]
    text = value if value == "max" else str(int(value) * page.PAGE_BYTES)
    taken = _write(player, group, "misc.max", f"sgx_epc {text}\n")
    return f"ret={0 if taken >= 0 else -errno.EPERM}"


@operation("cat", 2, shows_state=False)
def cat(player: Player, op: Operation) -> str:
    """``cat PATH FILE``."""
    group = group_of(player, op.words[0])
    if not _has(player, group, op.words[1]):
        return f'ret={-errno.ENOENT} data=""'
    text = player.epc.read(op.words[0], op.words[1])
    return f'ret={len(text)} data="{escape(text)}"'


@operation("files", 1, shows_state=False)
def show_files(player: Player, op: Operation) -> str:
    """``files PATH``: all files that exist there."""
    group = group_of(player, op.words[0])
    texts = ((name, player.epc.read(op.words[0], name)) for name in _kernel_files(player, group))
    return " ".join(f'{name}="{escape(text)}"' for name, text in texts)


def _resource(player: Player, word: str) -> int:
    """Return the index of a resource by name or number, -1 for one this controller does not know."""
    known = {name: index for index, name in files.resources(player.state)}
    if word in known:
        return known[word]
    return int(word) if word.isdigit() and int(word) in known.values() else -1


@operation("cap", 2)
def set_capacity(player: Player, op: Operation) -> str:
    """``cap RES N``: set the capacity of a resource."""
    resource = _resource(player, op.words[0])
    if resource < 0:
        return f"ret={-errno.EINVAL}"
    player.state.machine[at.CAPACITY + resource] = at.signed(int(op.words[1]))
    return _OK


@operation("charge", 3)
def charge(player: Player, op: Operation) -> str:
    """``charge PATH RES N``: the controller's own interface."""
    group = group_of(player, op.words[0])
    resource = _resource(player, op.words[1])
    answer = misc.INVALID
    if resource >= 0:
        answer = misc.try_charge(player.state, group, resource, at.signed(int(op.words[2])))
    if answer == misc.INVALID:
        return f"ret={-errno.EINVAL}"
    return _OK if answer == 0 else f"ret={-errno.EBUSY}"


@operation("uncharge", 3)
def uncharge(player: Player, op: Operation) -> str:
    """``uncharge PATH RES N``."""
    group = group_of(player, op.words[0])
    resource = _resource(player, op.words[1])
    if resource >= 0:
        misc.uncharge(player.state, group, resource, at.signed(int(op.words[2])))
    return _OK


@operation("total", 1)
def total(player: Player, op: Operation) -> str:
    """``total RES``: usage of the root."""
    resource = _resource(player, op.words[0])
    usage = player.state.groups[at.ROOT, at.counter(resource, at.USAGE)] if resource >= 0 else 0
    return f"total={usage}"


@operation("proc", 2)
def add_process(player: Player, op: Operation) -> str:
    """``proc P PATH``."""
    group = group_of(player, op.words[1])
    if op.words[0] in player.processes:
        raise RefusalError("exists")
    player.add_process(op.words[0], group)
    return _OK


@operation("move", 2)
def move(player: Player, op: Operation) -> str:
    """``move P PATH``."""
    process: Process = process_of(player, op.words[0])
    player.move(process, group_of(player, op.words[1]))
    return _OK


@operation("exit", 1)
def leave(player: Player, op: Operation) -> str:
    """``exit P``."""
    player.exit(process_of(player, op.words[0]))
    return _OK
