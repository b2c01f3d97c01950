"""A real engine behind a real control socket, in the test's own process: charges can be made one by one.

The file server under test is the real process; what it talks to speaks the same protocol over the same shared
state as a pager, only nobody faults.
"""

import mmap
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from epcgroup.abi import protocol
from epcgroup.engine import misc
from epcgroup.errors import EpcError
from epcgroup.face.epc import Epc
from epcgroup.state import layout as at

NR_GROUPS, NR_ENCLAVES, NR_ENCLAVE_PAGES = 64, 8, 4096
SEV, SEV_ES, SGX_EPC = range(3)


class EnginePager:
    """Serves ``folder/pager.sock``; the engine's buffer is ``folder/state``."""

    def __init__(self, folder: Path, series: str = "v17", nr_pages: int = 256) -> None:
        self.socket = folder / "pager.sock"
        self.state = folder / "state"
        nbytes = Epc.state_nbytes(
            nr_pages, nr_groups=NR_GROUPS, nr_enclaves=NR_ENCLAVES, nr_enclave_pages=NR_ENCLAVE_PAGES
        )
        with self.state.open("wb+") as file:
            file.truncate(nbytes)
            buffer = mmap.mmap(file.fileno(), nbytes)
        self.epc = Epc.create(
            nr_pages,
            series=series,
            nr_groups=NR_GROUPS,
            nr_enclaves=NR_ENCLAVES,
            nr_enclave_pages=NR_ENCLAVE_PAGES,
            buffer=buffer,
        )
        self.series = series
        #: The process that counts as the pager: when it ends, file servers end.
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(self.socket))
        self._listener.listen()
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def set_capacity(self, resource: int, capacity: int) -> None:
        self.epc.state.machine[at.CAPACITY + resource] = at.signed(capacity)

    def charge(self, path: str, amount: int, resource: int = SEV) -> bool:
        """Charge like a driver does; False when it was refused (which counts an event)."""
        with self.lock:
            return misc.try_charge(self.epc.state, self.epc.lookup(path), resource, amount) == 0

    def uncharge(self, path: str, amount: int, resource: int = SEV) -> None:
        with self.lock:
            misc.uncharge(self.epc.state, self.epc.lookup(path), resource, amount)

    def close(self) -> None:
        for connection in (self._listener, *self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while packet := connection.recv(protocol.MAX_PACKET_BYTES):
                connection.send(protocol.encode_control(self._answer(protocol.decode_control(packet))))

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        operation = request.pop("op")
        try:
            with self.lock:
                return {"ok": True, **getattr(self, f"_op_{operation}")(**request)}
        except EpcError as error:
            return {"ok": False, "errno": error.errno, "error": str(error), "kind": type(error).__name__}

    def _op_hello(self) -> dict[str, Any]:
        return {"pid": self.pid, "state": str(self.state), "series": self.series}

    def _op_mkdir(self, path: str) -> dict[str, Any]:
        self.epc.mkdir(path)
        return {}

    def _op_rmdir(self, path: str) -> dict[str, Any]:
        self.epc.rmdir(path)
        return {}

    def _op_list(self) -> dict[str, Any]:
        return {"paths": self.epc.paths()}

    def _op_read(self, path: str, file: str) -> dict[str, Any]:
        if file == "epc.reclaimed_by":
            return {"text": "/greedy pod 32\n"}
        return {"text": self.epc.read(path, file)}

    def _op_write(self, path: str, file: str, text: str) -> dict[str, Any]:
        return {"taken": self.epc.write(path, file, text)}
