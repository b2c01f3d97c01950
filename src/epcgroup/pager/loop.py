"""The one loop of the pager: epoll, and what is done when nothing happens.

Order of importance: faults, background reclaim (one batch, then look again), the ager's work, then spinning
if there are CPUs to spare, then sleep.
"""

import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from enum import IntEnum
from time import perf_counter_ns
from typing import Final

from epcgroup.abi import memory

Handler = Callable[[int], None]
#: (descriptor, mask) of each.
Events = Sequence[tuple[int, int]]
#: Waits so many ms (-1: for ever) for the first event, then looks without waiting, for at most so many rounds
#: of events; returns how many rounds there were, and the events that are left to serve.
Poll = Callable[[int, int], tuple[int, Events]]
#: Spinning pays only if longer than a client's pause between faults, and only with CPUs left for the clients.
SPIN_NS: Final = 200_000
_MIN_SPIN_CPUS: Final = 3
#: Rounds of events in a row after which one batch of background work is done all the same.
_MAX_BUSY_ROUNDS: Final = 64
#: Events taken at once.
_MAX_EVENTS: Final = 64


def spin_ns_for(nr_cpus: int) -> int:
    """Return how long to spin on a machine with that many usable CPUs: 0 with one or two."""
    return SPIN_NS if nr_cpus >= _MIN_SPIN_CPUS else 0


class Urgency(IntEnum):
    """What background work there is."""

    NONE = 0
    #: Do it when there are no events.
    WHEN_IDLE = 1
    #: Do a piece of it in every round.
    NOW = 2


class Loop:
    """Descriptors and their handlers; ``spin_ns``: how long to look for events after one without sleeping."""

    def __init__(self, spin_ns: int) -> None:
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._handlers: dict[int, Handler] = {}
        self._is_running = True
        self._signal_sockets: tuple[socket.socket, ...] = ()
        self._timers: list[int] = []
        self.spin_ns = spin_ns

    def add(self, fd: int, handler: Handler) -> None:
        """Call ``handler`` with the event mask whenever a descriptor is readable.

        Raises:
            OSError: the kernel watches no more descriptors for this user; nothing has changed.
        """
        self._epoll.register(fd, select.EPOLLIN)
        self._handlers[fd] = handler

    def remove(self, fd: int) -> None:
        """Stop watching a descriptor; must be called before it is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def stop(self) -> None:
        """End ``run`` after the current event."""
        self._is_running = False

    def every(self, seconds: float, handler: Callable[[], None]) -> None:
        """Call ``handler`` again and again."""
        fd = memory.open_timer(seconds)
        self._timers.append(fd)

        def expired(_mask: int) -> None:
            os.read(fd, 8)
            handler()

        self.add(fd, expired)

    def watch_signals(self, *signals: signal.Signals) -> None:
        """End the loop when one of these signals comes."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._signal_sockets = (reader, writer)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, lambda *_: self.stop())
        self.add(reader.fileno(), lambda _: self.stop())

    def run(
        self, urgency_of: Callable[[], int], work: Callable[[bool], None], poll: Poll | None = None
    ) -> None:
        """Serve until ``stop``.

        Args:
            urgency_of: cheap look at what ``work`` would have to do, an ``Urgency``; asked once a round.
            work: does a bounded piece of background work; told whether there were events too.
            poll: waits for events; may serve some itself.
        """
        poll = poll or self._poll
        handler_of = self._handlers.get
        spin_ns = self.spin_ns
        nr_busy = last_ns = 0
        urgency = urgency_of()
        while self._is_running:
            looks_only = urgency or (spin_ns and perf_counter_ns() - last_ns < spin_ns)
            most = 1 if urgency > _WHEN_IDLE else _MAX_BUSY_ROUNDS - nr_busy
            nr_rounds, events = poll(0 if looks_only else -1, most)
            for fd, mask in events:
                handler = handler_of(fd)  # a handler before may have closed this one
                if handler is not None:
                    handler(mask)
            if nr_rounds and spin_ns:
                last_ns = perf_counter_ns()
            urgency = urgency_of()
            nr_busy = nr_busy + nr_rounds if urgency else 0
            if urgency and (not nr_rounds or urgency > _WHEN_IDLE or nr_busy >= _MAX_BUSY_ROUNDS):
                nr_busy = 0
                work(nr_rounds > 0)
                urgency = urgency_of()

    def _poll(self, timeout_ms: int, most: int) -> tuple[int, Events]:
        events = self._epoll.poll(None if timeout_ms < 0 else timeout_ms / 1000, _MAX_EVENTS)
        return int(bool(events)), events

    def fileno(self) -> int:
        """Return the descriptor of the epoll."""
        return self._epoll.fileno()

    def close(self) -> None:
        """Close the epoll, timers, and what signals came by."""
        if self._signal_sockets:
            signal.set_wakeup_fd(-1)
        for sock in self._signal_sockets:
            sock.close()
        for fd in self._timers:
            os.close(fd)
        self._epoll.close()


_WHEN_IDLE: Final = int(Urgency.WHEN_IDLE)


def cpu_count() -> int:
    """Return the number of CPUs this process may use."""
    return len(os.sched_getaffinity(0))
