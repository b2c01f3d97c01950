"""What is to happen in a simulation, in the order of virtual time."""

import heapq


class Agenda:
    """What is to happen at which time (ps); at the same time ends come first, then starts, then samples."""

    END, START, RESTART, SAMPLE = range(4)

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, int, int]] = []
        self._serial = 0

    def add(self, time: int, kind: int, index: int = 0) -> None:
        """Note that ``kind`` happens to pod or task ``index``."""
        self._serial += 1
        heapq.heappush(self._entries, (time, kind, self._serial, index))

    def next_time(self) -> int:
        """Return the time of the first entry."""
        return self._entries[0][0]

    def pop(self) -> tuple[int, int, int]:
        """Take the first entry: time, kind, index."""
        time, kind, _, index = heapq.heappop(self._entries)
        return time, kind, index

    def __bool__(self) -> bool:
        return bool(self._entries)
