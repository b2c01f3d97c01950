"""What keeps an enclave alive at the pager (connection, userfaultfd, watchdog) and how it is given up.

Three ends: ``close``; the last buffer of the memory is gone (with a warning, as for a file never closed);
and in a child of fork, which has no part in the enclave: it closes its copies of the descriptors, else the
pager would not see the end of the parent.
"""

import os
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Literal

from epcgroup.client import watchdog
from epcgroup.client.connection import Connection

#: What a program wants when its pager dies: to be ended at once, or to find out (SIGBUS, ``check``).
PagerDeath = Literal["end", "raise"]
State = Literal["open", "closed", "inherited"]


class Lease:
    """The descriptors and the watchdog of an enclave.

    Attributes:
        state: ``open``, then ``closed``, or ``inherited`` in a child of fork.
    """

    def __init__(self, made: Connection, on_pager_death: PagerDeath) -> None:
        """Start to watch a connection; on an error everything is given up.

        Raises:
            NotSupportedError: the watchdog cannot be started.
        """
        self._number, self._socket, self._uffd = made.enclave, made.socket, made.uffd
        self._lock = threading.Lock()
        self._watchdog: watchdog.Killer | watchdog.Undertaker
        try:
            if on_pager_death == "end":
                self._watchdog = watchdog.Killer(self._socket)
            else:
                self._watchdog = watchdog.Undertaker(self._socket, self._uffd, made.region)
        except BaseException:
            made.region.retire()
            self._hang_up()
            raise
        self.state: State = "open"
        self._unmap = made.region.ending.unmap
        made.region.ending.action = self._last_buffer_gone
        _leases.add(self)

    def is_pager_gone(self) -> bool:
        """Tell whether the connection has hung up."""
        return watchdog.hung_up(self._socket)

    def close(self, drop: Callable[[], object]) -> None:
        """Give the enclave up: ``drop`` its memory, then tell the pager. Again is fine."""
        with self._lock:
            if self.state != "open":
                return
            self.state = "closed"
        self._watchdog.stop()
        # In this order: without the userfaultfd a page that is not there would read as zeros.
        drop()
        self._hang_up()

    def _hang_up(self) -> None:
        os.close(self._uffd)
        self._socket.close()

    def _last_buffer_gone(self) -> None:
        if self.state == "open":
            warnings.warn(f"enclave {self._number} was never closed", ResourceWarning, stacklevel=2)
            self.close(self._unmap)
        elif self.state == "closed":
            self._unmap()
        # Inherited by fork: the range is not mapped here; something else may be by now.

    def disown(self) -> None:
        """In a child of fork: close what was inherited; the enclave itself is the parent's."""
        self._lock = threading.Lock()
        if self.state == "open":
            self.state = "inherited"
            self._watchdog.forget()
            self._hang_up()


_leases: "weakref.WeakSet[Lease]" = weakref.WeakSet()


def _disown_all() -> None:
    for lease in list(_leases):
        lease.disown()


os.register_at_fork(after_in_child=_disown_all)
