"""Control requests: groups and their files, statistics. One method an operation; errors carry an errno."""

import os
from collections.abc import Callable
from typing import Any

import epcgroup
from epcgroup.abi.peer import Peer
from epcgroup.errors import UsageError
from epcgroup.face.epc import Epc
from epcgroup.pager.ager import Ager
from epcgroup.pager.attribution import Attribution
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.membership import Membership

_REUSED = "(removed)"


class Controller:
    """Carries out control requests; every reply is a JSON object without the ``ok``."""

    def __init__(
        self,
        epc: Epc,
        enclaves: dict[int, Enclave],
        membership: Membership,
        attribution: Attribution,
        ager: Ager,
        describe: Callable[[], dict[str, Any]],
        statistics: Callable[[], dict[str, Any]],
        stop: Callable[[], None],
        record: Callable[[str, str], dict[str, Any]],
    ) -> None:
        self._epc = epc
        self._enclaves = enclaves
        self._membership = membership
        self._attribution = attribution
        self._ager = ager
        self._describe = describe
        self._statistics = statistics
        self._stop = stop
        self._record = record
        self._operations: dict[str, Callable[[Peer, dict[str, Any]], dict[str, Any]]] = {
            "hello": self._hello,
            "mkdir": self._mkdir,
            "rmdir": self._rmdir,
            "list": self._list,
            "read": self._read,
            "write": self._write,
            "statistics": self._give_statistics,
            "shutdown": self._shutdown,
            "record": self._carry_out_record,
        }

    def carry_out(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request and return the fields of its reply.

        Raises:
            EpcError: the request is refused; nothing has changed.
        """
        operation = self._operations.get(_text(request, "op"))
        if operation is None:
            raise UsageError(f"no operation {request['op']!r}: one of {', '.join(self._operations)}")
        return operation(peer, request)

    def _hello(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        return {"version": epcgroup.__version__, "pid": os.getpid(), **self._describe()}

    def _mkdir(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        number = self._epc.mkdir(_text(request, "path"))
        # The number may have been another group's.
        self._attribution.forget_group(number, _REUSED)
        return {}

    def _rmdir(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        path = _text(request, "path")
        self._membership.prune()
        number = self._epc.lookup(path)
        self._epc.rmdir(path)
        self._attribution.forget_group(number, path)
        self._ager.forget_group(number)
        return {}

    def _list(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        return {"paths": self._epc.paths()}

    def _read(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        path, file = _text(request, "path"), _text(request, "file")
        if file == "epc.reclaimed_by":
            return {"text": self._attribution.text(self._epc.lookup(path), self._epc.path_of)}
        if file == "epc.procs":
            self._membership.prune()
        return {"text": self._epc.read(path, file)}

    def _write(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        path, file, text = _text(request, "path"), _text(request, "file"), _text(request, "text")
        if file != "epc.procs":
            return {"taken": self._epc.write(path, file, text)}
        group = self._epc.lookup(path)
        pid = self._membership.parse(text, peer.pid)
        self._membership.move(pid, group)
        for enclave in self._enclaves.values():
            if enclave.peer.pid == pid:
                enclave.charge_to(group)
        return {"taken": len(text.encode())}

    def _give_statistics(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        return {"statistics": self._statistics()}

    def _carry_out_record(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        return self._record(_text(request, "act"), _text(request, "path"))

    def _shutdown(self, peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
        self._stop()
        return {}


def _text(request: dict[str, Any], field: str) -> str:
    value = request.get(field)
    if not isinstance(value, str):
        raise UsageError(f"field {field!r} of the request is {value!r}, expected a text")
    return value
